"""`monitor check`: every fault of configuration and plans; exit 0 when there is none."""

from __future__ import annotations

import argparse

from monitor.check import check


def main(options: argparse.Namespace) -> int:
    report = check(options.config, str(options.config))
    for fault in report.faults:
        print(f"fault: {fault}")
    for warning in report.warnings:
        print(f"warning: {warning}")
    if report.faults:
        print(f"{len(report.faults)} faults, {len(report.warnings)} warnings")
        return 1
    policy = report.policy
    assert policy is not None
    plans = ", ".join(f"{p.id} {p.version}" for p in policy.plans.values())
    packs = ", ".join(sorted(p.id for p in (*policy.packs, *policy.exits)))
    print(f"no faults, {len(report.warnings)} warnings; plans: {plans}; rules: {packs}")
    return 0
