"""What was set aside: kept byte for byte until a person releases it or says why not, and kept after that.

What a person is shown says what kind of thing it is, whose, and why it is here; never what is written in it.
"""

from collections.abc import Collection
from enum import StrEnum

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.records import decisions, ledger
from server.storage.port import Row, Transaction
from sync import inbox
from sync.envelope import Code, Outcome
from sync.operations import Envelope, digest, parse_envelope

DECIDED_SHOWN_MAX = 100
RELEASED_EPOCH = ":released"
"""Where bytes that had no free key of their own stand in the ledger. No phone's epoch has a colon."""


class Decision(StrEnum):
    RELEASED = "released"
    REFUSED = "refused"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was set aside. `size` in bytes, times in ms; `schema`, `kind` and `user` as far as it can be read."""

    quarantine_id: int
    device_id: str
    device_name: str | None
    officer: str | None
    code: str
    place: str | None
    received_at: int
    size: int
    schema: int | None
    kind: str | None
    user: str | None
    decision: Decision | None
    decided_at: int | None
    decided_by: str | None
    reason: str | None
    outcome: str | None


_HELD = (
    "SELECT q.quarantine_id, q.device_id, d.name, p.username, q.code, q.place, q.received_at,"
    " COALESCE(q.line, o.line), q.decision, q.decided_at, q.decided_by, q.reason, q.outcome FROM quarantine q"
    " LEFT JOIN op o ON o.op_id = q.op_id LEFT JOIN device d ON d.device_id = q.device_id"
    " LEFT JOIN person p ON p.id = d.person"
)


_UNDECIDED = (
    "q.decision IS NULL AND (q.code <> :parked OR EXISTS (SELECT 1 FROM parked p WHERE p.op_id = q.op_id))"
)
"""What waits for a person. An addition that was put here because its note had not come goes its way by itself when it
comes."""
PARKED_MS_MAX = 3_600_000
"""A phone sends a note before what adds to it, in one push or the next. After an hour a person hears of it."""


@audited(Verb.COLLECTION)
def parked_too_long(tx: Transaction, actor: Actor, *, now: int) -> int:
    """Put additions and withdrawals whose note has not come before a person, who else would never hear of them. They
    wait on, and still go their way if the note comes. How many were put there."""
    rows = tx.rows(
        "INSERT INTO quarantine (device_id, digest, code, op_id, received_at)"
        " SELECT s.device_id, o.digest, :code, o.op_id, o.received_at FROM parked p"
        " JOIN op o ON o.op_id = p.op_id JOIN op_stream s ON s.stream_id = o.stream_id"
        " WHERE o.received_at <= :before ON CONFLICT (device_id, digest) DO NOTHING RETURNING quarantine_id",
        {"code": Code.WAITS_FOR_NOTE.value, "before": now - PARKED_MS_MAX},
    )
    if rows:
        record(tx, actor, Verb.COLLECTION, "quarantine", sorted(number for (number,) in rows), now=now)
    return len(rows)


@impersonal("phones, codes and sizes; nothing of what was written")
def waiting(tx: Transaction, *, limit: int) -> list[Held]:
    """What nobody has decided on, oldest first."""
    rows = tx.rows(
        f"{_HELD} WHERE {_UNDECIDED} ORDER BY q.quarantine_id LIMIT :most",
        {"most": limit, "parked": Code.WAITS_FOR_NOTE.value},
    )
    return [_held(row) for row in rows]


@impersonal("phones, codes and sizes; nothing of what was written")
def decided(tx: Transaction, *, limit: int = DECIDED_SHOWN_MAX) -> list[Held]:
    """What was decided on, the newest decision first."""
    rows = tx.rows(
        f"{_HELD} WHERE q.decision IS NOT NULL ORDER BY q.decided_at DESC, q.quarantine_id DESC LIMIT :most",
        {"most": limit},
    )
    return [_held(row) for row in rows]


@impersonal("a phone, a code and a size; nothing of what was written")
def one(tx: Transaction, quarantine_id: int) -> Held | None:
    """One line that was set aside, or None."""
    row = tx.row(_HELD + " WHERE q.quarantine_id = :id", {"id": quarantine_id})
    return _held(row) if row else None


@impersonal("counts only")
def count(tx: Transaction) -> int:
    """How many wait for a person."""
    number: int = tx.value(
        f"SELECT COUNT(*) FROM quarantine q WHERE {_UNDECIDED}", {"parked": Code.WAITS_FOR_NOTE.value}
    )
    return number


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries of one phone wait for a person to decide about them, and since when the oldest (ms)."""

    device_id: str
    phone: str
    officer_name: str
    borough: str | None
    entries: int
    oldest_at: int


