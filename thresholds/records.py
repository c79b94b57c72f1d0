"""Facts that people record: official decisions, and what is seen and cannot be measured.

A decision (a price intervention of the State Council or the province, emergency measures of the State Council) is a
legal fact with issuer, document number, scope, beginning and end: the only thing that raises price grades II and I
(P13; Price Law, arts. 30 to 32). What is observed (抢购, 流言, 乱收费, a risk of spreading) is the other half of the
national reporting trigger. Records come to the core as data, like observations; it never reads them itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal

import numpy as np
from pydantic import Field

from thresholds.catalogue import Classified, folded
from thresholds.model import BoolArray, IntArray, SeriesKey
from thresholds.panel import SHANGHAI
from thresholds.settings import Settings

STATE_COUNCIL, PROVINCE = "国务院", "省政府"
INTERVENTION, EMERGENCY = "干预", "紧急"
ISSUERS = {INTERVENTION: (STATE_COUNCIL, PROVINCE), EMERGENCY: (STATE_COUNCIL,)}
"""Who may take which measure: Price Law, arts. 30 and 31."""
WORDS = {INTERVENTION: "价格干预措施", EMERGENCY: "价格紧急措施"}

RecordKind = Literal["decision", "observed"]


@dataclass(frozen=True, slots=True)
class Record:
    """One fact in force from `start` until before `end` (epoch seconds; None: not lifted).

    measure   of a decision 干预 or 紧急; of what is observed a word such as 抢购
    issuer    of a decision who took it; else who reports it
    document  number of the document; only a decision needs one
    items, classes, areas: its scope. It holds for items that are named or of a class that is named; areas narrow it
    """

    id: str
    kind: RecordKind
    measure: str
    issuer: str
    document: str
    start: int
    end: int | None
    items: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()

    def covers(self, key: SeriesKey, area: str, classified: Classified) -> bool:
        """Whether it holds for a series."""
        if self.areas and folded(area) not in {folded(a) for a in self.areas}:
            return False
        return folded(key.item) in {folded(i) for i in self.items} or bool(set(self.classes) & set(classified.chain))

    def holds(self, time: IntArray) -> BoolArray:
        """bool[n]: times at which it is in force."""
        found: BoolArray = (time >= self.start) & (time < (np.iinfo(np.int64).max if self.end is None else self.end))
        return found

    @property
    def words(self) -> str:
        """As it is said in the reason of a flag."""
        if self.kind == "decision":
            return f"{self.issuer}依法实行{WORDS.get(self.measure, self.measure)}（{self.document}）"
        return f"记录到{self.measure}" + (f"（{self.issuer}）" if self.issuer else "")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with one field: in Chinese for the API, in English for the command line and files."""

    zh: str
    en: str


def problems(record: Record, classes: Collection[str] | None = None) -> dict[str, Wrong]:
    """What is wrong with a record, by field; empty where it may be stored.

    classes  those of the catalogue, where they are known: a class that is not among them would cover nothing
    """
    found: dict[str, Wrong] = {}
    if classes is not None and (unknown := [c for c in record.classes if c not in classes]):
        found["classes"] = Wrong(f"目录中没有品类“{unknown[0]}”", f"the class {unknown[0]!r} is not in the catalogue")
    if not record.measure.strip():
        found["measure"] = Wrong("缺少措施或现象", "the measure, or what was seen, is missing")
    if not (record.items or record.classes):
        found["items"] = Wrong("缺少范围：请写品种或品类", "the scope is missing: name items or classes")
    if record.end is not None and record.end <= record.start:
        found["end"] = Wrong("解除时间不晚于生效时间", "it ends before it begins")
    if record.kind == "decision":
        found |= not_lawful(record)
    return found


def not_lawful(record: Record) -> dict[str, Wrong]:
    """What the Price Law does not know of a decision, by field."""
    found: dict[str, Wrong] = {}
    issuers = ISSUERS.get(record.measure)
    if issuers is None:
        found["measure"] = Wrong(f"决定的措施应为{'或'.join(ISSUERS)}", f"a decision is {' or '.join(ISSUERS)}")
    elif record.issuer not in issuers:
        zh = f"{WORDS[record.measure]}只能由{'或'.join(issuers)}依法实行"
        found["issuer"] = Wrong(zh, f"only {' or '.join(issuers)} may take the measure {record.measure}")
    if not record.document.strip():
        found["document"] = Wrong("缺少文号", "the number of the document is missing")
    return found


class Entry(Settings):
    """One record in a file. A date alone is local midnight; so is a time without offset a local one."""

    record: RecordKind
    """a decision, or what was seen"""
    measure: str
    """of a decision 干预 or 紧急; else a word such as 抢购"""
    issuer: str = ""
    """of a decision 国务院 or 省政府; else who reports it"""
    document: str = ""
    """number of the document; a decision needs one"""
    start: datetime | date
    """from when it holds; a date is local midnight"""
    end: datetime | date | None = None
    """from when it holds no longer"""
    items: tuple[str, ...] = ()
    """whole names of items that it covers"""
    classes: tuple[str, ...] = ()
    """classes that it covers, with their subclasses"""
    areas: tuple[str, ...] = ()
    """areas to which it is confined; none: all"""

    def as_record(self, record_id: str) -> Record:
        end = None if self.end is None else seconds(self.end)
        scope = (self.items, self.classes, self.areas)
        return Record(
            record_id, self.record, self.measure, self.issuer, self.document, seconds(self.start), end, *scope
        )


class RecordsFile(Settings):
    """A policy file of records: for history (`monitor replay`), and for what is known beforehand."""

    page = "docs/plans.md"

    kind: Literal["records"]
    id: str
    records: tuple[Entry, ...] = Field(min_length=1)

    def as_records(self) -> tuple[Record, ...]:
        return tuple(one.as_record(f"{self.id}/{n}") for n, one in enumerate(self.records, 1))


def seconds(when: datetime | date) -> int:
    """Epoch seconds of a time, or of the midnight in Shanghai at which a day begins."""
    at = when if isinstance(when, datetime) else datetime.combine(when, time())
    return int((at if at.tzinfo else at.replace(tzinfo=SHANGHAI)).timestamp())
