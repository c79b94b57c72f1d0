"""Every text of the console is in both catalogues, marked in its file, and keeps its placeholders."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

from monitor.web.console.i18n import LANGUAGES, translations
from tests.console import messages
from tests.console.messages import ROOT, is_complete, placeholders

HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
FULL_WIDTH = re.compile(r"[\u3001-\u301f\uff01-\uff65]")  # punctuation, which English has too, but other
WORD = re.compile(r"[A-Za-z]{2,}")
MARKING = {"_", "gettext", "ngettext"}
NOT_A_TEXT = (
    "# i18n:"  # a comment, on the line of a Chinese string or of its function, with the reason why it is no text
)
SHOWN_ATTRIBUTES = {"title", "alt", "placeholder", "aria-label", "aria-description", "aria-roledescription", "label"}
ASSETS = ROOT / "monitor" / "web" / "assets"
HOLE = "\x00"  # stands for what a template puts in


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_words_in_this_language(language: str) -> None:
    catalogue = messages.read(language)
    missing = [
        f"{message.locations[0][0]}: {message.id}"
        for message in messages.extracted()
        if message.id and ((found := catalogue.get(message.id)) is None or not is_complete(found.string))
    ]
    assert not missing, "make messages, then translate: " + "; ".join(missing)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogue_holds_nothing_that_is_no_longer_used(language: str) -> None:
    used = {message.id for message in messages.extracted()}
    assert [message.id for message in messages.read(language) if message.id and message.id not in used] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_takes_the_same_values_as_its_text(language: str) -> None:
    for message in messages.read(language):
        ids = message.id if isinstance(message.id, (tuple, list)) else (message.id,)
        forms = message.string if isinstance(message.string, (tuple, list)) else (message.string or "",)
        wanted = {name for one in ids for name in placeholders(one)} | {"num"}
        for form in forms if message.id and is_complete(message.string) else ():
            assert placeholders(form) <= wanted, message.id
            assert len(placeholders(form) | {"num"}) == len(wanted), message.id
            assert form % dict.fromkeys(wanted, 1), message.id  # a lone percent sign fails here


def test_english_words_are_not_chinese() -> None:
    chinese = [message.id for message in messages.read("en") if message.id and HAN.search(str(message.string))]
    assert not chinese


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_daemon_reads_the_catalogue(language: str) -> None:
    expected = {"zh_CN": "登录", "en": "Sign in"}
    assert translations(language).gettext("登录") == expected[language]


def test_the_catalogues_are_as_the_tool_writes_them() -> None:
    for language in LANGUAGES:
        written = messages.written(language, messages.updated(language))
        assert messages.catalogue_path(language).read_text("utf-8") == written, "make messages"


@pytest.mark.parametrize("path", sorted(messages.TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_every_text_of_a_template_is_marked(path: Path) -> None:
    assert list(unmarked_in_template(path.read_text("utf-8"))) == []


@pytest.mark.parametrize("path", messages.python_files(), ids=lambda path: path.name)
def test_every_chinese_string_of_the_code_is_marked(path: Path) -> None:
    found = list(unmarked_in_code(path.read_text("utf-8")))
    assert not found, f"mark them with _(…), or say on the line why they are no texts ({NOT_A_TEXT} …): {found}"


def test_scripts_hold_no_texts_but_take_them_from_the_page() -> None:
    scripts = [*ASSETS.glob("*.[jt]s"), *ASSETS.glob("lib/**/*.[jt]s")]
    assert [path.name for path in scripts if HAN.search(path.read_text("utf-8"))] == []


def test_the_search_finds_planted_texts() -> None:
    planted = """<h1>{{ _("标题") }}</h1><p>裸字</p><i title="{{ "属性" }}">{{ _("好") }}: No</i>
        {{ _("甲") if x else "乙" }}：{{ a }}<img alt="Map">{{ m.field("a", "丙") }}<kbd>Esc</kbd>"""
    assert sorted(unmarked_in_template(planted)) == sorted(["裸字", "属性", "乙", "丙", "…: No", "…：…", "Map"])
    assert list(unmarked_in_template('{% if kind == "异常" %}{% endif %}')) == []
    code = (
        'def f():\n    """说明"""\n    a = _("标题")\n    return "裸字", f"共{a}", "数据"\nB = "甲"  # i18n: data\n'
    )
    assert (
        list(unmarked_in_code('A = {"春节": _("春节")}\ndef f(x):  # i18n: sent\n    return x == "甲", "乙"\n')) == []
    )
    assert list(unmarked_in_code(code)) == ["4: 裸字", "4: 共", "4: 数据"]


def unmarked_in_template(source: str) -> Iterator[str]:
    """Chinese strings in expressions and words in the markup that no catalogue knows."""
    tree = Environment(extensions=[messages.TAGS]).parse(source)
    marked = {id(one) for compared in tree.find_all(nodes.Compare) for one in compared.find_all(nodes.Const)}
    marked |= {
        id(constant)
        for call in tree.find_all(nodes.Call)
        if isinstance(call.node, nodes.Name) and call.node.name in MARKING
        for constant in call.find_all(nodes.Const)
    }
    for constant in tree.find_all(nodes.Const):
        if isinstance(constant.value, str) and HAN.search(constant.value) and id(constant) not in marked:
            yield constant.value
    pieces = (
        piece.data if isinstance(piece, nodes.TemplateData) else HOLE
        for output in tree.find_all(nodes.Output)
        for piece in output.nodes
    )
    parser = Words()
    parser.feed("".join(pieces))
    yield from parser.found


class Words(HTMLParser):
    """Text and shown attributes of markup that hold words. Keys, code and what has translate="no" are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.kept = ""

    def note(self, text: str) -> None:
        if HAN.search(text) or FULL_WIDTH.search(text) or WORD.search(text.replace(HOLE, " ")):
            self.found.append(text.replace(HOLE, "…").strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if ("translate", "no") in attrs or tag in ("kbd", "code"):
            self.kept = self.kept or tag
        for name, value in attrs:
            if name in SHOWN_ATTRIBUTES or (value and HAN.search(value)):
                self.note(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == self.kept:
            self.kept = ""

    def handle_data(self, data: str) -> None:
        if not self.kept:
            self.note(data)


def unmarked_in_code(source: str) -> Iterator[str]:
    """'line: text' of Chinese strings that are no docstring, not marked, and not said to be data by a comment."""
    tree, lines = ast.parse(source), source.splitlines()
    passed = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))  # docstrings
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {*MARKING, "Problem"}:
            # a Problem is for programs; the API speaks Chinese
            passed.update(id(argument) for argument in node.args)
        if isinstance(node, ast.Compare):
            passed.update(id(one) for one in (node.left, *node.comparators))
        if isinstance(node, ast.Dict):
            passed.update(id(key) for key in node.keys)
        if isinstance(node, ast.FunctionDef) and NOT_A_TEXT in lines[node.lineno - 1]:
            passed.update(id(inner) for inner in ast.walk(node))
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for node in sorted(strings, key=lambda node: (node.lineno, node.col_offset)):
        if HAN.search(str(node.value)) and id(node) not in passed and NOT_A_TEXT not in lines[node.lineno - 1]:
            yield f"{node.lineno}: {node.value!s}"
