"""What a phone hears of its officer's own notes: their part of the change log, each note beside its entry.

A phone that begins anew asks for all of them, so a page is found in one search and not in two.
"""

from server.audit import Actor, Verb, audited, impersonal, record
from server.records import changes
from server.records.changes import Heard, Place
from server.records.notes import bucket
from server.storage.port import Row, Transaction
from sync.envelope import Change, ChangeOp, RemoveReason

KIND = "note"


@audited(Verb.DISCLOSURE)
def after(tx: Transaction, actor: Actor, author: str, place: Place, limit: int, *, now: int) -> Heard:
    """Up to `limit` entries of the log of an officer's notes after `place`, as the officer's phone is sent them."""
    name = bucket(author)
    # The author stands here and not in the bucket's name alone: nobody else's note is sent, whatever is logged.
    rows = changes.in_order(
        tx,
        "SELECT c.xid, c.seq, c.id, c.rev, c.op, c.reason,"
        " n.rev, n.status, n.received_at, n.outcome, n.told_author, n.outcome_at"
        " FROM change c LEFT JOIN note n ON n.note_id = c.id AND n.author = :author"
        f" WHERE c.bucket = :bucket AND {tx.settled}",
        {"bucket": name, "author": author},
        place,
        limit + 1,
    )
    more = len(rows) > limit
    if more:
        rows.pop()
    latest = {row[2]: row for row in rows}
    told = tuple([_told(name, row) for row in latest.values()])
    ids = sorted([change.id for change in told if change.op is ChangeOp.PUT])
    record(tx, actor, Verb.DISCLOSURE, KIND, ids, now=now, recipients=[author], index_later=True)
    return Heard(told, (rows[-1][0], rows[-1][1]) if rows else place, more)


def _told(name: str, row: Row) -> Change:
    _, _, note_id, logged_rev, op, reason, rev, status, received_at, outcome, words, outcome_at = row
    if rev is None or op != ChangeOp.PUT.value:
        return changes.taken_off(name, KIND, note_id, logged_rev, RemoveReason(reason) if reason else None)
    data = {"status": status, "received_at": received_at}
    if outcome is not None:
        data |= {"outcome": outcome, "outcome_words": words, "outcome_at": outcome_at}
    return Change(bucket=name, kind=KIND, id=note_id, rev=rev, data=data)


@impersonal("ids and revisions for the phone's checksum")
def revisions(tx: Transaction, author: str) -> list[tuple[str, str, int]]:
    """(kind, id, rev) of every note of an officer, for the checkpoint."""
    return tx.rows("SELECT 'note', note_id, rev FROM note WHERE author = :author", {"author": author})
