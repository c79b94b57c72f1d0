"""The scripts and styles that tools/assets.py built: their addresses by name, and how long a browser may keep them.

Without them the pages work all the same, only plainly; the log names once what is missing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import mimetypes
from functools import cache, lru_cache
from importlib.metadata import version
from os import stat_result
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

log = logging.getLogger("monitor.web")
STATIC = Path(__file__).parents[1] / "static"
BUILT = "dist"
A_YEAR = "public, max-age=31536000, immutable"  # the name changes with the content
ASK_AGAIN = "no-cache"


def url(name: str) -> str:
    """'console.css' -> '/static/dist/console-4F2A….css'; '' where it was not built: the page is plain then."""
    found = manifest().get(name)
    if found is None:
        say_missing(name)
        return ""
    return f"/static/{BUILT}/{found}"


def path(name: str) -> Path | None:
    """The built file; None where it was not built."""
    found = manifest().get(name)
    return STATIC / BUILT / found if found else None


def build() -> str:
    """A word that changes with every built file and with every version of the program."""
    said = json.dumps([version("price-risk-monitor"), sorted(manifest().items())])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def manifest() -> dict[str, str]:
    """File names by source; empty when nothing was built. Read again when it was built again."""
    path = STATIC / BUILT / "manifest.json"
    try:
        return read_manifest(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}


@lru_cache(maxsize=1)
def read_manifest(path: Path, _changed: int) -> dict[str, str]:
    found: dict[str, str] = json.loads(path.read_bytes())
    return found


@cache
def say_missing(name: str) -> None:
    log.error("%s was not built: pages that use it are plain until `make assets` was run", name)


class Static(StaticFiles):
    """Files of this package: what was built is sent compressed and kept by browsers for good, the rest is asked for
    again. (Pages are not compressed: with secrets and what visitors wrote in one answer, its length would tell.)"""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    def file_response(self, full_path: Any, stat_result: stat_result, scope: Any, status_code: int = 200) -> Response:
        path = Path(full_path)
        built = path.parent.name == BUILT and path.suffix != ".json"
        packed = path.with_name(path.name + ".gz")
        if built and "gzip" in Headers(scope=scope).get("accept-encoding", "") and packed.exists():
            answer = super().file_response(packed, packed.stat(), scope, status_code)
            answer.headers["Content-Encoding"] = "gzip"
            answer.headers["Content-Type"] = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        else:
            answer = super().file_response(full_path, stat_result, scope, status_code)
        if built:
            answer.headers["Vary"] = "Accept-Encoding"
        answer.headers["Cache-Control"] = A_YEAR if built else ASK_AGAIN
        return answer
