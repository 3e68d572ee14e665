"""The ledger: every op that ever arrived, byte for byte, with its one verdict.

A key (device, epoch, seq) is unique in the database. Lines that have no key of their own (unreadable, a key
already taken by other bytes, somebody else's device) are kept in `quarantine`.
"""

from collections.abc import Iterable, Sequence

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.storage.port import Row, Transaction
from sync import inbox
from sync.envelope import Code, Outcome
from sync.inbox import Arrival, Recorded

OWED_SEQS_MAX = 10_000
"""How many seqs above the first gap are read to find what a phone owes; a phone holds far fewer."""

NEWEST_BACKUP = "backup.newest"
"""Name in `server_state` of the newest backup that was completed."""

BACKUPS_KEPT = "backup.kept"
"""Name in `server_state` that is there from the moment the first backup was begun; before it, what is on the disk
counts as durable. Not from its completion: what came in between is not in it."""


ATTACHMENT_SLACK_MS = 10 * 60_000
"""An attachment's time is read before its row is committed: one of just before a backup may not be in it."""


class Stream(msgspec.Struct, kw_only=True):
    """One numbering (device, epoch) and how far it has come.

    `durable_through` is how far a phone may forget: what is on this server's disk, or where backups are kept,
    what the newest of them holds too, so that a server restored from it gets the rest from the phones.
    """

    stream_id: int
    epoch: str
    contiguous_through: int = 0
    highest: int = 0
    backed_up_through: int = 0
    backups_kept: bool = False

    @property
    def durable_through(self) -> int:
        return self.backed_up_through if self.backups_kept else self.contiguous_through


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was completed: the name of its folder, and when it was begun (ms)."""

    name: str
    begun_at: int


class Entry(msgspec.Struct, frozen=True):
    """An op as the ledger holds it."""

    op_id: int
    recorded: Recorded


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """What a phone owes: the gaps (first, last) in its numbering."""

    device_id: str
    epoch: str
    gaps: list[tuple[int, int]]


@impersonal("numbers of ops, nothing of a child")
def stream(tx: Transaction, device_id: str, epoch: str) -> Stream | None:
    """The numbering of this installation, if anything came under it."""
    found = tx.row(
        f"SELECT {_STREAM} FROM op_stream WHERE device_id = :device AND epoch = :epoch",
        {"device": device_id, "epoch": epoch, "kept": BACKUPS_KEPT},
    )
    return None if found is None else _stream(found)


@impersonal("numbers of ops, nothing of a child")
def open_stream(tx: Transaction, device_id: str, epoch: str) -> Stream:
    """The numbering of this installation, made on first sight."""
    known = stream(tx, device_id, epoch)
    if known is not None:
        return known
    stream_id = tx.value(
        "INSERT INTO op_stream (device_id, epoch) VALUES (:device, :epoch) RETURNING stream_id",
        {"device": device_id, "epoch": epoch},
    )
    return Stream(stream_id=stream_id, epoch=epoch, backups_kept=backups_begun(tx))


def _stream(row: Row) -> Stream:
    stream_id, epoch, contiguous_through, highest, backed_up_through, backups = row
    return Stream(
        stream_id=stream_id,
        epoch=epoch,
        contiguous_through=contiguous_through,
        highest=highest,
        backed_up_through=backed_up_through,
        backups_kept=backups > 0,
    )


_STREAM = (
    "stream_id, epoch, contiguous_through, highest, backed_up_through,"
    " (SELECT COUNT(*) FROM server_state WHERE name = :kept)"
)


@impersonal("digests and verdicts, nothing of a child")
def recorded(tx: Transaction, stream: Stream, seqs: Iterable[int]) -> dict[int, Entry]:
    """What the ledger holds under these seqs of the stream."""
    wanted = [seq for seq in seqs if seq <= stream.highest]
    if not wanted:
        return {}
    rows = tx.rows(
        "SELECT seq, op_id, digest, outcome, code, rev FROM op"
        " WHERE stream_id = :stream AND seq BETWEEN :low AND :high",
        {"stream": stream.stream_id, "low": min(wanted), "high": max(wanted)},
    )
    return {row[0]: Entry(row[1], Recorded(row[2], _OUTCOMES[row[3]], row[4], row[5])) for row in rows}


_OUTCOMES = {outcome.value: outcome for outcome in Outcome}


@impersonal("custody of the bytes; the note's own entry is made where the note is added or set aside")
def keep(
    tx: Transaction,
    stream: Stream,
    arrival: Arrival,
    outcome: Outcome,
    *,
    now: int,
    code: str | None = None,
    rev: int | None = None,
) -> int:
    """Take custody of a line under its key; the op's id. A taken key is a StorageConflict."""
    assert arrival.envelope is not None
    op_id: int = tx.insert(
        "INSERT INTO op (stream_id, seq, digest, line, received_at, outcome, code, rev)"
        " VALUES (:stream, :seq, :digest, :line, :now, :outcome, :code, :rev)",
        {
            "stream": stream.stream_id,
            "seq": arrival.envelope.seq,
            "digest": arrival.digest,
            "line": arrival.line,
            "now": now,
            "outcome": outcome.value,
            "code": code,
            "rev": rev,
        },
        "op_id",
    )
    return op_id


