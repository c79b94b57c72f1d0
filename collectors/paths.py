"""Paths into JSON values: `data.items`, `price.value`, `[0]`, `rows[2].name`, `['a.b'].c`; and templates of them.

A template is a text with paths in braces, `{market.city}/{market.name}`; `{{` and `}}` stand for the braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from string import Formatter
from typing import Any

STEP = re.compile(r"""\.?(?P<name>[^.\[\]'"{}]+)|\[(?P<index>-?\d+)\]|\.?\['(?P<single>[^']*)'\]""")


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""what a path gives where there is nothing; None is a value (JSON null)"""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path; the empty path gives the value itself."""

    text: str
    steps: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> Path:
        """Raises ValueError with problem and remedy."""
        steps: list[str | int] = []
        position = 0
        while position < len(text):
            match = STEP.match(text, position)
            if match is None or (position == 0 and text[0] == "."):
                raise ValueError(f"{text!r} is not a path|Write it as data.items, price.value, [0] or ['a.b'].c")
            if match["index"] is not None:
                steps.append(int(match["index"]))
            else:
                steps.append(match["name"] if match["name"] is not None else match["single"])
            position = match.end()
        return cls(text, tuple(steps))

    def get(self, value: Any) -> Any:
        """What is there in dicts and lists, or MISSING. A key that is spelled like the whole path wins."""
        if isinstance(value, dict) and self.text in value:
            return value[self.text]
        for step in self.steps:
            if isinstance(step, str):
                if not isinstance(value, dict) or step not in value:
                    return MISSING
            elif not isinstance(value, list | tuple) or not -len(value) <= step < len(value):
                return MISSING
            value = value[step]
        return value


def compile_column(spec: str) -> Callable[[Any], Any]:
    """A function from a row to the column's value (or MISSING); `spec` is a path or a template. Raises ValueError."""
    if "{" not in spec and "}" not in spec:
        return Path.parse(spec).get
    parts = compile_template(spec)

    def render(row: Any) -> Any:
        found = [part.get(row) if isinstance(part, Path) else part for part in parts]
        return MISSING if any(f is MISSING or f is None for f in found) else "".join(map(str, found))

    return render


def compile_template(spec: str) -> list[str | Path]:
    """The literal texts and paths of a template, in order. Raises ValueError with problem and remedy."""
    parts: list[str | Path] = []
    try:
        for literal, name, form, conversion in Formatter().parse(spec):
            parts.append(literal)
            if name is not None:
                if form or conversion or not name:
                    raise ValueError("only a path may stand in braces")
                parts.append(Path.parse(name))
    except ValueError as error:
        problem = str(error).partition("|")[0]
        raise ValueError(f"{spec!r}: {problem}|Write paths as {{price.value}}, a brace as {{{{ or }}}}") from None
    return parts
