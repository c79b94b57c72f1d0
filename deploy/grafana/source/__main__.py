"""Writes the dashboards beside this package: `python -m deploy.grafana.source`."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.source import delivery, health, overview, prices, quality

FOLDER = Path(__file__).parents[1] / "dashboards"
DASHBOARDS = {
    part.__name__.rpartition(".")[2]: part.dashboard for part in (overview, prices, quality, delivery, health)
}


def text_of(name: str) -> str:
    """The JSON file of one dashboard, as Grafana provisions it."""
    return json.dumps(DASHBOARDS[name](), cls=JSONEncoder, ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    for name in DASHBOARDS:
        (FOLDER / f"{name}.json").write_text(text_of(name), "utf-8")
        print(f"{name}.json")


if __name__ == "__main__":
    main()
