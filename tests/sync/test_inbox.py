"""The inbox: any bytes get a verdict, one bad line costs only itself, one key has one meaning for ever."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import limits
from sync.envelope import Code, Outcome, Verdict, join_lines, split_lines
from sync.inbox import Arrival, Recorded, against_ledger, contiguous_through, owed, read_line
from sync.operations import Body, Kind, digest, freeze
from tests.sync.strategies import bodies, json_values
from tests.sync.test_operations import a_line

DEVICE = "d"


def check(arrival: Arrival, line: bytes) -> None:
    """What holds of every arrival: its bytes are kept whole, and it is either applicable or says why not."""
    assert arrival.line == line and arrival.digest == digest(line)
    assert (arrival.fault is None) == (arrival.body is not None)
    if arrival.fault is None:
        assert arrival.envelope is not None and arrival.kind is not None
    outcome = Outcome.APPLIED if arrival.fault is None else Outcome.QUARANTINED
    verdict = arrival.verdict(outcome, arrival.fault)
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
    assert (verdict.seq is None) == (verdict.line is not None)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(line: bytes) -> None:
    arrival = read_line(3, line, device=DEVICE)
    check(arrival, line)
    assert arrival.fault is Code.NOT_AN_OP


@given(json_values)
def test_arbitrary_json_never_raises(value: Any) -> None:
    line = msgspec.json.encode(value)
    check(read_line(0, line, device=DEVICE), line)


@given(json_values, st.sampled_from(Kind))
def test_an_arbitrary_body_under_a_good_envelope_never_raises(value: Any, kind: Kind) -> None:
    raw = msgspec.json.encode(value)
    line = a_line(body=msgspec.Raw(raw), body_sha256=digest(raw), kind=kind.value)
    arrival = read_line(0, line, device=DEVICE)
    check(arrival, line)
    assert arrival.fault is Code.BODY_INVALID and arrival.envelope is not None


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_a_good_line_with_bytes_changed_never_raises(seed: int, count: int) -> None:
    dice = random.Random(seed)
    line = bytearray(a_line())
    for _ in range(count):
        line[dice.randrange(len(line))] = dice.randrange(256)
    check(read_line(0, bytes(line), device=DEVICE), bytes(line))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\0",
        b"\0" * 1000,
        b"\xff\xfe{\0}\0",
        b"[" * 100_000,
        b'{"device":' * 20_000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b'"\\ud800"',
        b"1" * 5000,
        b"1e999",
        b"NaN",
        b"null",
        a_line().replace(b'"seq":1', b'"seq":' + b"9" * 5000),
        a_line().replace(b'"seq":1', b'"seq":1e999'),
        a_line().replace(b'"device":"d"', b'"device":"\\ud800"'),
        a_line().replace(b'"schema"', b'"schema":1,"schema"'),
    ],
)
def test_hostile_lines_never_raise(line: bytes) -> None:
    check(read_line(0, line, device=DEVICE), line)


def test_a_deeply_nested_body_is_set_aside_and_not_an_error() -> None:
    for depth in (10, 500, 5_000, 50_000):
        raw = b"[" * depth + b"]" * depth
        line = a_line(body=msgspec.Raw(raw), body_sha256=digest(raw))
        arrival = read_line(0, line, device=DEVICE)
        check(arrival, line)
        assert arrival.fault in (Code.BODY_INVALID, Code.NOT_AN_OP)


def test_an_op_of_exactly_the_limit_is_read_and_one_byte_more_is_not() -> None:
    pad = limits.OP_BYTES_MAX - len(a_line())
    assert read_line(0, a_line() + b" " * pad, device=DEVICE).fault is None
    assert read_line(0, a_line() + b" " * (pad + 1), device=DEVICE).fault is Code.OP_TOO_LARGE


@given(bodies)
def test_what_a_phone_freezes_is_read_without_fault(kind_and_body: tuple[Kind, Body]) -> None:
    kind, body = kind_and_body
    line = freeze(device=DEVICE, epoch="e", seq=1, user="u", kind=kind, entity_id="n", body=body)
    arrival = read_line(0, line, device=DEVICE)
    assert arrival.fault is None, (arrival.fault, arrival.at)
    assert arrival.body == body and arrival.kind is kind


def test_a_fault_names_the_place_and_never_repeats_a_value() -> None:
    raw = b'{"observed_at": "Jay Smith was seen", "recorded_at": "2026-06-12T15:40:00Z", "category": "x"}'
    arrival = read_line(0, a_line(body=msgspec.Raw(raw), body_sha256=digest(raw)), device=DEVICE)
    assert arrival.at == "$.observed_at"
    enum = raw.replace(b"Jay Smith was seen", b"2026-06-12T15:40:00Z").replace(
        b'"x"', b'"Jay - at `$.secret"'
    )
    arrival = read_line(0, a_line(body=msgspec.Raw(enum), body_sha256=digest(enum)), device=DEVICE)
    assert arrival.at == "$.category"
    unknown = b'{"Jay Smith": 1}'
    arrival = read_line(0, a_line(body=msgspec.Raw(unknown), body_sha256=digest(unknown)), device=DEVICE)
    assert arrival.fault is Code.BODY_INVALID and arrival.at == "$"


def test_one_corrupt_line_costs_only_itself() -> None:
    lines = [a_line(seq=seq) for seq in (1, 2, 3)]
    payload = join_lines(lines).replace(lines[1], lines[1][:40] + b"\0" + lines[1][41:])
    faults = [read_line(i, line, device=DEVICE).fault for i, line in enumerate(split_lines(payload))]
    assert faults == [None, Code.NOT_AN_OP, None]


@given(
    st.lists(
        st.binary(min_size=1, max_size=20).filter(lambda b: b"\n" not in b and not b.isspace()), max_size=6
    )
)
def test_lines_are_split_as_they_were_joined(lines: list[bytes]) -> None:
    assert split_lines(join_lines(lines)) == lines
    assert split_lines(b"\n \n".join([b"", *lines, b""])) == lines


def arrival_of(line: bytes) -> Arrival:
    return read_line(0, line, device=DEVICE)


@given(st.sampled_from(list(Outcome)), st.none() | st.sampled_from(Code), st.none() | st.integers(1, 9))
def test_the_same_bytes_get_the_verdict_they_had_for_ever(
    outcome: Outcome, code: Code | None, rev: int | None
) -> None:
    arrival = arrival_of(a_line())
    verdict = against_ledger(arrival, Recorded(arrival.digest, outcome, code, rev))
    assert verdict is not None
    assert (verdict.v, verdict.code, verdict.why, verdict.rev) == (
        Outcome.DUPLICATE,
        outcome.value,
        code,
        rev,
    )
    assert (verdict.epoch, verdict.seq) == ("e", 1)


def test_other_bytes_under_a_taken_key_are_set_aside() -> None:
    arrival = arrival_of(a_line())
    verdict = against_ledger(arrival, Recorded("0" * 64, Outcome.APPLIED, None, 1))
    assert verdict is not None and (verdict.v, verdict.code) == (Outcome.QUARANTINED, Code.KEY_REUSED)


def test_a_new_key_has_no_verdict_yet() -> None:
    assert against_ledger(arrival_of(a_line()), None) is None


@given(st.sets(st.integers(1, 40)), st.integers(0, 10), st.randoms())
def test_what_is_owed_and_what_is_contiguous_agree_with_counting(
    seqs: set[int], start: int, dice: random.Random
) -> None:
    shuffled = list(seqs) * 2  # a seq may be told twice, in any order
    dice.shuffle(shuffled)
    have = seqs | set(range(start + 1))
    through = contiguous_through(start, shuffled)
    assert all(seq in have for seq in range(through + 1)) and through + 1 not in have
    missing = {seq for first, last in owed(start, shuffled) for seq in range(first, last + 1)}
    assert missing == {seq for seq in range(start + 1, max([start, *seqs]) + 1) if seq not in seqs}
    assert all(first <= last for first, last in owed(start, shuffled))


def test_the_supervisor_reads_this_phone_owes_notes_41_to_43() -> None:
    assert owed(38, [39, 40, 44, 46]) == [(41, 43), (45, 45)]
    assert contiguous_through(38, [40, 39, 44]) == 40
