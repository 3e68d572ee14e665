"""What a phone hears of its officer's own notes: their part of the change log, each note beside its entry, and what was
decided of those that were set aside.

A phone that begins anew asks for all of them, so a page is one search, for those columns alone that nearly every row
has: most of what it costs is to make the rows.
"""

from collections.abc import Sequence

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.records import changes, decisions
from server.records.changes import Heard, Place
from server.records.notes import bucket
from server.storage.port import Transaction
from sync.envelope import Change

KIND = "note"


@audited(Verb.DISCLOSURE)
def after(tx: Transaction, actor: Actor, author: str, place: Place, limit: int, *, now: int) -> Heard:
    """Up to `limit` entries of the log of an officer's notes after `place`, as the officer's phone is sent them.

    A note that changed twice is sent once, as it is now; what is no note of the officer is taken off.
    """
    name = bucket(author)
    rows = changes.in_order(
        tx,
        "SELECT c.xid, c.seq, c.id, n.rev, n.status, n.received_at, n.outcome FROM change c"
        # The author stands here and not in the bucket's name alone: nobody else's note is sent, whatever is logged.
        " LEFT JOIN note n ON n.note_key = c.note_key AND n.note_id = c.id AND n.author = :author"
        f" AND c.op = 'put' WHERE c.bucket = :bucket AND {tx.settled}",
        {"bucket": name, "author": author},
        place,
        limit + 1,
    )
    more = len(rows) > limit
    if more:
        rows.pop()
    latest = {row[2]: row for row in rows}
    ids = sorted([note_id for note_id, row in latest.items() if row[3] is not None])
    record(tx, actor, Verb.DISCLOSURE, KIND, ids, now=now, recipients=[author], index_later=True)
    ended = _endings(tx, [note_id for note_id, row in latest.items() if row[6] is not None])
    logged = {one.id: one for one in changes.after(tx, name, *place, limit)} if len(ids) < len(latest) else {}
    asked = [one for one, was in logged.items() if was.kind == decisions.KIND]
    decided = decisions.send(tx, actor, author, asked, now=now)
    told = []
    for _, _, note_id, rev, status, received_at, _ in latest.values():
        if rev is None:
            was = logged[note_id]
            if note_id in decided:
                told.append(Change(bucket=name, kind=was.kind, id=note_id, rev=1, data=decided[note_id]))
            else:
                told.append(changes.taken_off(name, was.kind, note_id, was.rev, was.reason))
            continue
        data = {"status": status, "received_at": received_at}
        if note_id in ended:
            data |= ended[note_id]
        told.append(Change(bucket=name, kind=KIND, id=note_id, rev=rev, data=data))
    return Heard(told, (rows[-1][0], rows[-1][1]) if rows else place, more)


def _endings(tx: Transaction, note_ids: Sequence[str]) -> dict[str, dict[str, object]]:
    """By note, what its author hears of the outcome."""
    if not note_ids:
        return {}
    rows = tx.rows(
        f"SELECT note_id, outcome, told_author, outcome_at FROM note WHERE note_id IN {tx.each('ids')}",
        {"ids": msgspec.json.encode(note_ids).decode()},
    )
    return {
        note_id: {"outcome": outcome, "outcome_words": words, "outcome_at": at}
        for note_id, outcome, words, at in rows
    }


@impersonal("ids and revisions for the phone's checksum")
def revisions(tx: Transaction, author: str) -> list[tuple[str, str, int]]:
    """(kind, id, rev) of every note of an officer and of what was decided of others, for the checkpoint."""
    found = tx.rows("SELECT note_id, rev FROM note WHERE author = :author", {"author": author})
    return [(KIND, note_id, rev) for note_id, rev in found] + decisions.revisions(tx, author)
