"""Who sees a photograph, in which form, and what its note says before it has come (both the door and the page)."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import io
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from server.jobs import pictures
from server.records import attachments
from server.records.attachments import FormState
from server.storage.blobs import Blobs
from sync.envelope import join_lines
from sync.media import MediaKind
from sync.note import Amendment, Attached, Note, Subject
from sync.operations import Kind, freeze
from sync.vocabulary import Category
from tests.attachments.kit import digest, folder, photograph, recording, upload
from tests.http.kit import Client, Desk, Phone, add_person, assert_problem, enrolled_phone, services_of

WHEN = datetime.datetime(2026, 3, 4, 15, 20, tzinfo=datetime.UTC)
SOUTHWARK = "E09000028"


def push(phone: Phone, *attached: Attached, user: str = "okafor", name: str = "Amara") -> str:
    """A note that names these attachments; its id."""
    now = datetime.datetime.now(datetime.UTC)
    note_id = str(uuid.uuid4())
    body = Note(
        observed_at=now,
        recorded_at=now,
        category=Category.PHYSICAL,
        saw_or_heard="A bruise on the left arm",
        subjects=(Subject(given_names=name, family_name="Okonkwo", date_of_birth=datetime.date(2012, 3, 4)),),
        attachments=attached,
    )
    line = freeze(
        device=phone.device_id, epoch=uuid.uuid4().hex, seq=1, user=user, kind=Kind.NOTE_WRITE,
        entity_id=note_id, body=body,
    )  # fmt: skip
    answer = phone.post("/api/sync/push", content=join_lines([line]))
    assert answer.json()["verdicts"][0]["v"] == "applied", answer.text
    return note_id


def make_forms(client: Client) -> int:
    services = services_of(client)
    return asyncio.run(pictures.run(services.store, services.blobs))


def child_of(client: Client, note_id: str) -> int:
    found: int = services_of(client).store.read_now(
        lambda tx: tx.value(
            "SELECT s.child_id FROM subject s JOIN note n ON n.note_key = s.note_key WHERE n.note_id = :n",
            {"n": note_id},
        )
    )
    return found


def address(child_id: int, sha256: str, form: str = "shown") -> str:
    return f"/api/children/{child_id}/attachments/{sha256}?form={form}"


def attachments_on_timeline(desk: Desk, child_id: int) -> list[dict[str, Any]]:
    answer = desk.get(f"/api/children/{child_id}/timeline")
    found: list[dict[str, Any]] = answer.json()["notes"][0]["attachments"]
    return found


def consultations(client: Client, sha256: str) -> list[tuple[str, str]]:
    rows = services_of(client).store.read_now(
        lambda tx: tx.rows(
            "SELECT e.verb, e.actor_id FROM audit_entry e JOIN audit_subject s ON s.position = e.position"
            " WHERE s.kind = 'attachment' AND s.id = :id ORDER BY e.position",
            {"id": sha256},
        )
    )
    return [(verb, actor) for verb, actor in rows]


def test_a_note_comes_before_its_photographs_and_says_how_many_have_arrived(
    client: Client, phone: Phone, desk: Desk
) -> None:
    first, second, sound = photograph(1), photograph(2), recording()
    named = [
        Attached(sha256=digest(data), kind=kind, taken_at=WHEN)
        for data, kind in (
            (first, MediaKind.PHOTOGRAPH), (second, MediaKind.PHOTOGRAPH), (sound, MediaKind.AUDIO)
        )
    ]  # fmt: skip
    child_id = child_of(client, push(phone, *named))
    assert [one["state"] for one in attachments_on_timeline(desk, child_id)] == ["awaited"] * 3
    page = desk.get(f"/children/{child_id}").text
    assert "Attached: 0 of 2 photographs have arrived; 0 of 1 recording have arrived" in page
    upload(phone, first)
    assert [one["state"] for one in attachments_on_timeline(desk, child_id)] == [
        "arrived",
        "awaited",
        "awaited",
    ]
    page = desk.get(f"/children/{child_id}").text
    assert "1 of 2 photographs has arrived" in page and "being made ready" in page
    assert_problem(desk.get(address(child_id, digest(first))), 503, "unavailable")
    upload(phone, second)
    upload(phone, sound)
    assert make_forms(client) == 3
    told = attachments_on_timeline(desk, child_id)
    assert [one["state"] for one in told] == ["ready"] * 3
    assert told[0]["taken_at"] == "2026-03-04T15:20:00Z" and told[0]["size"] == len(first)
    answer = desk.get(f"/children/{child_id}")
    page = answer.text
    assert "media-src 'self'" in answer.headers["content-security-policy"], "else the browser plays nothing"
    assert "Attached: 2 photographs; 1 recording" in page and 'aria-label="Recording 1' in page
    for sha256 in (digest(first), digest(second)):
        assert f'src="{address(child_id, sha256, "thumbnail")}"' in page
    assert "<audio" in page


def test_what_is_shown_is_upright_and_says_nothing_of_where_it_was_taken(
    client: Client, phone: Phone, desk: Desk
) -> None:
    data = photograph(3, size=(400, 300), rotated=True)
    assert Image.open(io.BytesIO(data)).getexif().get_ifd(0x8825), "the original says where"
    child_id = child_of(client, push(phone, Attached(sha256=digest(data))))
    upload(phone, data)
    make_forms(client)
    for form, size in (("shown", (300, 400)), ("thumbnail", (240, 320))):
        answer = desk.get(address(child_id, digest(data), form))
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["content-disposition"].startswith("inline; filename=")
        assert answer.headers["content-length"] == str(len(answer.content))
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.size == size
            assert not dict(image.getexif()) and set(image.info) <= {
                "jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi",
            }  # fmt: skip
    original = desk.get(address(child_id, digest(data), "original"))
    assert original.content == data
    assert original.headers["content-disposition"].startswith("attachment; filename=")
    assert consultations(client, digest(data)) == [
        ("collection", phone.device_id),
        *[("consultation", "rivera")] * 3,
    ]


def test_the_original_is_for_those_with_the_right(client: Client, phone: Phone) -> None:
    data = photograph(4)
    child_id = child_of(client, push(phone, Attached(sha256=digest(data))))
    upload(phone, data)
    make_forms(client)
    scrutiny = Desk(client, add_person(client, "quist", role="scrutiny", borough=None))
    assert scrutiny.get(address(child_id, digest(data))).status_code == 200
    assert_problem(scrutiny.get(address(child_id, digest(data), "original")), 403, "not-allowed")
    assert "form=original" not in scrutiny.get(f"/children/{child_id}").text


def test_nobody_sees_it_without_sight_of_the_child(client: Client, phone: Phone, desk: Desk) -> None:
    data, other = photograph(5), photograph(6)
    child_id = child_of(client, push(phone, Attached(sha256=digest(data))))
    elsewhere = child_of(client, push(phone, Attached(sha256=digest(other)), name="Chidera"))
    assert elsewhere != child_id
    upload(phone, data)
    upload(phone, other)
    make_forms(client)
    stranger = Desk(client, add_person(client, "osei", borough=SOUTHWARK))
    before = consultations(client, digest(data))
    assert_problem(stranger.get(address(child_id, digest(data))), 403, "not-allowed")
    assert_problem(client.get(address(child_id, digest(data))), 401, "not-signed-in")
    assert_problem(phone.get(address(child_id, digest(data))), 401, "not-signed-in")
    # Sight of one child is no sight of what belongs to another.
    assert_problem(desk.get(address(child_id, digest(other))), 404, "not-found")
    assert_problem(desk.get(address(child_id, "0" * 64)), 404, "not-found")
    assert consultations(client, digest(data)) == before


def test_a_restricted_record_asks_for_a_reason_and_its_page_passes_it_on(
    client: Client, phone: Phone, desk: Desk
) -> None:
    data = photograph(7)
    child_id = child_of(client, push(phone, Attached(sha256=digest(data))))
    upload(phone, data)
    make_forms(client)
    services = services_of(client)
    services.store.write_now(
        lambda tx: tx.execute("UPDATE child SET restricted = 1 WHERE child_id = :c", {"c": child_id})
    )
    where = address(child_id, digest(data), "thumbnail")
    assert_problem(desk.get(where), 403, "reason-needed")
    assert desk.get(where, headers={"x-access-reason": "section%2047%20enquiry"}).status_code == 200
    page = desk.post(
        f"/children/{child_id}", data={"reason": "section 47 enquiry", "_csrf_token": desk.csrf}
    ).text
    found = re.search(r'src="(/api/children/[^"]*thumbnail[^"]*)"', page)
    assert found is not None
    passed = found[1].replace("&amp;", "&")
    assert "enquiry" not in passed
    assert desk.get(passed).status_code == 200
    other = Desk(client, add_person(client, "hale"))
    assert_problem(other.get(passed), 403, "reason-needed")
    assert_problem(desk.get(passed.replace("pass=", "pass=9")), 403, "reason-needed")


def test_the_same_photograph_of_two_officers_is_no_conflict_and_a_digest_alone_shows_nothing(
    client: Client, phone: Phone, desk: Desk
) -> None:
    data = photograph(8)
    other = enrolled_phone(client, "lindqvist")
    upload(other, data)
    child_id = child_of(client, push(phone, Attached(sha256=digest(data))))
    # Another officer's phone has handed the bytes in; this note's author has not.
    assert attachments_on_timeline(desk, child_id)[0]["state"] == "awaited"
    assert_problem(desk.get(address(child_id, digest(data))), 404, "not-found")
    upload(phone, data)
    make_forms(client)
    assert attachments_on_timeline(desk, child_id)[0]["state"] == "ready"
    second = child_of(client, push(other, Attached(sha256=digest(data)), user="lindqvist"))
    assert second == child_id
    assert desk.get(address(child_id, digest(data))).status_code == 200


def test_an_amendment_brings_more_photographs(client: Client, phone: Phone, desk: Desk) -> None:
    first, second = photograph(9), photograph(10)
    note_id = push(phone, Attached(sha256=digest(first)))
    body = Amendment(recorded_at=WHEN, reason="one more", attachments=(Attached(sha256=digest(second)),))
    line = freeze(
        device=phone.device_id, epoch=uuid.uuid4().hex, seq=1, user="okafor", kind=Kind.NOTE_AMEND,
        entity_id=note_id, body=body,
    )  # fmt: skip
    assert phone.post("/api/sync/push", content=join_lines([line])).json()["verdicts"][0]["v"] == "applied"
    found = attachments_on_timeline(desk, child_of(client, note_id))
    assert [one["sha256"] for one in found] == [digest(first), digest(second)]


def test_a_player_may_ask_for_a_part(client: Client, phone: Phone, desk: Desk) -> None:
    sound = recording()
    child_id = child_of(client, push(phone, Attached(sha256=digest(sound))))
    upload(phone, sound)
    make_forms(client)
    where = address(child_id, digest(sound))
    whole = desk.get(where)
    assert whole.headers["content-type"] == "audio/mp4" and len(whole.content) == len(sound)
    assert b"+51.4613" in sound and b"+51.4613" not in whole.content
    assert b"sound" * 100 in whole.content, "the sound is untouched"
    for asked, start, end in (
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, len(sound)),
        ("bytes=-7", len(sound) - 7, len(sound)),
    ):
        part = desk.get(where, headers={"range": asked})
        assert part.status_code == 206 and part.content == whole.content[start:end]
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(sound)}"
    assert desk.get(where, headers={"range": f"bytes={len(sound)}-"}).status_code == 416
    assert desk.get(where, headers={"range": "pages=1"}).status_code == 200
    assert_problem(desk.get(address(child_id, digest(sound), "thumbnail")), 404, "not-found")


@pytest.mark.invariant(14)
def test_a_damaged_original_is_never_served(client: Client, phone: Phone, desk: Desk) -> None:
    """Invariant 14: a readable attachment matches its digest."""
    data = photograph(11)
    child_id = child_of(client, push(phone, Attached(sha256=digest(data))))
    upload(phone, data)
    make_forms(client)
    where = address(child_id, digest(data), "original")
    assert desk.get(where).status_code == 200
    path = folder(client) / "objects" / digest(data)[:2] / digest(data)
    path.chmod(0o600)
    path.write_bytes(data[:-1] + b"x")
    assert_problem(desk.get(where), 500, "damaged")
    path.unlink()
    assert_problem(desk.get(where), 500, "damaged")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"\xff\xd8\xff\xe0" + bytes(500), "no JPEG after all", id="broken"),
        pytest.param(
            b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x02\x00\x00\x00"
            b"\xb1\x9a\xdd\xd6" + bytes(100),
            "100,000 by 100,000 pixels",
            id="bomb",
        ),
    ],
)
def test_what_cannot_be_shown_is_kept_and_said_so(
    client: Client, phone: Phone, desk: Desk, data: bytes, reason: str
) -> None:
    child_id = child_of(client, push(phone, Attached(sha256=digest(data))))
    upload(phone, data)
    assert make_forms(client) == 0, reason
    assert attachments_on_timeline(desk, child_id)[0]["state"] == "unshowable"
    assert "It cannot be shown here." in desk.get(f"/children/{child_id}").text
    assert_problem(desk.get(address(child_id, digest(data))), 404, "not-found")
    assert desk.get(address(child_id, digest(data), "original")).content == data


def test_a_disk_that_takes_nothing_is_no_fault_of_the_picture(
    client: Client, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(phone, photograph(13))
    upload(phone, photograph(14))
    making = Blobs.making

    @contextlib.contextmanager
    def nowhere(blobs: Blobs, name: str, form: str) -> Iterator[Path]:
        with making(blobs, name, form) as path:
            yield path / "no such folder"

    monkeypatch.setattr(Blobs, "making", nowhere)
    for _ in range(attachments.FORM_TRIES_MAX + 1):
        assert make_forms(client) == 0
    states = services_of(client).store.read_now(
        lambda tx: tx.rows("SELECT form_state, form_tries FROM attachment")
    )
    assert states == [(FormState.WAITING.value, 0)] * 2
    monkeypatch.undo()
    assert make_forms(client) == 2


def test_a_fault_of_the_server_is_tried_again_and_then_given_up(client: Client, phone: Phone) -> None:
    data = photograph(12)
    upload(phone, data)
    path = folder(client) / "objects" / digest(data)[:2] / digest(data)
    path.rename(path.with_suffix(".away"))
    assert make_forms(client) == 0
    kept = services_of(client).store.read_now(attachments.next_to_make)
    assert kept is None, "three tries in one round, and no fourth"
    state = services_of(client).store.read_now(
        lambda tx: tx.row("SELECT form_state, form_tries FROM attachment")
    )
    assert state == (FormState.FAILED.value, attachments.FORM_TRIES_MAX)
