"""Policies that flags were raised under: their files, each text stored once, and where each rule came from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from monitor.schema import policy as policy_table
from monitor.store.database import Database, insert_into
from monitor.store.stamps import keep_texts, read_texts
from monitor.store.text import seconds
from thresholds.plan import Policy, PolicyTexts
from thresholds.settings import TextFile

FILES, CATALOGUES = "file", "catalogue"


def keep_policy(db: Database, policy: Policy, settings: str, now: datetime) -> str:
    """Store a policy, unless its version is stored, and the text of the settings; gives the digest of that text."""
    parts = [(FILES, file) for file in policy.texts.files] + [(CATALOGUES, file) for file in policy.texts.catalogues]
    with db.begin() as connection:
        digests = keep_texts(connection, [*(file.text for _, file in parts), settings])
        files = [[part, file.name, digest] for (part, file), digest in zip(parts, digests[:-1], strict=True)]
        new = insert_into(connection, policy_table).values(
            version=policy.version,
            stored_at=seconds(now),
            plans=list(policy.texts.plans),
            packs=list(policy.texts.packs),
            files=files,
            rules=rules_of(policy),
        )
        connection.execute(new.on_conflict_do_nothing())
    return digests[-1]


def rules_of(policy: Policy) -> dict[str, dict[str, Any]]:
    """By id of a rule: what it is and where it comes from."""
    return {
        rule.id: {
            "title": rule.title,
            "advice": rule.advice,
            "pack": pack.id,
            "pack_title": pack.title,
            "pack_version": pack.version,
            "effect": pack.effect,
            "source": pack.source_of(rule).model_dump(),
        }
        for pack in (*policy.packs, *policy.exits)
        for rule in pack.rules
    }


def read_policy(db: Database, version: str) -> PolicyTexts | None:
    """What a stored policy was made of, or None where this version is not stored."""
    p = policy_table.c
    with db.connect() as connection:
        row = connection.execute(select(p.plans, p.packs, p.files).where(p.version == version)).one_or_none()
        if row is None:
            return None
        texts = read_texts(connection, [digest for _, _, digest in row.files])
    by_part = {
        wanted: tuple(TextFile(name, texts[digest]) for part, name, digest in row.files if part == wanted)
        for wanted in (FILES, CATALOGUES)
    }
    return PolicyTexts(by_part[FILES], by_part[CATALOGUES], tuple(row.plans), tuple(row.packs))


def read_rules(db: Database, version: str) -> Mapping[str, Mapping[str, Any]]:
    """The rules of a stored policy as `rules_of` gives them; none where this version is not stored."""
    with db.connect() as connection:
        query = select(policy_table.c.rules).where(policy_table.c.version == version)
        return connection.execute(query).scalar_one_or_none() or {}
