"""`monitor explain FLAG`: why a flag exists, the same words as on its page and in the API."""

from __future__ import annotations

import argparse

from monitor.cli import UserError
from monitor.commands.common import database, load
from monitor.reasoning import reasoning
from monitor.store.flags import get_flag


def main(options: argparse.Namespace) -> int:
    config, _ = load(options.config)
    with database(config) as db:
        record = get_flag(db, options.flag)
    if record is None:
        raise UserError(f"there is no flag {options.flag!r}; GET /api/v1/flags lists them")
    for sentence in reasoning(record.flag, config.zone):
        print(sentence)
    return 0
