"""The outbox: every event in every state, bounded batches, answers of every shape, "all sent" said in one case."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.envelope import CUSTODY, Code, Hello, Outcome, PushAnswer, Verdict
from sync.limits import Limits
from sync.outbox import (
    TRANSITIONS,
    Entry,
    Event,
    State,
    may_forget,
    must_rotate_epoch,
    next_batch,
    on_answer,
    on_hello,
    retry_delay_ms,
    step,
    sync_state,
)
from sync.receipts import Receipt
from tests.sync.strategies import entries, outboxes, verdicts


def entry(
    seq: int = 1, state: State = State.SENT, *, epoch: str = "e", size: int = 10, held: bool = True
) -> Entry:
    return Entry(epoch=epoch, seq=seq, digest=f"{seq:064x}", size=size, state=state, held=held)


def receipt_for(*covered: Entry) -> Receipt:
    ops = tuple((one.epoch, one.seq, one.digest) for one in covered)
    return Receipt(key_id="k", incarnation="i", device="d", received_at=1, ops=ops)


def applied(*seqs: int) -> PushAnswer:
    return PushAnswer(verdicts=tuple(Verdict(epoch="e", seq=seq, v=Outcome.APPLIED) for seq in seqs))


def test_every_event_is_defined_in_every_state() -> None:
    assert set(TRANSITIONS) == set(itertools.product(State, Event))


def test_only_a_receipt_leads_to_receipted_and_only_a_restore_leads_away_from_it() -> None:
    into = {
        event
        for (state, event), after in TRANSITIONS.items()
        if after is State.RECEIPTED and state is not after
    }
    out_of = {
        event
        for (state, event), after in TRANSITIONS.items()
        if state is State.RECEIPTED and after is not state
    }
    assert into == {Event.RECEIPT} and out_of == {Event.RESTORED}


@pytest.mark.invariant(15)
@given(entries, st.lists(st.sampled_from(Event), max_size=12))
def test_whatever_happens_a_fair_push_ends_receipted(start: Entry, events: list[Event]) -> None:
    """Invariant 15: from any state, one send that is answered and signed for ends it."""
    here = start
    for event in events:
        here = step(here, event)
    for event in (Event.SEND, Event.CUSTODY, Event.RECEIPT):
        here = step(here, event)
    assert here.state is State.RECEIPTED
    assert (here.epoch, here.seq, here.digest, here.size) == (
        start.epoch,
        start.seq,
        start.digest,
        start.size,
    )


@given(outboxes, st.integers(1, 5), st.integers(1, 9000), st.integers(1, 9000))
def test_a_batch_keeps_its_bounds_its_order_and_one_epoch(
    outbox: list[Entry], ops: int, wire: int, unpacked: int
) -> None:
    limits = Limits(ops_per_push=ops, push_wire_bytes=wire, push_unpacked_bytes=unpacked)
    batch = next_batch(outbox, limits)
    sendable = [one for one in outbox if one.held and one.state is not State.RECEIPTED]
    assert batch == sendable[: len(batch)], "oldest first, none left out, none receipted or forgotten"
    assert bool(batch) == bool(sendable), "something always goes while anything waits"
    assert len(batch) <= ops and len({one.epoch for one in batch}) <= 1
    total = sum(one.size + 1 for one in batch)
    assert total <= min(wire, unpacked) or len(batch) == 1
    if len(batch) < len(sendable):
        more = sendable[len(batch)]
        assert (
            len(batch) == ops or more.epoch != batch[0].epoch or total + more.size + 1 > min(wire, unpacked)
        ), "no smaller than it must be"


@given(outboxes, st.lists(verdicts, max_size=14), st.booleans())
def test_an_answer_of_any_shape_moves_only_what_it_truly_covers(
    batch: list[Entry], said: list[Verdict], with_receipt: bool
) -> None:
    receipt = receipt_for(*batch[::2]) if with_receipt else None
    after = on_answer(batch, PushAnswer(verdicts=tuple(said)), receipt)
    assert len(after) == len(batch)
    covered = {digest for _, _, digest in receipt.ops} if receipt else set()
    for index, (before, now) in enumerate(zip(batch, after, strict=True)):
        assert (now.epoch, now.seq, now.digest, now.size, now.held) == (
            before.epoch, before.seq, before.digest, before.size, before.held,
        )  # fmt: skip
        spoken = [
            v
            for v in said
            if (v.epoch, v.seq) == (before.epoch, before.seq) or (v.seq is None and v.line == index)
        ]
        if now.state is State.RECEIPTED and before.state is not State.RECEIPTED:
            assert now.digest in covered and any(v.v in CUSTODY for v in spoken)
        if not any(v.v in CUSTODY for v in spoken):
            assert now == step(before, Event.LOST)


def test_missing_extra_and_doubled_verdicts() -> None:
    batch = [entry(1), entry(2), entry(3)]
    answer = applied(1, 1, 3, 99)
    after = on_answer(batch, answer, receipt_for(*batch))
    assert [one.state for one in after] == [State.RECEIPTED, State.QUEUED, State.RECEIPTED]
    assert on_answer([], answer, None) == []


def test_a_verdict_by_line_reaches_the_op_on_that_line() -> None:
    batch = [entry(1), entry(2)]
    answer = PushAnswer(
        verdicts=(*applied(1).verdicts, Verdict(line=1, v=Outcome.QUARANTINED, code=Code.NOT_AN_OP))
    )
    after = on_answer(batch, answer, receipt_for(batch[0]))
    assert (after[1].state, after[1].code) == (State.SETTLED, Code.NOT_AN_OP)


def test_bytes_damaged_on_the_way_are_not_the_op() -> None:
    damaged = Receipt(key_id="k", incarnation="i", device="d", received_at=1, ops=(("e", 1, "f" * 64),))
    (after,) = on_answer([entry(1)], applied(1), damaged)
    assert after.state is State.SETTLED
    assert next_batch([after], Limits()) == [after], "it is sent again"


def test_an_op_whose_line_could_not_be_read_is_covered_by_its_digest() -> None:
    one = entry(1)
    whole = Receipt(key_id="k", incarnation="i", device="d", received_at=1, ops=(("", 0, one.digest),))
    answer = PushAnswer(verdicts=(Verdict(line=0, v=Outcome.QUARANTINED, code=Code.OP_TOO_LARGE),))
    (after,) = on_answer([one], answer, whole)
    assert after.state is State.RECEIPTED and not may_forget(after, {"e": 9})


def test_a_duplicate_is_kept_as_what_it_was_the_first_time() -> None:
    def after(code: str | None, why: str | None = None) -> tuple[Outcome | None, str | None]:
        verdict = Verdict(epoch="e", seq=1, v=Outcome.DUPLICATE, code=code, why=why)
        (one,) = on_answer([entry(1)], PushAnswer(verdicts=(verdict,)), receipt_for(entry(1)))
        return one.outcome, one.code

    assert after("applied") == (Outcome.APPLIED, None)
    assert after("quarantined", "body_invalid") == (Outcome.QUARANTINED, "body_invalid")
    assert after("of_the_future") == (Outcome.DUPLICATE, "of_the_future")
    assert after(None) == (Outcome.DUPLICATE, None)


@given(outboxes, outboxes)
def test_all_sent_only_when_everything_is_receipted(first: list[Entry], second: list[Entry]) -> None:
    outbox = first + second
    state = sync_state(outbox)
    assert state.all_sent == all(one.state is State.RECEIPTED for one in outbox)
    assert state.waiting + state.unconfirmed + state.receipted == len(outbox)


@given(entries, st.dictionaries(st.sampled_from(["e1", "e2"]), st.integers(0, 13)))
def test_bytes_go_only_when_signed_for_durable_and_not_set_aside(one: Entry, durable: dict[str, int]) -> None:
    assert may_forget(one, durable) == (one.state is State.RECEIPTED and durable.get(one.epoch, 0) >= one.seq)
    aside = msgspec.structs.replace(one, outcome=Outcome.QUARANTINED)
    assert not may_forget(aside, durable)


@given(outboxes, st.dictionaries(st.sampled_from(["e1", "e2"]), st.integers(0, 13)))
def test_after_a_restore_everything_that_is_here_waits_again_whatever_is_called_durable(
    outbox: list[Entry], durable: dict[str, int]
) -> None:
    hello = Hello(server_time=1, incarnation="second", durable_through=durable)
    changed = {(one.epoch, one.seq): one for one in on_hello(outbox, hello, "first")}
    for one in outbox:
        after = changed.get((one.epoch, one.seq), one)
        assert after.state in (State.QUEUED, State.SENT) if one.held else after == one
    assert on_hello(outbox, hello, "second") == on_hello(outbox, hello, None) == []


@pytest.mark.parametrize(
    ("answer", "rotate"),
    [
        (applied(1), False),
        (PushAnswer(verdicts=(), rotate_epoch=True), True),
        (
            PushAnswer(verdicts=(Verdict(epoch="e", seq=1, v=Outcome.QUARANTINED, code=Code.KEY_REUSED),)),
            True,
        ),
    ],
)
def test_the_epoch_changes_when_told_and_when_a_number_is_taken(answer: PushAnswer, rotate: bool) -> None:
    assert must_rotate_epoch(answer) is rotate


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_have_full_jitter_and_a_cap(attempt: int, entropy: float) -> None:
    wait = retry_delay_ms(attempt, entropy, base_ms=1000, cap_ms=60_000)
    assert 0 <= wait <= min(60_000, 1000 * 2 ** min(attempt, 20))
    assert retry_delay_ms(attempt, 0.0) == 0