@audited(Verb.COLLECTION)
def set_aside(
    tx: Transaction, actor: Actor, device_id: str, arrival: Arrival, code: str, *, now: int, op_id: int | None
) -> bool:
    """Put a line before an administrator. The bytes are in `op` where it has a key (`op_id`), else here.

    The same bytes sent again by the same phone are the same row, and False; an addition that stands there because its
    note had not come, and now cannot apply, is the same row with another reason.
    """
    quarantine_id = tx.value(
        "INSERT INTO quarantine (device_id, digest, code, place, op_id, line, received_at)"
        " VALUES (:device, :digest, :code, :place, :op_id, :line, :now)"
        " ON CONFLICT (device_id, digest) DO UPDATE SET code = excluded.code, place = excluded.place"
        " WHERE quarantine.code = :parked RETURNING quarantine_id",
        {
            "device": device_id,
            "digest": arrival.digest,
            "code": code,
            "parked": Code.WAITS_FOR_NOTE.value,
            "place": arrival.at,
            "op_id": op_id,
            "line": None if op_id is not None else arrival.line,
            "now": now,
        },
    )
    if quarantine_id is not None:
        record(tx, actor, Verb.COLLECTION, "quarantine", [quarantine_id], now=now)
    return quarantine_id is not None


@impersonal("an id that waits for another id")
def park(tx: Transaction, op_id: int, note_id: str) -> None:
    """Hold an op back until the note that it speaks of comes."""
    tx.execute("INSERT INTO parked (op_id, note_id) VALUES (:op, :note)", {"op": op_id, "note": note_id})


@impersonal("ids only")
def awaited(tx: Transaction, note_ids: Sequence[str]) -> frozenset[str]:
    """Those of these notes that a parked op waits for."""
    if not note_ids or tx.row("SELECT 1 FROM parked LIMIT 1") is None:
        return frozenset()
    marks = {f"n{index}": note_id for index, note_id in enumerate(note_ids)}
    wanted = ", ".join(f":{name}" for name in marks)
    rows = tx.rows(f"SELECT DISTINCT note_id FROM parked WHERE note_id IN ({wanted})", marks)
    return frozenset(note_id for (note_id,) in rows)


@impersonal("ids only")
def parked_for(tx: Transaction, note_id: str) -> list[int]:
    """The ops that wait for this note, in the order they came."""
    return [
        op_id
        for (op_id,) in tx.rows(
            "SELECT op_id FROM parked WHERE note_id = :note ORDER BY op_id", {"note": note_id}
        )
    ]


@impersonal("the op's own bytes, read again by the server for its own work")
def line_of(tx: Transaction, op_id: int) -> bytes:
    """The bytes of an op as they arrived."""
    return bytes(tx.value("SELECT line FROM op WHERE op_id = :op", {"op": op_id}))


@impersonal("an outcome, nothing of a child")
def settle(tx: Transaction, op_id: int, outcome: Outcome, code: str | None = None) -> None:
    """Give a parked op its outcome, now that its note has come. One that was released from quarantine keeps the
    verdict that its phone has."""
    tx.execute("DELETE FROM parked WHERE op_id = :op", {"op": op_id})
    tx.execute(
        "UPDATE op SET outcome = :outcome, code = :code WHERE op_id = :op AND outcome = 'parked'",
        {"op": op_id, "outcome": outcome.value, "code": code},
    )


@impersonal("numbers of ops, nothing of a child")
def advance(tx: Transaction, stream: Stream, seqs: Sequence[int]) -> None:
    """Move the stream's marks past `seqs`, just received. Updates `stream` as well."""
    if not seqs:
        return
    highest = max(stream.highest, *seqs)
    start = stream.contiguous_through
    above: Iterable[int] = seqs
    if highest != start + len(set(seqs)):
        # A gap, a retry, or a gap that now closes: what came earlier above the mark counts too.
        above = [
            seq
            for (seq,) in tx.rows(
                "SELECT seq FROM op WHERE stream_id = :stream AND seq > :start ORDER BY seq LIMIT :most",
                {"stream": stream.stream_id, "start": start, "most": OWED_SEQS_MAX},
            )
        ]
    reached = inbox.contiguous_through(start, above)
    if (reached, highest) != (start, stream.highest):
        tx.execute(
            "UPDATE op_stream SET contiguous_through = :reached, highest = :highest WHERE stream_id = :stream",
            {"reached": reached, "highest": highest, "stream": stream.stream_id},
        )
    stream.contiguous_through, stream.highest = reached, highest


