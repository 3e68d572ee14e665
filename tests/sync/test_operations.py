"""Ops: frozen once, read back as written, strict where a mistake would cost."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import limits
from sync.operations import BODY_TYPES, Body, Kind, digest, freeze, parse_body, parse_envelope
from tests.sync.strategies import bodies, identifiers
from tests.vectors.make import VAGUE


def a_line(**fields: Any) -> bytes:
    body = msgspec.json.encode(VAGUE)
    told = {
        "device": "d", "epoch": "e", "seq": 1, "user": "u", "schema": 1, "kind": "note.write", "entity_id": "n",
        "body": msgspec.Raw(body), "body_sha256": hashlib.sha256(body).hexdigest(),
    }  # fmt: skip
    return msgspec.json.encode(told | fields)


@given(bodies, identifiers, st.integers(1, limits.SEQ_MAX))
def test_an_op_is_read_back_as_it_was_written(kind_and_body: tuple[Kind, Body], name: str, seq: int) -> None:
    kind, body = kind_and_body
    line = freeze(device=name, epoch="e", seq=seq, user="u", kind=kind, entity_id="n", body=body)
    assert b"\n" not in line
    envelope = parse_envelope(line)
    assert (envelope.device, envelope.seq, envelope.kind) == (name, seq, kind.value)
    assert envelope.body_sha256 == digest(bytes(envelope.body))
    assert parse_body(kind, envelope.body) == body


@given(bodies)
def test_freezing_the_same_twice_gives_the_same_bytes(kind_and_body: tuple[Kind, Body]) -> None:
    kind, body = kind_and_body
    first, second = (
        freeze(device="d", epoch="e", seq=1, user="u", kind=kind, entity_id="n", body=body) for _ in range(2)
    )
    assert first == second and digest(first) == digest(second)


def test_the_digest_is_over_the_whole_line() -> None:
    assert digest(a_line()) == hashlib.sha256(a_line()).hexdigest()
    assert digest(a_line(seq=2)) != digest(a_line()) != digest(a_line(blobs=["0" * 64]))


@pytest.mark.parametrize(
    "fields",
    [
        {"device": ""},
        {"device": "x" * 65},
        {"device": "a\n"},
        {"device": "a b"},
        {"device": "../x"},
        {"user": "pc okafor"},
        {"epoch": "e\u0000"},
        {"entity_id": "n/1"},
        {"kind": "note.write\n"},
        {"kind": "x" * 65},
        {"seq": 0},
        {"seq": -1},
        {"seq": limits.SEQ_MAX + 1},
        {"seq": 1.5},
        {"seq": "1"},
        {"seq": True},
        {"schema": 0},
        {"schema": 10_001},
        {"body_sha256": "0" * 63},
        {"body_sha256": "A" * 64},
        {"body_sha256": "0" * 64 + "\n"},
        {"blobs": ["0" * 64] * (limits.BLOBS_PER_OP_MAX + 1)},
        {"blobs": ["x"]},
        {"base_rev": -1},
        {"base_rev": 10**30},
    ],
)
def test_an_envelope_that_no_phone_of_ours_writes_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.DecodeError):
        parse_envelope(a_line(**fields))


@pytest.mark.parametrize(
    "name", ["device", "epoch", "seq", "user", "schema", "kind", "entity_id", "body", "body_sha256"]
)
def test_every_envelope_field_but_the_optional_ones_is_needed(name: str) -> None:
    told = msgspec.json.decode(a_line())
    del told[name]
    with pytest.raises(msgspec.ValidationError, match=name):
        parse_envelope(msgspec.json.encode(told))


def test_an_envelope_may_carry_fields_of_a_newer_phone() -> None:
    assert parse_envelope(a_line(battery=0.4)).seq == 1


def test_every_kind_has_a_body() -> None:
    assert set(BODY_TYPES) == set(Kind)
