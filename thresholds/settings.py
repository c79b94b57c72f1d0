"""Reading TOML settings and plan files: every fault at once, each with file, key, what is wrong and how to mend it.

Used for the installation's configuration as well as for plans, rule packs and catalogues, so that all of them speak
of faults in the same way.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w|y)")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 365 * 86400}


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong in one file. `key` is a dotted path with [n] for list entries, counted from 1."""

    file: str
    key: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: {self.problem.rstrip('.')}. {self.remedy}"


class FaultsError(Exception):
    """Settings that cannot be used; `faults` holds all of them."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class Settings(BaseModel):
    """Base of every settings table: unknown keys are faults, values do not change after loading."""

    # Made ready when first used: most tables are parts of a whole, for which they are made ready once more anyway.
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True)
    page: ClassVar[str] = "docs/configuration.md"
    """where the keys of such a file are described"""


def parse_duration(value: object) -> timedelta:
    """'90s', '15m', '1h30m', '2d' as a timedelta. Raises ValueError with the accepted form."""
    if isinstance(value, timedelta):
        return value
    text = value.replace(" ", "") if isinstance(value, str) else ""
    parts = DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise ValueError(f"{value!r} is not a duration|Write a number with a unit: 30s, 15m, 6h, 2d, 1w, 5y")
    try:
        return timedelta(seconds=sum(float(n) * SECONDS[u] for n, u in parts))
    except OverflowError as error:
        raise ValueError(f"{short(value)} is longer than anybody will wait|Write a shorter duration") from error


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


class Secret(Settings):
    """A reference to a secret, never the secret itself: { env = "NAME" } or { file = "path" }."""

    env: str = ""
    file: str = ""

    @model_validator(mode="before")
    @classmethod
    def no_plain_text(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(
                'a secret is written in plain text|Write { env = "NAME" } or { file = "path" } instead, and change'
                " the secret: it may already have been read"
            )
        return value

    @model_validator(mode="after")
    def one_home(self) -> Secret:
        if bool(self.env) == bool(self.file):
            raise ValueError('a secret needs exactly one home|Write { env = "NAME" } or { file = "path" }')
        return self

    def problem(self, base: Path) -> str | None:
        """Why the secret cannot be read now, or None. Relative files are relative to `base`."""
        if self.env:
            return None if os.environ.get(self.env) else f"environment variable {self.env} is not set"
        try:
            return None if (base / self.file).read_text("utf-8").strip() else f"file {self.file} is empty"
        except OSError as error:
            return f"file {self.file} cannot be read ({error.strerror})"
        except ValueError:  # bytes that are not UTF-8, or a path that cannot be one
            return f"file {self.file!r} does not hold text"

    def read(self, base: Path) -> str:
        """The secret itself. Raises ValueError where `problem` says why it cannot be read."""
        if (problem := self.problem(base)) is not None:
            raise ValueError(problem)
        return os.environ[self.env] if self.env else (base / self.file).read_text("utf-8").strip()


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file's text, byte for byte, and the name that faults show."""

    name: str
    text: str


def read_text(path: Path, shown: str | None = None) -> tuple[TextFile | None, list[Fault]]:
    """The text of a file, or the one fault that prevents reading it."""
    name = shown or str(path)
    try:
        return TextFile(name, path.read_bytes().decode("utf-8")), []
    except FileNotFoundError:
        return None, [Fault(name, "", "the file does not exist", "Create it, or name another file")]
    except UnicodeDecodeError:
        return None, [Fault(name, "", "the file is not UTF-8 text", "Save it again as UTF-8")]
    except OSError as error:
        return None, [Fault(name, "", f"the file cannot be read ({error.strerror})", "Check its permissions")]


def read_toml(path: Path, shown: str | None = None) -> tuple[dict[str, Any], list[Fault]]:
    """The tables of a TOML file, or the one fault that prevents reading it."""
    file, faults = read_text(path, shown)
    return ({}, faults) if file is None else parse_toml(file.text, file.name)


def parse_toml(text: str, name: str) -> tuple[dict[str, Any], list[Fault]]:
    """The tables of a TOML text, or the one fault that prevents reading it."""
    plain = text.removeprefix("\ufeff")  # editors on Windows put a mark before the first line
    try:
        return tomllib.loads(plain.replace("\r\n", "\n").replace("\r", "\n")), []
    except tomllib.TOMLDecodeError as error:
        return {}, [Fault(name, "", f"not valid TOML: {error}", "Correct the line that is named")]
    except RecursionError:
        return {}, [Fault(name, "", "brackets are nested too deeply", "Remove the superfluous ones")]


