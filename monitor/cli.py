"""The command line: arguments and exit codes. Each command lives in monitor/commands and is imported when it runs.

Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 done but some rows were rejected (import).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from monitor.modules import loaded

COMMANDS = {
    "run": ("run the daemon", "monitor.commands.run"),
    "check": ("validate the configuration and all plans; print every fault", "monitor.commands.check"),
    "import": ("read observation sheets into the database", "monitor.commands.imports"),
    "replay": ("evaluate history as it would have been seen then; needs no database", "monitor.commands.replay"),
    "tune": ("a rule's history before it goes live, for several values of a threshold", "monitor.commands.tune"),
    "explain": ("the reasoning behind one flag", "monitor.commands.explain"),
    "tokens": ("make, list and revoke access tokens of the API", "monitor.commands.tokens"),
    "users": ("accounts: who may sign in, with which roles", "monitor.commands.users"),
    "roster": ("people, their contacts, and who is on duty when", "monitor.commands.roster"),
    "records": ("decisions in force, and what people saw", "monitor.commands.records"),
    "duties": ("who reports what by when", "monitor.commands.duties"),
}


class UserError(Exception):
    """Something that the caller can mend. The message says what, where and how; no trace is printed."""


def build_parser() -> argparse.ArgumentParser:
    """All commands with their arguments."""
    parser = argparse.ArgumentParser(
        prog="monitor", description="Early-warning daemon for prices and financial risk."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    made = {name: commands.add_parser(name, help=text, description=text) for name, (text, _) in COMMANDS.items()}
    for name in ("run", "check", "import", "explain", "tokens", "users", "roster", "records", "duties"):
        made[name].add_argument(
            "--config", type=Path, default=Path("config.toml"), help="configuration file (default: config.toml)"
        )
    made["import"].add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV, CSV.gz, XLSX or JSON lines")
    made["import"].add_argument(
        "--source", default="import", help="name of the source; one that is configured lends its columns"
    )
    made["import"].add_argument("--json", action="store_true", help="print one JSON object per file")
    for name in ("replay", "tune"):
        made[name].add_argument(
            "--input", nargs="+", type=Path, required=True, metavar="FILE", help="observation sheets"
        )
        made[name].add_argument("--plan", metavar="ID", help="evaluate for this plan only")
        made[name].add_argument(
            "--config", type=Path, help="take plans, rule packs and catalogues from this configuration"
        )
    add_tune(made["tune"])
    replay = made["replay"]
    replay.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for flags.csv, summary.json, rejects.csv"
    )
    replay.add_argument(
        "--rules", type=Path, metavar="FILE", help="a rule pack that takes the place of those switched on"
    )
    replay.add_argument(
        "--from", dest="begin", type=day, metavar="D", help="leave out flags first flagged before this day"
    )
    replay.add_argument("--to", dest="until", type=day, metavar="D", help="leave out observations after this day")
    made["explain"].add_argument("flag", metavar="FLAG", help="id of the flag")
    either = made["explain"].add_mutually_exclusive_group()
    either.add_argument("--json", action="store_true", help="what GET /api/v1/flags/FLAG gives")
    either.add_argument(
        "--reproduce",
        nargs="?",
        const="last",
        choices=("first", "last", "all"),
        help="evaluate again what was known then, by the rules of then, and compare: what the flag says now (last,"
        " the default), what it said at first, or all that it ever said; exit 1 where anything differs",
    )
    add_tokens(made["tokens"])
    add_users(made["users"])
    add_roster(made["roster"])
    add_records(made["records"])
    add_duties(made["duties"])
    return parser


def add_tune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", type=Path, required=True, metavar="PACK", help="the rule pack, a TOML file")
    parser.add_argument("--rule", metavar="ID", help="the rule, where the pack has several")
    parser.add_argument(
        "--vary",
        metavar="KEY[=V1,V2,…]",
        help="the key that is varied and its values: percent=5,10,20 or when.all[1].percent; values left out: round"
        " the rule's own; left out as a whole: the rule's threshold, if it has one only",
    )
    parser.add_argument(
        "--events",
        type=Path,
        metavar="FILE",
        help="CSV of the events that should be found: item,direction,start and optionally point,after,end,kind,file",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for tune.csv, tune.png, tune-events.csv"
    )


def add_tokens(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a token; it is shown once")
    create.add_argument("name", help="what uses it; names the source of what is pushed with it")
    create.add_argument("--scope", action="append", required=True, dest="scopes", help="may be given several times")
    create.add_argument(
        "--area", action="append", dest="areas", help="for this area only; repeatable (default: everywhere)"
    )
    create.add_argument("--days", type=from_1_to(36_500), help="days until it expires (default: never)")
    actions.add_parser("list", help="all tokens, without the tokens themselves")
    revoke = actions.add_parser("revoke", help="make a token useless")
    revoke.add_argument("name")


def add_users(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="all accounts")
    for name, what in (("add", "make an account"), ("roles", "show the roles of an account, or replace them all")):
        made = actions.add_parser(name, help=what)
        made.add_argument("name")
        made.add_argument(
            "--role",
            action="append",
            default=[],
            dest="roles",
            metavar="ROLE[=AREA,…]",
            help="viewer, reporter, monitor, duty, technician, approver, commander, auditor or admin; without areas:"
            " everywhere; repeatable",
        )
        made.add_argument("--point", action="append", default=[], dest="points", help="of a reporter; repeatable")
        if name == "add":
            made.add_argument("--shown", default="", help="how pages call the person (default: the name)")
            made.add_argument("--generate", action="store_true", help="make a password up and show it once")
    passwd = actions.add_parser("passwd", help="another password; read from standard input where that is no terminal")
    passwd.add_argument("name")
    passwd.add_argument("--generate", action="store_true", help="make it up and show it once")
    for name, what in (
        ("disable", "switch an account off: it cannot sign in, its sessions end"),
        ("enable", "switch it on again"),
        ("unlock", "forget its failures to sign in"),
        ("reset-totp", "take its second factor away"),
        ("end-sessions", "end its sessions and forget its browsers"),
    ):
        actions.add_parser(name, help=what).add_argument("name")


def add_roster(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    show = actions.add_parser("show", help="who is on duty now and in the days ahead, and gaps")
    show.add_argument("--days", type=from_1_to(3_660), default=7, help="how many days ahead (default: 7)")
    person = actions.add_parser("add-person", help="somebody who can be on duty")
    person.add_argument("name")
    contact = actions.add_parser("add-contact", help="a way to reach a person")
    contact.add_argument("name")
    contact.add_argument("channel", help="name of a configured channel")
    contact.add_argument("address")
    contact.add_argument("--priority", type=from_1_to(99), default=1, help="1 is used first")
    shift = actions.add_parser("add-shift", help="when a person is on duty")
    shift.add_argument("name")
    shift.add_argument("duty", choices=("monitoring", "technical"))
    shift.add_argument("start", help="2026-01-05T08:00, in the zone of the installation")
    shift.add_argument("end")
    for name, what in (("remove-contact", "number of the contact"), ("remove-shift", "number of the shift")):
        actions.add_parser(name, help=f"by its {what}, as `show` lists it").add_argument(
            "number", type=from_1_to(2**53)
        )
    for name in ("activate", "deactivate"):
        actions.add_parser(name, help="switch a person on or off").add_argument("name")


def add_records(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="a decision, or something seen")
    add.add_argument("kind", choices=("decision", "observed"))
    add.add_argument(
        "measure", help="of a decision 干预 or 紧急; else what was seen: 抢购, 流言, 乱收费, 扩散风险, …"
    )
    add.add_argument("--issuer", default="", help="国务院 or 省政府; of what was seen, who reports it")
    add.add_argument("--document", default="", help="number of the document; a decision needs one")
    add.add_argument("--start", required=True, help="2026-03-01, or with a time; in the zone of the installation")
    add.add_argument("--end", help="if it is known: from then on it does not hold")
    for name, what in (("item", "whole name of an item"), ("class", "a class of the catalogue"), ("area", "an area")):
        add.add_argument(f"--{name}", action="append", default=[], dest=f"{name}_names", help=f"{what}; repeatable")
    add.add_argument("--note", default="")
    shown = actions.add_parser("list", help="what holds now")
    shown.add_argument("--all", action="store_true", help="also what holds no longer or not yet")
    lift = actions.add_parser("lift", help="end a record, or correct its end; what was said before is kept")
    lift.add_argument("id", help="as `list` shows it")
    lift.add_argument("--end", required=True, help="2026-04-01, or with a time: from then on it does not hold")
    lift.add_argument("--note", default="")


def add_duties(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    shown = actions.add_parser("list", help="the office's duties; those of config.toml stand there")
    shown.add_argument("--all", action="store_true", help="also what holds no longer")
    for name, what in (("add", "a new duty"), ("change", "what a duty says from a day on; all of it is given anew")):
        made = actions.add_parser(name, help=what)
        if name == "change":
            made.add_argument("id", help="as `list` shows it")
        made.add_argument("--point", default="", help="monitoring point (default: all)")
        made.add_argument(
            "--item", action="append", default=[], dest="item_names", help="whole name of an item; repeatable"
        )
        made.add_argument("--class", default="", dest="item_class", help="a class of the catalogue instead of items")
        made.add_argument(
            "--days",
            required=True,
            help="working (every working day), daily, weekdays such as mon,thu, a number of days such as 7d, usual"
            " (as reported so far), emergency (every day, holidays included, before all others), none (need not be"
            " reported)",
        )
        made.add_argument("--working-days", action="store_true", help="weekdays or 7d: not on days off")
        made.add_argument("--due", default="10:00", help="time of the day (default: 10:00)")
        made.add_argument("--from", type=day, dest="begin", metavar="D", help="first day (default: today)")
        made.add_argument("--until", type=day, metavar="D", help="last day (default: until it is ended)")
        made.add_argument("--note", default="", help="such as the document it rests on")
    end = actions.add_parser("end", help="a duty holds no longer; what was said before is kept")
    end.add_argument("id", help="as `list` shows it")
    end.add_argument("--from", type=day, dest="begin", metavar="D", help="first day without it (default: today)")
    end.add_argument("--note", default="")


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day, write it as 2026-01-31") from None


def from_1_to(most: int) -> Callable[[str], int]:
    """A whole number within bounds, as an argument's type."""

    def whole(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 20 or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")
        return int(text)

    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command == "replay" and options.begin and options.until and options.begin > options.until:
        parser.error(f"--from {options.begin} is after --to {options.until}")
    try:
        code: int = loaded(COMMANDS[options.command][1]).main(options)
        sys.stdout.flush()
    except UserError as error:
        print(f"monitor {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was stored stays", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("MONITOR_TRACE"):
            raise
        print(
            f"monitor {options.command}: a fault in the program ({type(error).__name__}: {error}). Please report it;"
            " with MONITOR_TRACE=1 in the environment the same command shows where it is",
            file=sys.stderr,
        )
        return 1
    return code
