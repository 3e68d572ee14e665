"""The phone's photographs against the real application: after the notes, over a bad line, encrypted, removed."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from typer.testing import CliRunner

from client_stub.album import Album, AttachmentProblem, AttachmentState
from client_stub.badline import BadLine
from client_stub.cli import app
from client_stub.conversation import Patience, Report
from client_stub.device import Device, DeviceError, Surroundings
from client_stub.proof import check
from client_stub.store import Store
from client_stub.syncing import Sync
from client_stub.telling import headline, json_of
from client_stub.transport import Transport
from server.access import devices
from server.audit import Actor
from server.clock import now_ms
from server.records import ledger
from server.settings import Settings
from server.storage import Transaction
from sync.note import Amendment
from sync.receipts import open_sealed
from tests.attachments.kit import digest, large, photograph, stored
from tests.client_stub.kit import a_note
from tests.http.kit import ADMIN, add_person, make_code
from tests.http.live import LiveClient, live_server

QUICK = Patience(base_ms=1, cap_ms=5, tries_max=200)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveClient]:
    with live_server(Settings(data=tmp_path / "data", jobs=False, attachment_reserve_megabytes=0)) as running:
        add_person(running, "okafor", role="schools_officer")
        yield running


@pytest.fixture
def device(live: LiveClient, tmp_path: Path) -> Iterator[Device]:
    with contextlib.closing(enrolled(live, tmp_path / "phone").store) as store:
        yield Device(store, Surroundings(sleep=lambda _seconds: None))


def enrolled(live: LiveClient, folder: Path, **more: Any) -> Device:
    store = Store.create(folder, **{"passphrase": None, "accept_unencrypted": True, **more})
    device = Device(store, Surroundings(sleep=lambda _seconds: None))
    with Transport(live.url) as transport:
        device.enrol(transport, code=make_code(live, "okafor"), name="phone")
    return device


def sync(live: LiveClient, device: Device, line: BadLine | None = None) -> Report:
    with Transport(live.url, line=line) as transport:
        return Sync(device, transport, patience=QUICK).run()


def a_file(folder: Path, data: bytes, name: str = "photo.jpg") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def pieces(device: Device) -> int:
    found: int = device.store.one("SELECT COUNT(*) FROM attachment_piece")[0]
    return found


def test_a_photograph_goes_after_its_note_and_leaves_the_phone_when_it_is_signed_for(
    live: LiveClient, device: Device, tmp_path: Path
) -> None:
    data = photograph()
    note_id = device.write(a_note(), attach=[a_file(tmp_path, data)])
    assert pieces(device) == 1
    shown = device.status()
    assert not shown.all_sent and headline(shown.state, shown.attachments).endswith("0 of 1 received.")
    report = sync(live, device)
    assert (report.attachments, report.all_sent, report.problems) == (1, True, [])
    assert stored(live, digest(data)) == data
    assert pieces(device) == 0, "the bytes are gone from the phone"
    receipts = [text for (text,) in device.store.every("SELECT text FROM receipts")]
    assert len(receipts) == 2, "one for the note, one for the photograph"
    found = json_of(device.status())
    assert found["all_sent"] and found["attachments"][0]["state"] == "receipted"
    services = live.app.state.services
    rows = services.store.read_now(
        lambda tx: tx.rows(
            "SELECT r.digest, r.kind FROM note_attachment r JOIN note n ON n.note_key = r.note_key"
            " WHERE n.note_id = :n", {"n": note_id},
        )
    )  # fmt: skip
    assert rows == [(digest(data), "photograph")]
    assert sync(live, device).attachments == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_over_a_bad_line_everything_arrives_once(
    live: LiveClient, device: Device, tmp_path: Path, seed: int
) -> None:
    print(f"seed {seed}")
    files = [large(2_500_000, seed=seed), photograph(seed), photograph(seed + 50)]
    device.write(a_note(), attach=[a_file(tmp_path, data, f"{at}.jpg") for at, data in enumerate(files)])
    line = BadLine(cut=0.4, repeat=0.2, seed=seed)
    with contextlib.closing(line):
        for _ in range(20):
            if sync(live, device, line).all_sent:
                break
    assert line.counts.cuts > 0
    assert device.status().all_sent and pieces(device) == 0
    for data in files:
        assert stored(live, digest(data)) == data


class Damaging(httpx.HTTPTransport):
    """A line that damages the bytes of this many uploads, as a bad proxy does."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH" and self.left:
            self.left -= 1
            body = request.read()
            request.stream = httpx.ByteStream(body[:-1] + bytes([body[-1] ^ 1]))
        return super().handle_request(request)