def load(model: type[Model], path: Path, shown: str | None = None) -> tuple[Model | None, list[Fault]]:
    """Read `path` as `model`. Gives None and all faults, or the model and no fault. Nothing is raised."""
    tables, faults = read_toml(path, shown)
    if faults:
        return None, faults
    return validate(model, tables, shown or str(path))


def validate(model: type[Model], tables: Mapping[str, Any], shown: str) -> tuple[Model | None, list[Fault]]:
    """Check `tables` against `model`; `shown` names the file in faults."""
    try:
        return model.model_validate(tables), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
        wrong = [e["loc"] for e in errors]
        # a list of which every entry is wrong is not, besides, too short
        real = [e for e in errors if e["type"] != "too_short" or not any(inside(loc, e["loc"]) for loc in wrong)]
        page = model.page if issubclass(model, Settings) else Settings.page
        return None, sorted({fault_of(e, shown, tables, page) for e in real})


def inside(path: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer


def fault_of(
    error: ErrorDetails, shown: str, tables: Mapping[str, Any] | None = None, page: str = Settings.page
) -> Fault:
    """One validation error in our words. A ValueError of ours may hold its remedy after a '|'."""
    key = key_of(error, tables)
    kind, given = error["type"], error.get("input")
    context: dict[str, Any] = error.get("ctx") or {}
    if kind == "missing":
        return Fault(shown, key, "the key is missing", f"Add it; {page} describes it")
    if kind == "extra_forbidden":
        return Fault(shown, key, "the key is unknown", "Correct its spelling or remove it")
    if kind == "value_error":
        problem, _, remedy = str(context.get("error", error["msg"])).partition("|")
        return Fault(shown, key, problem, remedy or "Correct the value")
    if kind in ("union_tag_invalid", "literal_error", "enum"):
        allowed = context.get("expected_tags") or context.get("expected")
        wrong = context.get("tag", given)
        key = f"{key}.kind" if kind == "union_tag_invalid" else key
        return Fault(shown, key, f"{wrong!r} is not one of the possible values", f"Use one of {allowed}")
    if kind == "union_tag_not_found":
        return Fault(shown, key, "the key 'kind' is missing", f'Add kind = "…"; {page} describes them')
    if kind in ("tuple_type", "list_type") and isinstance(given, Mapping):
        brackets = re.sub(r"\[\d+\]", "", key)
        return Fault(
            shown, key, "one table is given where a list is meant", f"Write [[{brackets}]] in double brackets"
        )
    if kind == "string_pattern_mismatch":
        return Fault(shown, key, f"{short(given)} is not of the form that is needed", f"{page} describes it")
    message = MEANT.get(kind) or error["msg"][:1].lower() + error["msg"][1:]
    return Fault(shown, key, f"{message} (found {short(given)})", "Correct the value")


TABLE, LIST, NUMBER, YES_OR_NO = (
    f"{what} is meant here" for what in ("a table", "a list", "a whole number", "true or false")
)
MEANT = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type", "mapping_type"), TABLE),
    **dict.fromkeys(("tuple_type", "list_type"), LIST),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "finite_number"), NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), YES_OR_NO),
    "string_type": "text in quotation marks is meant here",
    "too_short": "the list is empty, at least one entry is needed",
}
"""pydantic's words for a value of the wrong type, in words for people who write TOML"""


def key_of(error: ErrorDetails, tables: Mapping[str, Any] | None = None) -> str:
    """Dotted path of an error as in the file: list entries counted from 1, without the tags that pydantic adds.

    Where a value may be one of several types, pydantic puts into the path which of them it tried, right behind the
    value: the `kind` of a table, or the name of a type. `tables` is the file's content, in which these are told from
    keys.
    """
    parts, here, entered = "", tables, False  # the file itself is no choice between types, whatever its `kind`
    for part in error["loc"]:
        if isinstance(part, int):
            parts += f"[{part + 1}]"
        elif tables is not None and is_tag(part, here, entered, error["type"]):
            entered = False  # a key of the same name may follow
            continue
        else:
            parts += f".{part}" if parts else str(part)
        here, entered = step(here, part), True
    return parts


def is_tag(part: str, here: Any, entered: bool, problem: str) -> bool:
    """Whether a part of an error's path is no key of the table `here`, which has just been `entered`."""
    if not isinstance(here, Mapping):
        return True
    return (entered and here.get("kind") == part) or (part not in here and problem != "missing")


def step(here: Any, part: str | int) -> Any:
    """The value one step down a path, None where there is none."""
    if isinstance(part, int):
        return here[part] if isinstance(here, list | tuple) and part < len(here) else None
    return here.get(part) if isinstance(here, Mapping) else None


def short(value: object) -> str:
    text = value.isoformat() if isinstance(value, date) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
