"""Facts that people record: official decisions, and what is seen and cannot be measured.

A decision (a price intervention of the State Council or the province, emergency measures of the State Council) is a
legal fact with issuer, document number, scope, beginning and end: the only thing that raises price grades II and I
(P13; Price Law, arts. 30 to 32). What is observed (抢购, 流言, 乱收费, a risk of spreading) is the other half of the
national reporting trigger. Records come to the core as data, like observations; it never reads them itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from thresholds.catalogue import Classified, folded
from thresholds.model import BoolArray, IntArray, SeriesKey

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


def problems(record: Record, classes: Collection[str] | None = None) -> dict[str, str]:
    """What is wrong with a record, by field, in words for the person who enters it; empty where it may be stored.

    classes  those of the catalogue, where they are known: a class that is not among them would cover nothing
    """
    found: dict[str, str] = {}
    if classes is not None and (unknown := [c for c in record.classes if c not in classes]):
        found["classes"] = f"目录中没有品类“{unknown[0]}”"
    if not record.measure.strip():
        found["measure"] = "缺少措施或现象"
    if not (record.items or record.classes):
        found["items"] = "缺少范围：请写品种或品类"
    if record.end is not None and record.end <= record.start:
        found["end"] = "解除时间不晚于生效时间"
    if record.kind == "decision":
        issuers = ISSUERS.get(record.measure)
        if issuers is None:
            found["measure"] = f"决定的措施应为{'或'.join(ISSUERS)}"
        elif record.issuer not in issuers:
            found["issuer"] = f"{WORDS[record.measure]}只能由{'或'.join(issuers)}依法实行"
        if not record.document.strip():
            found["document"] = "缺少文号"
    return found
