"""Bodies of old schemas: brought up step by step, and read for ever."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from sync import inbox, operations
from sync.note import Note
from sync.operations import SCHEMA_NEWEST, SCHEMA_OLDEST, Envelope, Kind, body_of
from sync.upcasting import STEPS, upcast

DEVICE = "phone-7"
OLD: dict[str, Any] = {
    "when": "2026-03-01T14:05:00+00:00",
    "recorded_at": "2026-03-01T14:07:00+00:00",
    "category": "neglect",
    "saw": "Alone at the bus station",
    "subject": {"given_names": "Jay"},
}
"""A note of a schema as it might have been: other names, and one subject only."""


def first_step(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    if kind == "note.write":
        body["observed_at"] = body.pop("when")
        body["subjects"] = [body.pop("subject")]
    return body


def second_step(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    if kind == "note.write":
        body["saw_or_heard"] = body.pop("saw")
    return body


def test_there_is_a_step_from_every_schema_that_was_shipped() -> None:
    assert sorted(STEPS) == list(range(SCHEMA_OLDEST, SCHEMA_NEWEST))


def test_steps_are_taken_in_order_from_where_the_body_is() -> None:
    steps = {1: first_step, 2: second_step}
    read = msgspec.json.decode(upcast("note.write", 1, msgspec.json.encode(OLD), 3, steps))
    assert read["saw_or_heard"] == "Alone at the bus station" and read["subjects"] == [{"given_names": "Jay"}]
    raw = msgspec.json.encode({"saw": "x"})
    assert msgspec.json.decode(upcast("note.write", 2, raw, 3, steps)) == {"saw_or_heard": "x"}
    assert upcast("note.write", 3, b"as it is", 3, steps) == b"as it is"


def line_of(body: bytes) -> bytes:
    return msgspec.json.encode(
        Envelope(
            device=DEVICE, epoch="e", seq=1, user="okafor", schema=1, kind=Kind.NOTE_WRITE.value, entity_id="n",
            body=msgspec.Raw(body), body_sha256=hashlib.sha256(body).hexdigest(),
        )
    )  # fmt: skip


def test_an_old_line_is_read_by_a_newer_server_and_its_bytes_and_digest_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sync.upcasting.STEPS", {1: first_step, 2: second_step})
    monkeypatch.setattr(upcast, "__defaults__", ({1: first_step, 2: second_step},))
    monkeypatch.setattr(operations, "SCHEMA_NEWEST", 3)
    monkeypatch.setattr(inbox, "SCHEMA_NEWEST", 3)
    line = line_of(msgspec.json.encode(OLD))
    arrival = inbox.read_line(0, line, device=DEVICE)
    assert arrival.fault is None and arrival.line == line
    assert isinstance(arrival.body, Note) and arrival.body.saw_or_heard == "Alone at the bus station"
    assert arrival.envelope is not None and body_of(arrival.envelope) == arrival.body


@pytest.mark.parametrize("body", [b"[]", b"7", b'"text"', b"{}"])
def test_an_old_body_that_is_no_object_is_set_aside(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    monkeypatch.setattr(upcast, "__defaults__", ({1: first_step, 2: second_step},))
    monkeypatch.setattr(operations, "SCHEMA_NEWEST", 3)
    monkeypatch.setattr(inbox, "SCHEMA_NEWEST", 3)
    assert inbox.read_line(0, line_of(body), device=DEVICE).fault == "body_invalid"
