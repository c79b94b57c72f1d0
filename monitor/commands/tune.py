"""`monitor tune`: a rule's history before it goes live, for several values of one of its thresholds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from monitor.cli import UserError
from monitor.commands.common import progress, shown
from monitor.commands.replay import governed, read_all
from monitor.event_list import EventList, EventListError, read_events
from monitor.tuned import Result, Tried, left_out, tell, tell_left_out, write
from thresholds import varying
from thresholds.plan import Pack, Policy, Rule
from thresholds.replay import panel_of, write_rejects
from thresholds.settings import read_toml
from thresholds.trial import PERCENTS, RuleError, Trial, percent_rule
from thresholds.varying import Draft, Place, Value


def main(options: argparse.Namespace) -> int:
    policy, _, zone = governed(options)
    draft, where, values = asked(options, policy)
    listed = events_of(options, zone)
    batch, mark, rejects = read_all(options.input, str(zone))
    panel = panel_of(batch, mark, zone)
    if not len(panel):
        raise UserError("the sheets hold no observation that could be read")
    variants, refused = variants_of(draft, where, values, given="=" in (options.vary or ""))
    with progress("gate", 0):
        trial = Trial(panel, policy, zone)
    result = tried(trial, draft, where, variants, listed)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        write_rejects(options.out, rejects)
        write(options.out, result, listed)
    except OSError as error:
        raise UserError(
            f"cannot write to {options.out} ({error.strerror}); name a folder that can be written"
        ) from error
    tell_left_out(result, listed, refused)
    tell(result, options.out)
    print(f"rows rejected: {sum(map(len, rejects.values()))}")
    return 0


def asked(options: argparse.Namespace, policy: Policy) -> tuple[Draft, list[Place], list[Value]]:
    """The rule, the places of the key that is varied, and its values. Raises UserError."""
    name = str(options.rules)
    tables, faults = read_toml(options.rules, name)
    if faults:
        raise UserError(shown(faults))
    key, equals, text = (options.vary or "").partition("=")
    try:
        draft = varying.drafted(policy.packs[0], tables, name, options.rule)
        every = varying.places(draft.rule)
        where = varying.called(every, key.strip()) if key.strip() else varying.threshold(every)
        values = (
            [varying.parsed(v.strip()) for v in text.split(",") if v.strip()] if equals else varying.grid(where[0])
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    if not values:
        raise UserError(f"--vary {options.vary}: there is no value; write {key}=10,20,30")
    return draft, where, list(dict.fromkeys(values))


def variants_of(
    draft: Draft, where: Sequence[Place], values: Sequence[Value], *, given: bool
) -> tuple[list[tuple[Value, Pack]], list[Value]]:
    """The pack for each value. Values that a rule cannot have are a fault where somebody gave them; of a grid of our
    own they are left out."""
    variants, refused = [], []
    for value in values:
        pack, faults = draft.with_value(where, value)
        if pack is not None:
            variants.append((value, pack))
        elif given:
            raise UserError(f"--vary, value {value}: {shown(faults)}")
        else:
            refused.append(value)
    return variants, refused


def events_of(options: argparse.Namespace, zone: ZoneInfo) -> EventList | None:
    if options.events is None:
        return None
    try:
        return read_events(options.events, {path.name for path in options.input}, zone)
    except EventListError as error:
        raise UserError(str(error)) from error


def tried(
    trial: Trial,
    draft: Draft,
    where: Sequence[Place],
    variants: Sequence[tuple[Value, Pack]],
    listed: EventList | None,
) -> Result:
    """Try every value, and the one-line rule with its own."""
    first = variants[0][1]
    watched = trial.watched(first.rules[0], first)
    if not watched.series:
        raise UserError(
            f"the rule {first.rules[0].id} watches nothing of these sheets: no item of its classes is there"
        )
    if not watched.series_weeks:
        raise UserError("no series of these sheets has two days: there is no history to try a rule on")
    judged = trial.judged(listed.events if listed else (), first.rules[0], first)
    if listed is not None and not judged.windows:
        raise UserError(f"none of the events can be judged on these sheets: {left_out(judged, listed)}")
    runs: list[Tried] = []
    with progress("trying", len(variants) + len(PERCENTS), unit="rules") as advance:

        def run(rule: Rule, pack: Pack, value: Value, own: bool) -> None:
            outcome = trial.run(rule, pack, judged.windows)
            flags = outcome.flags
            runs.append(Tried(value, own, outcome, watched.per_week(flags), watched.per_100_series_weeks(flags)))
            advance(len(runs))

        try:
            for value, pack in variants:
                run(pack.rules[0], pack, value, value == where[0].own)
            for percent in PERCENTS:
                run(percent_rule(first.rules[0], percent), first, percent, False)
        except RuleError as error:
            raise UserError(f"the rule {first.rules[0].id} fails on these sheets: {error}") from error
    n = len(variants)
    return Result(first.rules[0], watched, where, runs[:n], runs[n:], judged)
