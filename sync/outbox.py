"""The phone's outbox as a state machine over values: what to send next, and what an answer changes.

    QUEUED --send--> SENT --custody--> SETTLED --receipt--> RECEIPTED
       ^               |                  |                     |
       +----retry------+                  |                     |
       +----------------server restored---+---------------------+

The phone's store keeps an `Entry` and the frozen line for each op. It may forget a line only where
`may_forget` says so, and says "all sent" only where `SyncState.all_sent` does.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from sync.envelope import CUSTODY, Code, Hello, Outcome, PushAnswer, Verdict
from sync.limits import Limits
from sync.receipts import Receipt


class State(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    """On the wire at least once; nobody knows whether it arrived."""
    SETTLED = "settled"
    """The server answered for it; its receipt has not come yet."""
    RECEIPTED = "receipted"


class Event(StrEnum):
    SEND = "send"
    LOST = "lost"
    """The connection broke, the server failed, or it said retry."""
    CUSTODY = "custody"
    RECEIPT = "receipt"
    RESTORED = "restored"
    """The server lost what it had (restored from a backup): send again."""


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.QUEUED, Event.SEND): State.SENT,
    (State.SENT, Event.SEND): State.SENT,
    (State.SENT, Event.LOST): State.QUEUED,
    (State.SENT, Event.CUSTODY): State.SETTLED,
    (State.SENT, Event.RECEIPT): State.RECEIPTED,
    (State.SETTLED, Event.SEND): State.SENT,
    (State.SETTLED, Event.RECEIPT): State.RECEIPTED,
    (State.SETTLED, Event.RESTORED): State.QUEUED,
    (State.RECEIPTED, Event.RESTORED): State.QUEUED,
    # A crash between sending and storing the answer leaves QUEUED or SENT; the retry finds a duplicate.
    (State.QUEUED, Event.CUSTODY): State.SETTLED,
    (State.QUEUED, Event.RECEIPT): State.RECEIPTED,
    # Answers may come late, twice, or after a receipt; they never move an op back.
    (State.QUEUED, Event.LOST): State.QUEUED,
    (State.QUEUED, Event.RESTORED): State.QUEUED,
    (State.SENT, Event.RESTORED): State.QUEUED,
    (State.SETTLED, Event.CUSTODY): State.SETTLED,
    (State.SETTLED, Event.LOST): State.SETTLED,
    (State.RECEIPTED, Event.SEND): State.RECEIPTED,
    (State.RECEIPTED, Event.CUSTODY): State.RECEIPTED,
    (State.RECEIPTED, Event.RECEIPT): State.RECEIPTED,
    (State.RECEIPTED, Event.LOST): State.RECEIPTED,
}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One op in the outbox, without its bytes. `size` is the line's length in bytes."""

    epoch: str
    seq: int
    digest: str
    size: int
    state: State = State.QUEUED
    outcome: Outcome | None = None
    code: str | None = None
    held: bool = True
    """The phone still has the line's bytes."""


class SyncState(msgspec.Struct, frozen=True, kw_only=True):
    """What the officer is told. Counts of ops."""

    waiting: int
    unconfirmed: int
    receipted: int
    quarantined: int

    @property
    def all_sent(self) -> bool:
        """Only when nothing waits and the server has signed for everything (invariant 16)."""
        return self.waiting == 0 and self.unconfirmed == 0


def step(entry: Entry, event: Event) -> Entry:
    """`entry` after `event`."""
    return msgspec.structs.replace(entry, state=TRANSITIONS[entry.state, event])


def next_batch(entries: Iterable[Entry], limits: Limits) -> list[Entry]:
    """What to push now, oldest first: at most `limits.ops_per_push` ops and as many bytes as a push may have.

    All of one epoch, for the answer's counters speak of one. An op larger than a whole push still goes, alone:
    the server says what becomes of it.
    """
    batch: list[Entry] = []
    size = 0
    bytes_max = min(limits.push_wire_bytes, limits.push_unpacked_bytes)
    for entry in entries:
        if entry.state is State.RECEIPTED or not entry.held:
            continue
        if batch and (
            entry.epoch != batch[0].epoch
            or len(batch) >= limits.ops_per_push
            or size + entry.size + 1 > bytes_max
        ):
            break
        batch.append(entry)
        size += entry.size + 1
    return batch


