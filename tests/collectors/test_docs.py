"""docs/collectors.md: every option is explained, every example is valid, and those that can run, run."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from collectors.base import SourceOptions
from collectors.demo import DemoOptions
from collectors.folder import FolderOptions
from collectors.http_json import HttpCollector, HttpOptions
from collectors.http_paging import Paging
from collectors.prometheus import PrometheusOptions
from collectors.push import PushOptions
from collectors.sql import SqlCollector, SqlOptions
from tests.collectors.servers import WebServer

PAGE = (Path(__file__).parents[2] / "docs" / "collectors.md").read_text("utf-8")
KINDS: dict[str, type[SourceOptions]] = {
    "http": HttpOptions,
    "sql": SqlOptions,
    "prometheus": PrometheusOptions,
    "folder": FolderOptions,
    "push": PushOptions,
    "demo": DemoOptions,
}
SECTIONS = dict(re.findall(r'^## [^\n]*`kind = "(\w+)"`\n(.*?)(?=^## |\Z)', PAGE, re.DOTALL | re.MULTILINE))


def examples(kind: str) -> list[dict[str, Any]]:
    return [
        tomllib.loads(block)["source"][0] for block in re.findall(r"```toml\n(.*?)```", SECTIONS[kind], re.DOTALL)
    ]


def scripts(kind: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", SECTIONS[kind], re.DOTALL)


def test_every_kind_has_its_section() -> None:
    assert SECTIONS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_of_a_kind_is_explained_in_its_section(kind: str) -> None:
    own = KINDS[kind].model_fields.keys() - SourceOptions.model_fields.keys() - {"kind"}
    assert [name for name in own if f"`{name}`" not in SECTIONS[kind]] == []


def test_every_key_of_paging_is_explained() -> None:
    assert [name for name in Paging.model_fields if f"`{name}`" not in SECTIONS["http"] and name != "kind"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_is_a_valid_source(kind: str) -> None:
    assert examples(kind)
    for example in examples(kind):
        TypeAdapter(KINDS[kind]).validate_python(example)


def test_the_first_http_example_runs_on_what_its_script_makes(web: WebServer, now: datetime, tmp_path: Path) -> None:
    make = scripts("http")[0].splitlines()[0]
    subprocess.run(["sh", "-c", make], cwd=tmp_path, check=True)
    served = (tmp_path / "prices.json").read_bytes()
    url = web.on("/prices.json", lambda e: e.send(served, content_type="application/json"))
    options = HttpOptions.model_validate({**examples("http")[0], "url": url})
    (fetched,) = HttpCollector(options).fetch({}, now)
    assert (fetched.batch.keys[0].item, fetched.batch.value.tolist()) == ("大米", [5.2])


def test_the_first_sql_example_runs_on_what_its_script_makes(now: datetime, tmp_path: Path) -> None:
    script = scripts("sql")[0].replace("python3", sys.executable, 1)
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
    (fetched,) = SqlCollector(SqlOptions.model_validate(examples("sql")[0]), base=tmp_path).fetch({}, now)
    assert (fetched.batch.keys[0].item, fetched.batch.value.tolist()) == ("大米", [5.2])
