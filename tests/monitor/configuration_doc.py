"""The tables of docs/configuration.md, made from the settings models: `python -m tests.monitor.configuration_doc`.

Between `<!-- keys: NAME -->` and `<!-- end -->` stands one row per key: type, default and description. Descriptions
are the texts under the attributes of the models, or the lines `key   text` of a model's docstring.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import types
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from alerts.channels.factory import AnyChannel
from collectors.base import Expectation, SourceOptions
from monitor.areas import AreaOptions
from monitor.config_model import Config, Source
from thresholds.settings import SECONDS, Secret, Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
BLOCK = re.compile(r"<!-- keys: (?P<name>[\w.]+) -->\n(?P<body>.*?)<!-- end -->", re.DOTALL)

KNOWN = {
    # what the models say in a place that this cannot read, or take for granted
    "kind": "which sort it is; the heading says it",
    "name": "its own name: state, metrics and contacts are kept by it",
    "timeout": "longest time of one attempt, from connecting to the answer",
    "overlap": "how far before the newest stored value is asked again, for late and corrected values",
    "history": "how far back is asked at the first time",
    "connect_timeout": "longest time until the far end accepts the connection",
    "host": "name or address of the far end",
    "url": "web address",
    "bearer": "sent as `Authorization: Bearer …`",
    "basic": "name and password (HTTP Basic)",
    "headers": "further fixed headers; no secrets",
    "secret_headers": "headers whose value is a secret",
    "params": "query parameters; may hold {since:FORMAT} and {now:FORMAT}",
    "secret_params": "query parameters whose value is a secret",
    "tries": "attempts at one request, with growing waits",
    "user": "name",
    "password": "its secret",
    "web.host": "address to listen on: 127.0.0.1 for this machine, 0.0.0.0 for all",
    "web.port": "port to listen on; 0: any free one, which the log names",
    "web.max_body_bytes": "largest body of one request, unpacked",
    "web.max_rows": "most observations in one request",
    "web.body_timeout": "longest time in which a body must have come",
    "web.oidc": "signing in with the accounts of the office, see below",
    "alerts.default_targets": "who is told while nobody on duty can be reached",
    "alerts.default_targets.channel": "name of a channel",
    "alerts.default_targets.address": "telephone number, mail address or what the channel needs",
    "alerts.default_targets.name": "how messages and logs call it",
    "metrics.watched": "item names, with * and ? as wildcards, whose latest values are shown",
    "metrics.watched_limit": "most series with their latest value",
    "metrics.groups": "most values of every other label that grows with the data",
    "source.enabled": "false: it is not asked, and its silence is not flagged",
    "source.every": "interval at which it is asked",
    "source.cron": "times at which it is asked, in `timezone`",
    "source.cadence": "how often new data is expected",
    "source.grace": "how much later than expected it may be before silence is flagged",
    "source.expect": "series with another cadence, see below",
    "source.expect.item": "item name",
    "source.expect.item_class": "class of the catalogue",
    "source.expect.point": "monitoring point",
    "source.expect.cadence": "how often new data of these series is expected",
    "source.expect.grace": "how much later it may be before silence is flagged",
    "source.http.format": "what the answer is; auto: what its content type says",
    "source.http.encoding": "encoding of the text where the answer does not say it",
    "source.http.success": "how an answer says that it is an error although HTTP says 200",
    "source.http.paging": "how the answer is divided into pages",
    "source.http.max_pages": "most pages in one fetch",
    "source.http.paging.kind": "how the next page is asked: by its number, the row number, a cursor or an address"
    " in the answer, or by the Link header",
    "source.http.paging.param": "query parameter that says which page",
    "source.http.paging.path": "where the answer holds the cursor or address of the next page",
    "source.http.paging.pages": "where the answer holds the number of pages",
    "source.http.paging.size": "rows per page; 0: as the source likes",
    "source.http.paging.size_param": "query parameter that says how many rows",
    "source.sql.chunk_rows": "rows stored in one transaction where `ordered`",
    "source.sql.row_limit": "most rows of a result that is not ordered",
    "source.prometheus.query": "PromQL",
    "source.prometheus.mode": "range: all values since the last fetch; instant: the value now",
    "source.prometheus.step": "distance between two values of a range",
    "channel.webhook.success": "what the answer holds when the message was taken, where HTTP 2xx is not enough",
    "channel.webhook.success.field": "key in the JSON answer",
    "channel.webhook.success.value": "its value when the message was taken",
    "channel.smtp.host": "mail server",
    "channel.smtp.username": "name at the mail server; empty: none is asked for",
    "channel.smtp.sender": "mail address that messages come from",
    "channel.smtp.sender_name": "name that messages come from",
}


def sections() -> dict[str, type[BaseModel]]:
    """{name in the page: model}: tables, sorts of sources and channels, and the models inside them."""
    found: dict[str, type[BaseModel]] = {}
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type):
            add(found, name, field.annotation)
    found["source"] = SourceOptions
    for kind, union in (("source", Source), ("channel", AnyChannel)):
        for model in get_args(get_args(union)[0]):
            add(found, f"{kind}.{get_args(model.model_fields['kind'].annotation)[0]}", model)
    found["source.expect"] = Expectation
    found["area"] = AreaOptions
    return found


def add(found: dict[str, type[BaseModel]], name: str, model: type[BaseModel]) -> None:
    """A model and those nested in it, except what every source has and secrets, which have sections of their own."""
    found[name] = model
    for key, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            if inner not in (Secret, Expectation):
                add(found, f"{name}.{key}", inner)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def own_keys(name: str, model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys listed in a section: a sort of source leaves out what every source has."""
    general = SourceOptions.model_fields if name.startswith("source.") and issubclass(model, SourceOptions) else {}
    changed = {key for key in general if model.model_fields[key].default != general[key].default}
    return {key: field for key, field in model.model_fields.items() if key not in general or key in changed}