def on_answer(batch: Sequence[Entry], answer: PushAnswer, receipt: Receipt | None) -> list[Entry]:
    """The entries of `batch` after the server's answer. `receipt` is the answer's, once its signature held.

    A verdict that the phone cannot match to an op changes nothing: that op stays and is sent again. Only the
    digest in a receipt covers an op: bytes that were damaged on the way are not the op. Of a duplicate, the
    outcome and code that it had the first time are kept.
    """
    verdicts = {(v.epoch, v.seq): v for v in answer.verdicts if v.seq is not None}
    by_line = {v.line: v for v in answer.verdicts if v.seq is None}
    signed = {digest for _, _, digest in receipt.ops} if receipt else set()
    after = []
    for index, entry in enumerate(batch):
        verdict = verdicts.get((entry.epoch, entry.seq)) or by_line.get(index)
        if verdict is None or verdict.v not in CUSTODY:
            after.append(step(entry, Event.LOST))
            continue
        outcome, code = _as_recorded(verdict)
        settled = msgspec.structs.replace(step(entry, Event.CUSTODY), outcome=outcome, code=code)
        after.append(step(settled, Event.RECEIPT) if entry.digest in signed else settled)
    return after


def _as_recorded(verdict: Verdict) -> tuple[Outcome, str | None]:
    """How the op ended when it first arrived: a duplicate says it in its code."""
    if verdict.v is not Outcome.DUPLICATE:
        return verdict.v, verdict.code
    try:
        return Outcome(verdict.code or Outcome.DUPLICATE), verdict.why
    except ValueError:  # an outcome that this phone does not know yet
        return Outcome.DUPLICATE, verdict.code


def on_hello(entries: Iterable[Entry], hello: Hello, known_incarnation: str | None) -> list[Entry]:
    """The entries that change because the server was restored: everything whose bytes are still here is sent again.

    Also what `durable_through` covers: that speaks of numbers, and since the restore a copy of this phone may have put
    other bytes under them. What the server has already it answers as a duplicate.
    """
    if known_incarnation is None or hello.incarnation == known_incarnation:
        return []
    return [
        step(entry, Event.RESTORED)
        for entry in entries
        if entry.held and entry.state in (State.SETTLED, State.RECEIPTED)
    ]


def may_forget(entry: Entry, durable_through: Mapping[str, int]) -> bool:
    """Whether the phone may drop the line's bytes: the server signed for it, what it said to be durable
    (by epoch, from hello and answers) covers it, and it was not set aside for a person to look at."""
    refused = entry.outcome is Outcome.QUARANTINED
    covered = durable_through.get(entry.epoch, 0) >= entry.seq
    return entry.state is State.RECEIPTED and covered and not refused


def must_rotate_epoch(answer: PushAnswer) -> bool:
    """Whether this phone's numbers are taken by another installation (a restored or cloned phone)."""
    return answer.rotate_epoch or any(verdict.code == Code.KEY_REUSED for verdict in answer.verdicts)


def sync_state(entries: Iterable[Entry]) -> SyncState:
    """The counts behind the sentence on the phone's first screen."""
    waiting = unconfirmed = receipted = quarantined = 0
    for entry in entries:
        if entry.outcome is Outcome.QUARANTINED:
            quarantined += 1
        if entry.state is State.RECEIPTED:
            receipted += 1
        elif entry.state is State.SETTLED:
            unconfirmed += 1
        else:
            waiting += 1
    return SyncState(waiting=waiting, unconfirmed=unconfirmed, receipted=receipted, quarantined=quarantined)


def retry_delay_ms(attempt: int, entropy: float, *, base_ms: int = 1_000, cap_ms: int = 300_000) -> int:
    """Full jitter: how long to wait before try `attempt` (from 1), `entropy` in [0, 1)."""
    return int(entropy * min(cap_ms, base_ms * 2 ** min(attempt, 20)))