def test_a_photograph_that_is_damaged_on_its_way_is_sent_again(
    live: LiveClient, device: Device, tmp_path: Path
) -> None:
    device.write(a_note(), attach=[a_file(tmp_path, photograph())])
    with Transport(live.url, line=Damaging(1)) as transport:
        report = Sync(device, transport, patience=QUICK).run()
    assert report.all_sent and report.problems == []
    assert stored(live, digest(photograph())) == photograph()


def test_a_line_that_damages_every_one_leaves_it_waiting_and_holds_up_no_other(
    live: LiveClient, device: Device, tmp_path: Path
) -> None:
    files = [a_file(tmp_path, photograph(at), f"{at}.jpg") for at in (1, 2)]
    device.write(a_note(), attach=files)
    with Transport(live.url, line=Damaging(4)) as transport:
        report = Sync(device, transport, patience=QUICK).run()
    assert not report.all_sent and "did not arrive whole" in report.problems[0]
    states = [one.state for one in Album(device.store).all()]
    assert states == [AttachmentState.WAITING, AttachmentState.RECEIPTED]
    assert sync(live, device).all_sent


def test_a_file_that_the_server_would_not_take_is_refused_while_the_officer_looks(
    tmp_path: Path,
) -> None:
    settings = Settings(
        data=tmp_path / "d", jobs=False, attachment_reserve_megabytes=0, attachment_megabytes=1
    )
    with live_server(settings) as live:
        add_person(live, "okafor", role="schools_officer")
        device = enrolled(live, tmp_path / "p")
        with contextlib.closing(device.store):
            sync(live, device)
            with pytest.raises(AttachmentProblem, match="larger than the 1 MB that the server takes"):
                device.write(a_note(), attach=[a_file(tmp_path, large(1_100_000, seed=3))])
            assert device.status().items == []


def test_a_file_without_a_good_receipt_is_named_by_its_proof(
    live: LiveClient, device: Device, tmp_path: Path
) -> None:
    data = photograph()
    device.write(a_note(), attach=[a_file(tmp_path, data)])
    sync(live, device)
    identity = device.enrolled()
    proof = check(device.store, identity.server_key, identity.device_id)
    assert proof.whole and (proof.proven, proof.files_proven) == (1, 1)
    for number, text in device.store.receipts().items():
        if digest(data) in {one for _, _, one in open_sealed(text, lambda *_: True).ops}:
            payload, _, signature = text.partition(".")
            with device.store.transaction():
                device.store.run(
                    "UPDATE receipts SET text = ? WHERE id = ?", f"{payload}.{signature[::-1]}", number
                )
    proof = check(device.store, identity.server_key, identity.device_id)
    assert not proof.whole and proof.files_unproven == (digest(data),) and proof.unproven == ()


def test_it_goes_on_where_it_was_and_begins_anew_where_the_server_has_forgotten(
    live: LiveClient, device: Device, tmp_path: Path
) -> None:
    data = large(2_500_000, seed=9)
    device.write(a_note(), attach=[a_file(tmp_path, data)])
    stopped = Device(device.store, Surroundings(sleep=lambda _s: None, reached=_ends_at("upload.stored", 2)))
    with pytest.raises(KeyboardInterrupt):
        sync(live, stopped)
    found = Album(device.store).all()[0]
    assert 0 < found.sent < len(data) and found.address
    services = live.app.state.services
    services.store.write_now(lambda tx: tx.execute("DELETE FROM upload"))
    assert sync(live, device).all_sent
    assert stored(live, digest(data)) == data


def _ends_at(point: str, times: int) -> Any:
    left = [times]

    def reached(here: str) -> None:
        if here == point:
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

    return reached


def test_nothing_of_a_photograph_is_readable_on_the_phone(live: LiveClient, tmp_path: Path) -> None:
    data = photograph(21, size=(200, 200))
    folder = tmp_path / "encrypted"
    device = enrolled(live, folder, passphrase="three random words", accept_unencrypted=False)
    with contextlib.closing(device.store):
        device.write(a_note(), attach=[a_file(tmp_path, data)])
        for path in folder.iterdir():
            content = path.read_bytes()
            assert data[200:232] not in content and b"JFIF" not in content, path.name


def test_a_wipe_waits_for_photographs_and_takes_them_with_it(
    live: LiveClient, device: Device, tmp_path: Path
) -> None:
    device.write(a_note())
    sync(live, device)
    device.amend(
        device.status().items[0].entity_id,
        Amendment(recorded_at=datetime.datetime.now(datetime.UTC), reason="a picture"),
        attach=[a_file(tmp_path, photograph(22))],
    )
    with pytest.raises(DeviceError):
        device.wipe()
    # A revoked phone hands in its notes, which wait for a person, and what they name; then it is wiped, files and all.
    from server.access import devices
    from server.clock import now_ms

    services = live.app.state.services
    device_id = device.enrolled().device_id
    services.store.write_now(lambda tx: devices.revoke(tx, device_id, actor=ADMIN, now=now_ms()))
    report = sync(live, device)
    assert report.wiped and report.attachments == 1 and report.problems == []
    assert not (device.store.folder / "outbox.db").exists()
    assert stored(live, digest(photograph(22))) == photograph(22)


