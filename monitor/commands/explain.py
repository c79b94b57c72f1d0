"""`monitor explain FLAG`: why a flag exists, as on its page and in the API; and whether it comes out again."""

from __future__ import annotations

import argparse
import json

from pydantic_core import to_jsonable_python

from monitor.cli import UserError
from monitor.commands.common import database, load
from monitor.flag_facts import flag_facts
from monitor.store.database import Database
from monitor.store.flag_codes import by_code
from monitor.store.flag_rows import FlagRecord
from monitor.store.flags import get_flag


def main(options: argparse.Namespace) -> int:
    config, _ = load(options.config)
    with database(config) as db:
        record = get_flag(db, options.flag) or of_code(db, options.flag)
        if record is None:
            raise UserError(
                f"there is no flag {options.flag!r}; give the id from its address, or the code (编号) of its messages"
            )
        facts = flag_facts(db, record, config.zone)
        if options.json:
            print(json.dumps(to_jsonable_python(facts), ensure_ascii=False, indent=2))
        else:
            print("\n".join(facts["reasoning"]))
        return reproduced(db, record.flag.id, options.reproduce) if options.reproduce else 0


def of_code(db: Database, code: str) -> FlagRecord | None:
    found = by_code(db, code)
    return get_flag(db, found) if found else None


def reproduced(db: Database, flag_id: str, which: str) -> int:
    """Make the evaluations again that gave the states asked for; 1 where one differs or cannot be made."""
    from monitor.reproduce import CannotReproduceError, reproduce
    from monitor.store.flag_states import flag_states

    states = flag_states(db, flag_id)
    chosen = {"first": states[:1], "last": states[-1:], "all": states}[which]
    code = 0
    for state in chosen:
        name = f"state {state.number} of {len(states)}"
        try:
            made = reproduce(db, state)
        except CannotReproduceError as error:
            print(f"{name}: cannot be reproduced: {error}")
            code = 1
            continue
        stamp = made.evaluated.stamp
        rests = f"data revision {stamp.data}, policy {stamp.policy}, {made.observations} observations"
        verdict = "identical" if made.identical else f"{len(made.differences)} differences"
        print(f"{name}: {verdict} ({rests})")
        for line in (*made.differences, *made.notes):
            print(f"  {line}")
        code = code if made.identical else 1
    return code
