"""Which phones owe notes: gaps in their numbering say that something was written and has not arrived, and a phone says
of itself what it could not hand in.

A phone numbers what it writes without gaps, so number 44 without 41 to 43 means three entries that are still on
it, or were lost with it. Said in words: "this phone owes notes 41 to 43". The last that were written leave no gap.
"""

from collections.abc import Collection

import msgspec

from server.audit import impersonal
from server.records import ledger
from server.storage.port import Transaction


class Owing(msgspec.Struct, frozen=True, kw_only=True):
    """A phone that owes notes, and whose it is. `gaps` are (first, last) of numbers missing, in the order of its
    numberings; `waiting`: how many entries were on it alone when it had last synced, gaps among them; `last_seen_at`
    and `revoked_at` in ms since the epoch."""

    device_id: str
    name: str
    officer: str
    officer_name: str
    borough: str | None
    ward: str | None
    last_seen_at: int | None
    revoked_at: int | None
    gaps: tuple[tuple[int, int], ...]
    waiting: int

    @property
    def notes(self) -> int:
        """How many entries are missing."""
        return max(self.waiting, sum(last - first + 1 for first, last in self.gaps))

    @property
    def sentence(self) -> str:
        """What this phone owes, in words."""
        return f"This phone owes {self.briefly}."

    @property
    def briefly(self) -> str:
        """`notes 41 to 43`; `2 entries that were only on it after its last sync`."""
        known = sum(last - first + 1 for first, last in self.gaps)
        if self.waiting <= known:
            return in_words(self.gaps)
        waiting = "1 entry that was" if self.waiting == 1 else f"{self.waiting} entries that were"
        left = f"{waiting} only on it after its last sync"
        return f"{in_words(self.gaps)}, and in all {left}" if self.gaps else left


@impersonal("numbers of entries as words")
def in_words(gaps: Collection[tuple[int, int]]) -> str:
    """`note 7`, `notes 41 to 43`, `notes 7, 9 and 41 to 43`."""
    parts = [str(first) if first == last else f"{first} to {last}" for first, last in gaps]
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    single = len(gaps) == 1 and all(first == last for first, last in gaps)
    return f"{'note' if single else 'notes'} {listed}"


@impersonal("phones, their officers and numbers of ops; nothing of a child")
def phones(tx: Transaction, boroughs: Collection[str] | None = None) -> list[Owing]:
    """Every phone that owes notes, of these boroughs (None: of all), the one last seen longest ago first.

    A phone that has been wiped is left out: it sent all it had before, or nobody can ask it any more.
    """
    gaps: dict[str, list[tuple[int, int]]] = {}
    for owed in ledger.owed(tx):
        gaps.setdefault(owed.device_id, []).extend(owed.gaps)
    waiting: dict[str, int] = dict(tx.rows("SELECT device_id, waiting FROM device_report WHERE waiting > 0"))
    gaps |= {device_id: [] for device_id in waiting.keys() - gaps.keys()}
    found = []
    for device_id, missing in gaps.items():
        row = tx.row(
            "SELECT d.name, p.username, p.name, d.borough, d.ward, d.last_seen_at, d.revoked_at"
            " FROM device d JOIN person p ON p.id = d.person WHERE d.device_id = :id AND d.wiped_at IS NULL",
            {"id": device_id},
        )
        if row is None or (boroughs is not None and row[3] not in boroughs):
            continue
        found.append(
            Owing(
                device_id=device_id,
                name=row[0],
                officer=row[1],
                officer_name=row[2],
                borough=row[3],
                ward=row[4],
                last_seen_at=row[5],
                revoked_at=row[6],
                gaps=tuple(missing),
                waiting=waiting.get(device_id, 0),
            )
        )
    return sorted(found, key=lambda one: (one.last_seen_at or 0, one.device_id))