def table(name: str, model: type[BaseModel]) -> str:
    described = descriptions(model)
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, field in own_keys(name, model).items():
        text = described.get(key) or KNOWN.get(f"{name}.{key}") or KNOWN.get(key, "")
        lines.append(f"| `{key}` | {type_of(field)} | {default_of(field)} | {text} |")
    return "\n".join(lines) + "\n"


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Settings) and base is not Settings:
            found |= described_in_docstring(base) | described_below(base)
    return found


@cache
def described_below(model: type) -> dict[str, str]:
    """The text under each attribute."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for line, following in zip(tree.body, tree.body[1:], strict=False):
        is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and is_text:
            found[line.target.id] = cell(following.value.value)  # type: ignore[attr-defined]
    return found


def described_in_docstring(model: type) -> dict[str, str]:
    """Lines of the form `key   text`, going on in the lines that are indented deeper."""
    found: dict[str, str] = {}
    for match in re.finditer(r"^(\w+) {2,}(\S.*(?:\n {2,}\S.*)*)", inspect.getdoc(model) or "", re.MULTILINE):
        found[match[1]] = cell(match[2])
    return found


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def type_of(field: FieldInfo) -> str:
    return words(field.annotation)


def words(annotation: Any) -> str:
    """A type in words for people who write TOML."""
    origin, arguments = get_origin(annotation), [a for a in get_args(annotation) if a not in (type(None), Ellipsis)]
    if origin is Annotated:
        return words(arguments[0])
    if origin is Literal:
        return " \\| ".join(f'`"{a}"`' for a in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(words(a) for a in arguments))
    if origin in (tuple, list):
        return f"list of {words(arguments[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"table of {words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Secret):
        return "secret"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " \\| ".join(f'`"{a}"`' for a in annotation)
    if annotation is Any:
        return "any value"
    simple = {timedelta: "duration", str: "text", int: "whole number", float: "number", bool: "`true` \\| `false`"}
    return simple.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())


def default_of(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    if field.is_required() or default is PydanticUndefined:
        return "**needed**"
    return (
        "see below"
        if isinstance(default, BaseModel)
        else f"`{toml(default)}`"
        if default not in (None, "")
        else "none"
    )


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return f'"{duration(value)}"'
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml(v) for v in value)}]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }" if value else "{}"
    return str(value) if isinstance(value, int | float) else f'"{value}"'


def duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    if seconds and seconds < 1:
        return f"{seconds * 1000:g}ms"
    unit = next(u for u in ("y", "d", "h", "m", "s") if seconds % SECONDS[u] == 0 or u == "s")
    return f"{seconds / SECONDS[unit]:g}{unit}"


def render(page: str) -> str:
    """The page with its tables as the models are now."""
    models = sections()

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- keys: {name} -->\n{table(name, models[name])}<!-- end -->"

    return BLOCK.sub(replace, page)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