def test_what_is_not_taken_is_refused_while_the_officer_looks(device: Device, tmp_path: Path) -> None:
    for data in (b"%PDF-1.7", b"<html>", b""):
        with pytest.raises(AttachmentProblem, match="not of a type"):
            device.write(a_note(), attach=[a_file(tmp_path, data, "a.jpg")])
    with pytest.raises(AttachmentProblem, match="cannot be read"):
        device.write(a_note(), attach=[tmp_path / "nowhere.jpg"])
    assert device.status().items == [], "no note is kept without what it was to carry"


def test_the_same_file_on_two_notes_is_sent_once(live: LiveClient, device: Device, tmp_path: Path) -> None:
    path = a_file(tmp_path, photograph(23))
    device.write(a_note(), attach=[path])
    device.write(a_note("Another"), attach=[path])
    assert sync(live, device).attachments == 1


def test_a_file_that_the_server_refuses_stays_and_is_said(
    live: LiveClient, device: Device, tmp_path: Path
) -> None:
    services = live.app.state.services
    small = msgspec.structs.replace(services.settings, attachment_megabytes=1)
    live.app.state.services = msgspec.structs.replace(services, settings=small)
    device.write(a_note(), attach=[a_file(tmp_path, large(1_500_000))])
    report = sync(live, device)
    assert "does not take one attachment" in report.problems[0]
    shown = device.status()
    assert shown.attachments[0].state is AttachmentState.REFUSED and pieces(device) == 2
    assert "1 not taken by the server" in headline(shown.state, shown.attachments)


def test_the_command_attaches_and_says_how_it_stands(
    live: LiveClient, device: Device, tmp_path: Path
) -> None:
    path = a_file(tmp_path, photograph(24))
    run = CliRunner().invoke
    store = ["--store", str(device.store.folder)]
    written = run(app, ["note", *store, "--saw", "a bruise", "--attach", str(path)])
    assert written.exit_code == 0, written.output
    before = run(app, ["status", *store])
    assert before.exit_code == 1 and "0 of 1 received" in before.output
    sent = run(app, ["sync", *store])
    assert sent.exit_code == 0 and "1 of 1 received" in sent.output, sent.output
    wrong = run(app, ["note", *store, "--saw", "x", "--attach", str(Path(__file__))])
    assert wrong.exit_code == 2 and "not of a type" in wrong.output


@pytest.mark.invariant(10, 11)
def test_a_photograph_stays_until_a_backup_holds_it_and_is_sent_again_to_a_restored_server(
    live: LiveClient, device: Device, tmp_path: Path
) -> None:
    services = live.app.state.services
    services.store.write_now(ledger.begin_backup)
    data = photograph()
    device.write(a_note(), attach=[a_file(tmp_path, data)])
    assert sync(live, device).all_sent and sync(live, device).all_sent
    assert pieces(device) == 1, "no backup holds it yet"

    def lost(tx: Transaction) -> None:
        for table in ("attachment_source", "upload", "attachment"):
            tx.execute(f"DELETE FROM {table}")

    services.store.write_now(lost)
    with device.store.transaction():
        device.store.put("incarnation", "the one before")
    report = sync(live, device)
    assert (report.attachments, report.all_sent, report.problems) == (1, True, [])
    assert stored(live, digest(data)) == data and pieces(device) == 1

    begun_at = now_ms() + 2 * ledger.ATTACHMENT_SLACK_MS
    done = ledger.Backup(name="tonight", begun_at=begun_at)
    services.store.write_now(
        lambda tx: ledger.backed_up(tx, Actor("system", "tests"), done, [], now=begun_at)
    )
    assert sync(live, device).all_sent and pieces(device) == 0


@pytest.mark.invariant(10)
def test_a_phone_that_is_to_be_wiped_hands_in_its_photographs_first(
    live: LiveClient, device: Device, tmp_path: Path
) -> None:
    data = photograph()
    device.write(a_note(), attach=[a_file(tmp_path, data)])
    device_id, actor = device.enrolled().device_id, Actor("system", "tests")
    live.app.state.services.store.write_now(
        lambda tx: devices.order_wipe(tx, device_id, actor=actor, now=now_ms())
    )
    report = sync(live, device)
    assert (report.wiped, report.attachments) == (True, 1)
    assert stored(live, digest(data)) == data
