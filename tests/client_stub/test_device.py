"""Enrolling, writing, amending, wiping: what the phone does without a sync."""

from __future__ import annotations

import itertools
from pathlib import Path

import jwt
import pytest

from client_stub import keys
from client_stub.device import DeviceError
from client_stub.transport import Refused, Transport
from sync.note import Amendment, Subject, Withdrawal
from sync.operations import parse_envelope
from tests.client_stub.fake_server import NOW, FakeServer
from tests.client_stub.kit import ADDRESS, WHEN, a_note, new_phone, states, sync_once


def test_the_private_key_stays_in_the_store_and_the_server_gets_the_public_half(
    tmp_path: Path, server: FakeServer
) -> None:
    phone = new_phone(tmp_path / "p", server)
    pem = phone.store.get("private_key") or ""
    assert "PRIVATE KEY" in pem
    jwk = keys.public_jwk(pem)
    assert set(jwk) == {"kty", "crv", "x", "y"}
    token = keys.assertion(pem, device_id="d", audience="a", now_ms=NOW, jti="j" * 8)
    key = next(iter(server.devices.values()))[1]
    claims = jwt.decode(
        token, key, algorithms=["ES256"], audience="a", options={"verify_exp": False, "verify_iat": False}
    )
    assert claims["iss"] == claims["sub"] == "d" and 0 < claims["exp"] - claims["iat"] <= 300


def test_a_wrong_code_enrols_nothing_and_can_be_tried_again(tmp_path: Path, server: FakeServer) -> None:
    phone = new_phone(tmp_path / "p")
    with Transport(ADDRESS, line=server.transport()) as transport:
        with pytest.raises(Refused, match="wrong, used"):
            phone.enrol(transport, code="0000-0000-0000-0000", name="x")
        assert phone.identity() is None
        phone.enrol(transport, code="aaaa bbbb cccc dddd", name="x")
    assert phone.enrolled().user == "officer.jones"
    with (
        Transport(ADDRESS, line=server.transport()) as transport,
        pytest.raises(DeviceError, match="already"),
    ):
        phone.enrol(transport, code="aaaa bbbb cccc dddd", name="x")


def test_a_phone_whose_clock_is_years_off_can_enrol(tmp_path: Path, server: FakeServer) -> None:
    ticks = itertools.count(NOW - 100_000_000_000)
    phone = new_phone(tmp_path / "p", server, now_ms=lambda: next(ticks))
    assert phone.enrolled().officer_name == "PC Jones"


def test_writing_without_enrolment_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="not enrolled") as caught:
        new_phone(tmp_path / "p").write(a_note())
    assert "enrol" in caught.value.hint


def test_numbers_count_from_one_without_gaps_and_each_line_is_its_own_proof(
    tmp_path: Path, server: FakeServer
) -> None:
    phone = new_phone(tmp_path / "p", server)
    note_id = phone.write(a_note())
    phone.amend(note_id, Amendment(recorded_at=WHEN, reason="more", text="She called back."))
    phone.withdraw(note_id, Withdrawal(recorded_at=WHEN, reason="wrong child"))
    envelopes = [parse_envelope(line) for line in phone.store.lines(phone.store.all_entries())]
    assert [e.seq for e in envelopes] == [1, 2, 3]
    assert [e.kind for e in envelopes] == ["note.write", "note.amend", "note.withdraw"]
    assert {e.entity_id for e in envelopes} == {note_id}
    assert {e.user for e in envelopes} == {"officer.jones"}


def test_a_note_that_the_server_could_not_take_is_refused_while_the_officer_looks(
    tmp_path: Path, server: FakeServer
) -> None:
    phone = new_phone(tmp_path / "p", server)
    with pytest.raises(DeviceError, match=r"subjects\[0\]\.given_names"):
        phone.write(a_note(subjects=(Subject(given_names="x" * 501),)))
    texts = ("assessment", "voice_of_child", "demeanour", "action_taken", "not_seen_reason")
    with pytest.raises(DeviceError, match="too long"):
        phone.write(a_note(**dict.fromkeys(texts, "\u0b95" * 20_000)))
    assert phone.store.all_entries() == []
    phone.write(a_note())
    assert phone.store.all_entries()[0].seq == 1


def test_an_error_never_repeats_what_was_written(tmp_path: Path, server: FakeServer) -> None:
    phone = new_phone(tmp_path / "p", server)
    with pytest.raises(DeviceError) as caught:
        phone.write(a_note(saw="Jay Smith\x00of Peckham"))
    assert "saw_or_heard" in str(caught.value)
    assert "Jay" not in str(caught.value) and "Peckham" not in str(caught.value)


def test_a_note_is_found_by_the_beginning_of_its_id(tmp_path: Path, server: FakeServer) -> None:
    names = iter(["aaa-1", "aab-2", "aaa"])
    phone = new_phone(tmp_path / "p", server)
    for name in names:
        phone.write(a_note(), note_id=name)
    assert phone.find_note("aab") == "aab-2"
    assert phone.find_note("aaa") == "aaa"
    for beginning in ("a", "zzz"):
        with pytest.raises(DeviceError, match="id that begins so"):
            phone.find_note(beginning)


def test_a_wipe_is_refused_while_anything_is_unsent(tmp_path: Path, server: FakeServer) -> None:
    phone = new_phone(tmp_path / "p", server)
    phone.write(a_note())
    with pytest.raises(DeviceError, match="only on this device"):
        phone.wipe()
    assert len(phone.store.all_entries()) == 1
    server.receipts_on = False
    sync_once(phone, server)
    assert states(phone) == ["settled"]
    with pytest.raises(DeviceError, match="not signed for"):
        phone.wipe()
    server.receipts_on = True
    sync_once(phone, server)
    phone.wipe()
    assert not (tmp_path / "p" / "outbox.db").exists()


def test_a_server_key_that_is_no_key_fails_at_enrolment(tmp_path: Path, server: FakeServer) -> None:
    with pytest.raises(keys.KeyProblem):
        keys.receipt_verifier(keys.ServerKey(kid="k", x="AAAA"))
    with pytest.raises(keys.KeyProblem):
        keys.receipt_verifier(keys.ServerKey(kid="k", x="not base64 \u00e9"))


def test_a_code_is_read_as_a_person_types_it() -> None:
    assert keys.plain_code(" 7q2m-xk4d 0rte-9hnb ") == "7Q2MXK4D0RTE9HNB"
    assert keys.plain_code("oil") == "011"
