"""tus 1.0 at `/api/attachments`: every status code of the protocol and of ours, and what must not change with it."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import time_machine

from server import releasing
from server.audit import Actor
from server.clock import now_ms
from server.http import attachments as door
from server.records import attachments, uploads
from server.storage import Transaction
from server.storage.blobs import BlobsUnavailable
from tests.attachments.kit import (
    BYTES,
    PATH,
    RESUMABLE,
    assert_every_object_is_whole,
    begin,
    declaring,
    digest,
    head,
    large,
    parts,
    photograph,
    recording,
    send,
    stored,
    upload,
)
from tests.http.kit import Client, Phone, assert_problem, enrolled_phone, services_of
from tests.http.test_sync import NOTE, Sender

PHOTOGRAPH = photograph()


def offset_of(answer: Any) -> int:
    return int(answer.headers["upload-offset"])


def test_a_photograph_arrives_whole_and_is_stored_under_its_digest(client: Client, phone: Phone) -> None:
    address = begin(phone, len(PHOTOGRAPH), **declaring(PHOTOGRAPH))
    first = send(phone, address, 0, PHOTOGRAPH[:100])
    assert (first.status_code, offset_of(first)) == (204, 100)
    assert first.headers["tus-resumable"] == "1.0.0" and first.headers["upload-expires"].endswith("GMT")
    told = head(phone, address)
    assert (told.status_code, offset_of(told), told.headers["upload-length"]) == (
        200,
        100,
        str(len(PHOTOGRAPH)),
    )
    assert told.headers["cache-control"] == "no-store"
    assert told.headers["upload-metadata"] == declaring(PHOTOGRAPH)["upload-metadata"]
    assert stored(client, digest(PHOTOGRAPH)) is None, "nothing is readable before all of it is there"
    last = send(phone, address, 100, PHOTOGRAPH[100:])
    assert (last.status_code, offset_of(last)) == (204, len(PHOTOGRAPH))
    assert stored(client, digest(PHOTOGRAPH)) == PHOTOGRAPH
    assert parts(client) == []
    assert offset_of(head(phone, address)) == len(PHOTOGRAPH)
    again = send(phone, address, len(PHOTOGRAPH), b"")
    assert again.status_code == 204, "the answer was lost: asking again changes nothing"


def test_options_tell_what_the_server_can_do_and_ask_for_nothing(client: Client) -> None:
    answer = client.options(PATH)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-max-size"] == "100000000"
    assert answer.headers["tus-checksum-algorithm"] == "sha256,sha1"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation", "creation-with-upload", "checksum", "expiration", "termination",
    }  # fmt: skip


def test_creation_may_carry_the_bytes(client: Client, phone: Phone) -> None:
    answer = phone.post(PATH, headers=BYTES | {"upload-length": str(len(PHOTOGRAPH))}, content=PHOTOGRAPH)
    assert (answer.status_code, offset_of(answer)) == (201, len(PHOTOGRAPH))
    assert stored(client, digest(PHOTOGRAPH)) == PHOTOGRAPH
    part = phone.post(PATH, headers=BYTES | {"upload-length": str(len(PHOTOGRAPH))}, content=PHOTOGRAPH[:10])
    assert (part.status_code, offset_of(part)) == (201, 10)
    assert offset_of(head(phone, part.headers["location"])) == 10


@pytest.mark.parametrize(
    ("headers", "status", "slug"),
    [
        ({"upload-length": "10", "tus-resumable": "0.2.2"}, 412, "tus-version"),
        ({"upload-length": "100000001"}, 413, "too-large"),
        ({"upload-length": "-1"}, 400, "bad-request"),
        ({"upload-length": "ten"}, 400, "bad-request"),
        ({"upload-length": "0"}, 400, "bad-request"),
        ({}, 400, "bad-request"),
        ({"upload-defer-length": "1"}, 400, "bad-request"),
        ({"upload-length": "10", "upload-metadata": "sha256 bm90IGhleA=="}, 400, "bad-request"),
        ({"upload-length": "10", "upload-metadata": "name ***"}, 400, "bad-request"),
        ({"upload-length": "10", "upload-metadata": "name " + "A" * 3000}, 400, "bad-request"),
        ({"upload-length": "10", "upload-checksum": "crc32 AAAA"}, 400, "bad-request"),
        ({"upload-length": "10", "upload-checksum": "sha1 AAAA"}, 400, "bad-request"),
    ],
)
def test_creations_that_are_refused(phone: Phone, headers: dict[str, str], status: int, slug: str) -> None:
    answer = phone.post(PATH, headers=RESUMABLE | headers)
    assert_problem(answer, status, slug)
    assert answer.headers["tus-resumable"] == "1.0.0"
    if status == 412:
        assert answer.headers["tus-version"] == "1.0.0"
    if status == 413:
        assert answer.headers["tus-max-size"] == "100000000"


def test_patches_that_are_refused_change_nothing(client: Client, phone: Phone) -> None:
    address = begin(phone, 1000)
    assert send(phone, address, 0, PHOTOGRAPH[:10]).status_code == 204
    wrong_place = send(phone, address, 5, b"xxxxx")
    assert_problem(wrong_place, 409, "offset-mismatch")
    assert offset_of(wrong_place) == 10
    assert_problem(send(phone, address, 10, bytes(991)), 413, "too-large")
    other_type = send(phone, address, 10, b"x", **{"content-type": "application/octet-stream"})
    assert_problem(other_type, 415, "unsupported-type")
    assert_problem(send(phone, address, 10, b"x", **{"tus-resumable": "2.0.0"}), 412, "tus-version")
    assert_problem(send(phone, address, 10, b"x", **{"upload-offset": "ten"}), 400, "bad-request")
    assert_problem(send(phone, PATH + "/unknown", 0, b"x"), 404, "not-found")
    assert head(phone, PATH + "/unknown").status_code == 404
    assert offset_of(head(phone, address)) == 10

    def chunks() -> Any:
        yield bytes(500)
        yield bytes(500)

    # A body of unknown length that grows beyond the file is cut off where it began.
    assert_problem(send(phone, address, 10, chunks()), 413, "too-large")
    assert offset_of(head(phone, address)) == 10


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_checksum_that_does_not_match_leaves_nothing_behind(
    client: Client, phone: Phone, algorithm: str
) -> None:
    def of(data: bytes) -> dict[str, str]:
        value = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
        return {"upload-checksum": f"{algorithm} {value}"}

    address = begin(phone, len(PHOTOGRAPH))
    assert send(phone, address, 0, PHOTOGRAPH[:50], **of(PHOTOGRAPH[:50])).status_code == 204
    answer = send(phone, address, 50, PHOTOGRAPH[50:], **of(b"something else"))
    assert_problem(answer, 460, "checksum-mismatch")
    assert offset_of(answer) == offset_of(head(phone, address)) == 50
    assert send(phone, address, 50, PHOTOGRAPH[50:], **of(PHOTOGRAPH[50:])).status_code == 204
    assert stored(client, digest(PHOTOGRAPH)) == PHOTOGRAPH


def test_a_file_that_is_not_the_declared_one_is_not_kept(client: Client, phone: Phone) -> None:
    address = begin(phone, len(PHOTOGRAPH), **declaring(b"another"))
    assert_problem(send(phone, address, 0, PHOTOGRAPH), 460, "checksum-mismatch")
    assert head(phone, address).status_code == 410
    assert stored(client, digest(PHOTOGRAPH)) is None and parts(client) == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"<html><script>alert(1)</script>" * 20, id="html"),
        pytest.param(b"MZ" + bytes(600), id="exe"),
        pytest.param(b"%PDF-1.7" + bytes(600), id="pdf"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>" + bytes(99), id="svg"),
        pytest.param(b"PK\x03\x04" + bytes(100), id="zip"),
        pytest.param(recording(b"vide", b"isom"), id="video"),
        pytest.param(recording(b"vide") + recording(), id="video first"),
        pytest.param(b"\x00\x00\x00\x18ftypM4A " + bytes(40), id="mp4 without tracks"),
        pytest.param(b"G", id="one byte"),
    ],
)
def test_what_is_no_photograph_and_no_recording_is_refused(client: Client, phone: Phone, data: bytes) -> None:
    address = begin(phone, len(data), **{"upload-metadata": "filetype aW1hZ2UvanBlZw=="})
    answer = send(phone, address, 0, data)
    assert_problem(answer, 415, "media-refused")
    assert head(phone, address).status_code == 410
    assert stored(client, digest(data)) is None and parts(client) == []


def test_a_large_file_of_a_wrong_type_is_refused_before_it_is_all_sent(client: Client, phone: Phone) -> None:
    address = begin(phone, 50_000_000)
    assert_problem(send(phone, address, 0, b"MZ" + bytes(400_000)), 415, "media-refused")
    assert head(phone, address).status_code == 410 and parts(client) == []


def test_an_upload_given_up_is_gone_and_one_that_arrived_stays(client: Client, phone: Phone) -> None:
    address = begin(phone, 1000)
    send(phone, address, 0, PHOTOGRAPH[:500])
    answer = phone.client.delete(address, headers=phone.headers() | RESUMABLE)
    assert answer.status_code == 204 and parts(client) == []
    assert head(phone, address).status_code == 410
    assert_problem(send(phone, address, 500, b"x"), 410, "upload-gone")
    done = begin(phone, len(PHOTOGRAPH))
    send(phone, done, 0, PHOTOGRAPH)
    assert phone.client.delete(done, headers=phone.headers() | RESUMABLE).status_code == 204
    assert stored(client, digest(PHOTOGRAPH)) == PHOTOGRAPH


def test_an_upload_that_stood_still_too_long_is_gone(client: Client, phone: Phone) -> None:
    address = begin(phone, 1000)
    hours = services_of(client).settings.attachment_upload_hours
    with time_machine.travel((now_ms() / 1000) + hours * 3600 + 60, tick=True):
        phone.ask_token()
        assert head(phone, address).status_code == 410
        assert_problem(send(phone, address, 0, b"x"), 410, "upload-gone")


def test_the_method_may_be_overridden_for_proxies_that_know_no_patch(client: Client, phone: Phone) -> None:
    address = begin(phone, len(PHOTOGRAPH))
    override = BYTES | {"x-http-method-override": "PATCH", "upload-offset": "0"}
    answer = phone.post(address, headers=override, content=PHOTOGRAPH)
    assert (answer.status_code, offset_of(answer)) == (204, len(PHOTOGRAPH))
    assert stored(client, digest(PHOTOGRAPH)) == PHOTOGRAPH
    assert_problem(phone.post(address, headers=RESUMABLE), 405, "method-not-allowed")


def test_a_phone_has_so_many_unfinished_uploads_and_no_more(client: Client, phone: Phone) -> None:
    for _ in range(uploads.OPEN_MAX):
        begin(phone, 10)
    answer = phone.post(PATH, headers=RESUMABLE | {"upload-length": "10"})
    assert_problem(answer, 429, "too-many-uploads")
    assert answer.headers["retry-after"]


# Whose it is


def test_nobody_without_a_token_and_no_revoked_phone_uploads_what_no_note_names(
    client: Client, phone: Phone
) -> None:
    headers = RESUMABLE | {"upload-length": "10"}
    assert_problem(client.post(PATH, headers=headers), 401, "token-refused")
    address = begin(phone, len(PHOTOGRAPH), **declaring(PHOTOGRAPH))
    phone.revoke()
    for some in (headers, headers | declaring(PHOTOGRAPH)):
        body = assert_problem(phone.post(PATH, headers=some), 403, "device-revoked")
        assert body["wipe"] is True
    assert_problem(send(phone, address, 0, PHOTOGRAPH), 403, "device-revoked")
    assert head(phone, address).status_code == 403
    assert parts(client) == []


def handed_in(sender: Sender, data: bytes) -> str:
    """Hand in a note that names these bytes; what became of it."""
    note = NOTE | {"attachments": [{"sha256": digest(data)}]}
    [verdict] = sender.push(sender.line(note)).verdicts
    return str(verdict.v)


def shown_attachments(client: Client) -> set[str]:
    """The digests that some note shows: named by it, and handed in by a phone of its author."""

    def look(tx: Transaction) -> set[str]:
        keys = [key for (key,) in tx.rows("SELECT note_key FROM note")]
        named = [one for some in attachments.of_notes(tx, keys).values() for one in some]
        return {one.digest for one in named if one.kept is not None}

    return services_of(client).store.read_now(look)


@pytest.mark.invariant(10)
def test_invariant_10_a_revoked_phone_hands_in_the_photographs_of_its_notes_before_it_is_wiped(
    client: Client, phone: Phone
) -> None:
    sender, services = Sender(client, phone), services_of(client)
    before, after, never = photograph(50), photograph(51), photograph(52)
    assert handed_in(sender, before) == "applied"
    address = begin(phone, len(before), **declaring(before))
    send(phone, address, 0, before[:100])
    phone.revoke()
    assert handed_in(sender, after) == "quarantined"
    # Of a note that was taken: the upload goes on, and is of those bytes alone.
    assert offset_of(head(phone, address)) == 100
    assert send(phone, address, 100, before[100:]).status_code == 204
    assert phone.get(f"{PATH}/receipts/{digest(before)}").status_code == 200
    other = begin(phone, len(never), **declaring(before))
    assert_problem(send(phone, other, 0, never), 460, "checksum-mismatch")
    # Of a note that waits for a person: kept, and shown to nobody until it is released.
    upload(phone, after)
    assert shown_attachments(client) == {digest(before)}
    services.store.write_now(
        lambda tx: releasing.release(
            tx, Actor("person", "t"), 1, now=now_ms(), world=services.worlds.current(tx)
        )
    )
    assert shown_attachments(client) == {digest(before), digest(after)}
    # Another phone's notes are no reason.
    lindqvist = enrolled_phone(client, "lindqvist")
    assert handed_in(Sender(client, lindqvist), never) == "applied"
    refused = phone.post(PATH, headers=RESUMABLE | {"upload-length": "10"} | declaring(never))
    assert_problem(refused, 403, "device-revoked")


def test_what_a_person_refused_is_awaited_no_more_and_a_revoked_phone_cannot_fill_the_disk(
    client: Client, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, services = Sender(client, phone), services_of(client)
    phone.revoke()
    handed_in(sender, PHOTOGRAPH)
    headers = RESUMABLE | {"upload-length": str(len(PHOTOGRAPH))} | declaring(PHOTOGRAPH)
    monkeypatch.setattr(door, "REVOKED_BYTES_MAX", 2 * len(PHOTOGRAPH))
    assert [phone.post(PATH, headers=headers).status_code for _ in range(3)] == [201, 201, 403]
    monkeypatch.undo()
    assert phone.post(PATH, headers=headers).status_code == 201
    services.store.write_now(
        lambda tx: releasing.refuse(tx, Actor("person", "t"), 1, "not the officer's", now=now_ms())
    )
    assert_problem(phone.post(PATH, headers=headers), 403, "device-revoked")


def test_a_phone_cannot_tell_what_others_have(client: Client, phone: Phone) -> None:
    other = enrolled_phone(client, "lindqvist")
    sha256 = upload(phone, PHOTOGRAPH)
    address = begin(phone, 1000)
    assert phone.get(f"{PATH}/receipts/{sha256}").status_code == 200
    asked = other.get(f"{PATH}/receipts/{sha256}")
    never = other.get(f"{PATH}/receipts/{'0' * 64}")
    assert_problem(asked, 404, "not-found")
    strip = {"instance"}
    assert {k: v for k, v in asked.json().items() if k not in strip} == {
        k: v for k, v in never.json().items() if k not in strip
    }
    for told in (head(other, address), head(other, PATH + "/nothing")):
        assert told.status_code == 404
    assert_problem(send(other, address, 0, b"x"), 404, "not-found")
    assert other.client.delete(address, headers=other.headers() | RESUMABLE).status_code == 404
    # It has to send all of it, as if nobody had: creation answers alike, and so does every offset.
    mine = begin(other, len(PHOTOGRAPH), **declaring(PHOTOGRAPH))
    assert offset_of(head(other, mine)) == 0
    assert send(other, mine, 0, PHOTOGRAPH).status_code == 204
    assert other.get(f"{PATH}/receipts/{sha256}").status_code == 200
    services = services_of(client)
    rows = services.store.read_now(lambda tx: tx.rows("SELECT digest, device_id FROM attachment_source"))
    assert sorted(rows) == sorted((sha256, device) for device in (phone.device_id, other.device_id))
    assert assert_every_object_is_whole(client) == 1


# A disk that is full


def test_an_upload_that_would_leave_no_room_for_notes_is_refused(client: Client, phone: Phone) -> None:
    services = services_of(client)
    address = begin(phone, len(PHOTOGRAPH))
    services.blobs._reserve_bytes = 10**18
    answer = phone.post(PATH, headers=RESUMABLE | {"upload-length": "10"})
    assert_problem(answer, 507, "disk-full")
    assert answer.headers["retry-after"]
    assert_problem(send(phone, address, 0, PHOTOGRAPH), 507, "disk-full")
    services.blobs._reserve_bytes = 0
    assert send(phone, address, 0, PHOTOGRAPH).status_code == 204


@pytest.mark.parametrize(
    ("number", "status", "slug"), [(errno.ENOSPC, 507, "disk-full"), (errno.EIO, 503, "unavailable")]
)
def test_a_disk_that_fills_up_in_the_middle_loses_nothing(
    client: Client, phone: Phone, monkeypatch: pytest.MonkeyPatch, number: int, status: int, slug: str
) -> None:
    data = large(2_000_000)
    address = begin(phone, len(data))
    assert send(phone, address, 0, data[:400_000]).status_code == 204
    real = os.pwritev

    def fails(descriptor: int, pieces: Sequence[Any], offset: int) -> int:
        if offset >= 900_000:
            raise OSError(number, os.strerror(number))
        return real(descriptor, [pieces[0][:100_000]], offset)  # a disk may also take a part only

    monkeypatch.setattr("os.pwritev", fails)
    assert_problem(send(phone, address, 400_000, data[400_000:]), status, slug)
    monkeypatch.undo()
    offset = offset_of(head(phone, address))
    # A full disk keeps what had been written; one that fails is believed only up to the last sync.
    assert offset == (900_000 if number == errno.ENOSPC else 400_000)
    assert send(phone, address, offset, data[offset:]).status_code == 204
    assert stored(client, digest(data)) == data


@pytest.mark.invariant(14)
def test_bytes_that_did_not_reach_the_disk_are_not_counted(
    client: Client, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 14: an offset never exceeds durable bytes."""
    address = begin(phone, len(PHOTOGRAPH))

    def fails(_descriptor: int) -> None:
        raise OSError(errno.EIO, "the disk did not write")

    monkeypatch.setattr("os.fsync", fails)
    assert_problem(send(phone, address, 0, PHOTOGRAPH[:100]), 503, "unavailable")
    monkeypatch.undo()
    assert offset_of(head(phone, address)) == 0
    assert send(phone, address, 0, PHOTOGRAPH).status_code == 204


