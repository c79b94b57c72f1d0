"""Who may import whom: CONTRIBUTING.md says why. Imports inside functions count as well.

Imports for types only (under TYPE_CHECKING) count for the arrows between packages. They make no circle: nothing
of them is left when the program runs.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "thresholds": set[str](),
    "collectors": {"thresholds"},
    "alerts": {"thresholds"},
    "monitor": {"thresholds", "collectors", "alerts"},
}
Graph = dict[str, set[str]]


def module_files() -> dict[str, Path]:
    """{dotted module name: file} of the four packages."""
    found = {}
    for package in ALLOWED:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


class WithoutTypes(ast.NodeTransformer):
    """Takes away what stands under `if TYPE_CHECKING:`."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return node.orelse if for_types else self.generic_visit(node)


def imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[str, str]]:
    """(module, name or "") for every import statement, relative ones made absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            up = parts[: len(parts) - node.level + is_package] if node.level else []
            origin = ".".join([*up, *([node.module] if node.module else [])])
            yield from ((origin, alias.name) for alias in node.names)


@cache
def imports(*, types: bool) -> Graph:
    """{our module: our modules that it imports}, with or without those that are for types only."""
    files = module_files()
    graph: Graph = {}
    for module, path in files.items():
        graph[module] = set()
        tree: ast.AST = ast.parse(path.read_text("utf-8"), str(path))
        tree = tree if types else WithoutTypes().visit(tree)
        for origin, name in imported(tree, module, path.name == "__init__.py"):
            target = f"{origin}.{name}" if f"{origin}.{name}" in files else origin
            if target.partition(".")[0] in ALLOWED and target != module:
                graph[module].add(target)
    return graph


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One circle as a list that ends where it begins, or nothing."""
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for target in sorted(graph.get(node, ())):
            if found := walk(target, [*path, node]):
                return found
        done.add(node)
        return []

    for start in sorted(graph):
        if found := walk(start, []):
            return found
    return []


def folders(graph: Graph, packages: set[str]) -> Graph:
    """The same graph between folders; a folder and one inside it count as one neighbourhood."""

    def folder(module: str) -> str:
        return module if module in packages else module.rpartition(".")[0]

    coarse: Graph = {}
    for module, targets in graph.items():
        here = folder(module)
        near = coarse.setdefault(here, set())
        for there in map(folder, targets):
            if not f"{there}.".startswith(f"{here}.") and not f"{here}.".startswith(f"{there}."):
                near.add(there)
    return coarse


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_the_packages_that_the_arrows_allow(package: str) -> None:
    wrong = [
        f"{module} imports {target}"
        for module, targets in imports(types=True).items()
        for target in targets
        if module.partition(".")[0] == package and target.partition(".")[0] not in ALLOWED[package] | {package}
    ]
    assert not wrong


def test_no_file_imports_itself_by_way_of_others() -> None:
    assert circle(imports(types=False)) == []


def test_no_folder_imports_itself_by_way_of_others() -> None:
    packages = {module for module, path in module_files().items() if path.name == "__init__.py"}
    assert circle(folders(imports(types=False), packages)) == []


def test_every_package_is_named_for_installation() -> None:
    named = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"])
    present = {module for module, path in module_files().items() if path.name == "__init__.py"}
    assert named == present


def test_every_folder_with_modules_is_a_package() -> None:
    missing = {
        str(path.parent.relative_to(ROOT))
        for path in module_files().values()
        if not (path.parent / "__init__.py").exists()
    }
    assert not missing


def test_the_search_finds_a_planted_circle_and_relative_and_nested_imports() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    tree = ast.parse("from . import x\nfrom ..m import y\ndef f():\n    import z.q\n")
    assert list(imported(tree, "p.s.mod", is_package=False)) == [("p.s", "x"), ("p.m", "y"), ("z.q", "")]
    assert next(imported(tree, "p.s", is_package=True)) == ("p.s", "x")
    assert circle(folders({"p.a.x": {"p.b.y"}, "p.b.z": {"p.a.w"}}, set())) == ["p.a", "p.b", "p.a"]
    lazy = WithoutTypes().visit(ast.parse("if TYPE_CHECKING:\n    import a\nelse:\n    import b\nimport c\n"))
    assert list(imported(lazy, "p", is_package=True)) == [("b", ""), ("c", "")]
    assert circle(folders({"p.x": {"p.s.y"}, "p.s.y": {"p.z"}}, set())) == []