@impersonal("numbers of ops, nothing of a child")
def durable_through(tx: Transaction, device_id: str) -> dict[str, int]:
    """By epoch: every seq up to this one will survive whatever befalls this server (see `Stream`)."""
    rows = tx.rows(
        f"SELECT {_STREAM} FROM op_stream WHERE device_id = :device",
        {"device": device_id, "kept": BACKUPS_KEPT},
    )
    return {stream.epoch: stream.durable_through for stream in map(_stream, rows)}


@impersonal("numbers of ops, nothing of a child")
def begin_backup(tx: Transaction) -> list[tuple[int, int]]:
    """(numbering, every seq up to this one is here): what a backup that begins now will hold.

    From now on phones are told that no more is durable than what a completed backup holds. No push may be under
    way meanwhile: it would promise what this backup does not hold.
    """
    tx.execute(
        "INSERT INTO server_state (name, value) VALUES (:kept, :yes) ON CONFLICT (name) DO NOTHING",
        {"kept": BACKUPS_KEPT, "yes": b"1"},
    )
    rows: list[tuple[int, int]] = tx.rows("SELECT stream_id, contiguous_through FROM op_stream")
    return rows


@audited(Verb.DISCLOSURE)
def backed_up(
    tx: Transaction, actor: Actor, backup: Backup, marks: Sequence[tuple[int, int]], *, now: int
) -> None:
    """A backup is complete and holds these marks: phones may forget so far, and no further until the next."""
    tx.execute(
        "INSERT INTO server_state (name, value) VALUES (:name, :value)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        {"name": NEWEST_BACKUP, "value": msgspec.json.encode(backup)},
    )
    tx.executemany(
        "UPDATE op_stream SET backed_up_through = :through"
        " WHERE stream_id = :stream AND backed_up_through < :through",
        [{"stream": stream_id, "through": through} for stream_id, through in marks],
    )
    record(
        tx, actor, Verb.DISCLOSURE, "database", [backup.name], now=now, recipients=[f"backup:{backup.name}"]
    )


@impersonal("name and time of a backup")
def newest_backup(tx: Transaction) -> Backup | None:
    """The newest backup that was completed, or None before the first."""
    stored = tx.value("SELECT value FROM server_state WHERE name = :newest", {"newest": NEWEST_BACKUP})
    return msgspec.json.decode(bytes(stored), type=Backup) if stored is not None else None


@impersonal("a yes or a no")
def backups_begun(tx: Transaction) -> bool:
    """Whether a backup was ever begun, though it may not have been completed, or may be the one that this database
    came from."""
    return tx.row("SELECT 1 FROM server_state WHERE name = :kept", {"kept": BACKUPS_KEPT}) is not None


@impersonal("a time")
def attachments_through(tx: Transaction) -> int | None:
    """The newest backup holds every attachment that was received by this time (ms); None where none are kept."""
    if not backups_begun(tx):
        return None
    newest = newest_backup(tx)
    return max(0, newest.begun_at - ATTACHMENT_SLACK_MS) if newest is not None else 0


@impersonal("numbers of ops, nothing of a child")
def restored(tx: Transaction) -> None:
    """This database came from a backup: it holds just what the backup holds."""
    tx.execute("UPDATE op_stream SET backed_up_through = contiguous_through")


@impersonal("numbers of ops, nothing of a child")
def owed(tx: Transaction) -> list[Owed]:
    """Every phone whose numbering has a gap, with the gaps."""
    found = []
    for stream_id, device_id, epoch, start in tx.rows(
        "SELECT stream_id, device_id, epoch, contiguous_through FROM op_stream"
        " WHERE highest > contiguous_through ORDER BY device_id, epoch"
    ):
        seqs = tx.rows(
            "SELECT seq FROM op WHERE stream_id = :stream AND seq > :start ORDER BY seq LIMIT :most",
            {"stream": stream_id, "start": start, "most": OWED_SEQS_MAX},
        )
        gaps = inbox.owed(start, (seq for (seq,) in seqs))
        if gaps:
            found.append(Owed(device_id=device_id, epoch=epoch, gaps=gaps))
    return found


@impersonal("counts only")
def counts(tx: Transaction) -> dict[str, int]:
    """How many ops ended how, and how many lines wait for an administrator."""
    by_outcome = dict(tx.rows("SELECT outcome, COUNT(*) FROM op GROUP BY outcome"))
    by_outcome[Code.KEY_REUSED.value] = tx.value("SELECT COUNT(*) FROM quarantine WHERE op_id IS NULL")
    return by_outcome