def test_a_part_that_the_disk_lost_is_asked_for_again(client: Client, phone: Phone) -> None:
    address = begin(phone, len(PHOTOGRAPH))
    send(phone, address, 0, PHOTOGRAPH[:100])
    part = services_of(client).settings.attachments / "parts" / address.rsplit("/", 1)[1]
    os.truncate(part, 40)
    assert offset_of(head(phone, address)) == 40
    assert send(phone, address, 40, PHOTOGRAPH[40:]).status_code == 204
    assert stored(client, digest(PHOTOGRAPH)) == PHOTOGRAPH


def test_a_crash_between_the_last_byte_and_its_row_is_mended_by_the_next_question(
    client: Client, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = begin(phone, len(PHOTOGRAPH))
    with monkeypatch.context() as broken:
        broken.setattr(uploads, "complete", lambda *_: 1 / 0)
        assert send(phone, address, 0, PHOTOGRAPH).status_code == 500
    assert stored(client, digest(PHOTOGRAPH)) == PHOTOGRAPH, "the file comes before the row"
    assert phone.get(f"{PATH}/receipts/{digest(PHOTOGRAPH)}").status_code == 404
    assert offset_of(head(phone, address)) == len(PHOTOGRAPH)
    assert phone.get(f"{PATH}/receipts/{digest(PHOTOGRAPH)}").status_code == 200
    assert parts(client) == []


def test_a_crash_before_the_file_is_kept_sends_what_was_not_recorded_again(
    client: Client, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = begin(phone, len(PHOTOGRAPH))
    with monkeypatch.context() as broken:
        broken.setattr(services_of(client).blobs, "keep", lambda *_: 1 / 0)
        assert send(phone, address, 0, PHOTOGRAPH).status_code == 500
    assert offset_of(head(phone, address)) == 0, "nothing was promised"
    assert send(phone, address, 0, PHOTOGRAPH).status_code == 204
    assert stored(client, digest(PHOTOGRAPH)) == PHOTOGRAPH


def test_what_is_an_object_is_never_written_to_again(client: Client, phone: Phone) -> None:
    blobs = services_of(client).blobs
    part = blobs.open_part("kept", 0)
    part.write([PHOTOGRAPH])
    part.close()
    blobs.keep("kept", digest(PHOTOGRAPH))
    assert blobs.durable("kept", 0) == len(PHOTOGRAPH)
    with pytest.raises(BlobsUnavailable):
        blobs.open_part("kept", 0)
    assert stored(client, digest(PHOTOGRAPH)) == PHOTOGRAPH


def test_a_damaged_object_is_healed_by_the_same_bytes(client: Client, phone: Phone) -> None:
    sha256 = upload(phone, PHOTOGRAPH)
    path = services_of(client).settings.attachments / "objects" / sha256[:2] / sha256
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    upload(phone, PHOTOGRAPH)
    assert stored(client, sha256) == PHOTOGRAPH


def test_uploads_are_audited_once_and_without_content(client: Client, phone: Phone) -> None:
    sha256 = upload(phone, PHOTOGRAPH)
    upload(phone, PHOTOGRAPH)
    rows = services_of(client).store.read_now(
        lambda tx: tx.rows("SELECT verb, actor_id, ids FROM audit_entry WHERE kind = 'attachment'")
    )
    assert rows == [("collection", phone.device_id, msgspec.json.encode([sha256]).decode())]