COMES_AGAIN = (Code.KEY_REUSED.value, Code.BODY_DIGEST_MISMATCH.value)
"""The phone has what was meant and sends it by itself: nothing waits for a person in the meantime."""


@impersonal("phones, their officers and counts; nothing of a child")
def by_phone(tx: Transaction, boroughs: Collection[str] | None = None) -> list[SetAside]:
    """What waits for a person, for whoever answers for these boroughs' officers (None: for all), oldest first."""
    rows = tx.rows(
        "SELECT d.device_id, d.name, p.name, d.borough, COUNT(*), MIN(q.received_at) FROM quarantine q"
        " JOIN device d ON d.device_id = q.device_id JOIN person p ON p.id = d.person"
        f" WHERE {_UNDECIDED} AND q.code NOT IN (:taken, :damaged)"
        " GROUP BY d.device_id, d.name, p.name, d.borough ORDER BY 6, 1",
        {"parked": Code.WAITS_FOR_NOTE.value, "taken": COMES_AGAIN[0], "damaged": COMES_AGAIN[1]},
    )
    found = [SetAside(**dict(zip(SetAside.__struct_fields__, row, strict=True))) for row in rows]
    return [one for one in found if boroughs is None or one.borough in boroughs]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries wait for a person to decide, since when the oldest (ms), and how long all those that were
    released had stood here (ms)."""

    waiting: int
    oldest_at: int | None
    released_ms: int


@impersonal("counts and times only")
def standing(tx: Transaction) -> Standing:
    """How quarantine stands, over all phones."""
    row = tx.row(
        f"SELECT COUNT(*), MIN(q.received_at) FROM quarantine q WHERE {_UNDECIDED}",
        {"parked": Code.WAITS_FOR_NOTE.value},
    )
    stood: int = tx.value(
        "SELECT COALESCE(SUM(decided_at - received_at), 0) FROM quarantine WHERE decision = :released",
        {"released": Decision.RELEASED.value},
    )
    assert row is not None
    return Standing(waiting=row[0], oldest_at=row[1], released_ms=int(stood))


@impersonal("boroughs and times only")
def weekly(tx: Transaction, *, from_ms: int, now: int, week_ms: int) -> list[tuple[str, int, int]]:
    """(borough, week, ms): how long what came in each week since `from_ms`, from the officers of each borough, stood
    here until a person released it, or has stood. What is refused, or comes again by itself, kept nobody waiting."""
    return [
        (borough, int(week), int(stood))
        for borough, week, stood in tx.rows(
            "SELECT d.borough, (q.received_at - :from) / :week, SUM(COALESCE(q.decided_at, :now) - q.received_at)"
            " FROM quarantine q JOIN device d ON d.device_id = q.device_id"
            " WHERE q.received_at >= :from AND d.borough IS NOT NULL AND (q.decision = :released"
            f" OR {_UNDECIDED} AND q.code NOT IN (:taken, :damaged))"
            " GROUP BY d.borough, (q.received_at - :from) / :week",
            {
                "from": from_ms, "now": now, "week": week_ms, "released": Decision.RELEASED.value,
                "parked": Code.WAITS_FOR_NOTE.value, "taken": COMES_AGAIN[0], "damaged": COMES_AGAIN[1],
            },
        )
    ]  # fmt: skip


@impersonal("the bytes, for the server's own work; nothing is shown")
def line_of(tx: Transaction, quarantine_id: int) -> bytes:
    """The bytes as they arrived."""
    return bytes(
        tx.value(
            "SELECT COALESCE(q.line, o.line) FROM quarantine q LEFT JOIN op o ON o.op_id = q.op_id"
            " WHERE q.quarantine_id = :id",
            {"id": quarantine_id},
        )
    )


@audited(Verb.CONSULTATION)
def show_line(tx: Transaction, actor: Actor, quarantine_id: int, *, now: int) -> bytes:
    """The bytes as they arrived, to somebody who must look into them."""
    record(tx, actor, Verb.CONSULTATION, "quarantine", [quarantine_id], now=now, reason="bytes shown")
    return line_of(tx, quarantine_id)


@impersonal("custody of the bytes; the release is logged by `decide`")
def in_ledger(tx: Transaction, quarantine_id: int, *, now: int) -> int:
    """The op that holds the bytes: the one of their own key, or one among those that had none. They are not changed."""
    op_id: int | None = tx.value(
        "SELECT op_id FROM quarantine WHERE quarantine_id = :id", {"id": quarantine_id}
    )
    if op_id is not None:
        return op_id
    held = one(tx, quarantine_id)
    assert held is not None
    line = line_of(tx, quarantine_id)
    stream = ledger.open_stream(tx, held.device_id, RELEASED_EPOCH)
    arrival = inbox.Arrival(
        index=0,
        line=line,
        digest=digest(line),
        envelope=_numbered(line, quarantine_id),
    )
    return ledger.keep(tx, stream, arrival, Outcome.QUARANTINED, now=now, code=held.code)


@audited(Verb.ALTERATION)
def decide(
    tx: Transaction,
    actor: Actor,
    quarantine_id: int,
    decision: Decision,
    *,
    now: int,
    by: str,
    reason: str | None = None,
    outcome: str | None = None,
    code: str | None = None,
    op_id: int | None = None,
) -> bool:
    """Keep what a person decided, and let the officer's phones hear of it. False where somebody has decided before."""
    done = tx.execute(
        "UPDATE quarantine SET decision = :decision, decided_at = :now, decided_by = :by, reason = :reason,"
        " outcome = :outcome, outcome_code = :code, op_id = COALESCE(op_id, :op)"
        " WHERE quarantine_id = :id AND decision IS NULL",
        {
            "decision": decision.value,
            "now": now,
            "by": by,
            "reason": reason,
            "outcome": outcome,
            "code": code,
            "op": op_id,
            "id": quarantine_id,
        },
    )
    if done:
        record(tx, actor, Verb.ALTERATION, "quarantine", [quarantine_id], now=now, reason=decision.value)
        decisions.made(tx, quarantine_id)
    return bool(done)


def _numbered(line: bytes, number: int) -> Envelope:
    """The line's envelope with a number of its own among those that were released."""
    return msgspec.structs.replace(parse_envelope(line), seq=number, epoch=RELEASED_EPOCH)


class _Glance(msgspec.Struct, frozen=True):
    """The little that a person is told of a line, where it can be read."""

    schema: int | None = None
    kind: str | None = None
    user: str | None = None


_glance_decoder = msgspec.json.Decoder(_Glance)


def _held(row: Row) -> Held:
    line = bytes(row[7])
    try:
        glance = _glance_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        glance = _Glance()
    return Held(
        quarantine_id=row[0],
        device_id=row[1],
        device_name=row[2],
        officer=row[3],
        code=row[4],
        place=row[5],
        received_at=row[6],
        size=len(line),
        schema=glance.schema,
        kind=None if glance.kind is None else glance.kind[:64],
        user=None if glance.user is None else glance.user[:64],
        decision=None if row[8] is None else Decision(row[8]),
        decided_at=row[9],
        decided_by=row[10],
        reason=row[11],
        outcome=row[12],
    )
