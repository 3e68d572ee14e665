"""The process that decides ahead of the writer: it says what the writer would say, and nothing depends on it."""

from __future__ import annotations

import asyncio
import io
import os
import select
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from litestar.testing import TestClient

from server import ahead, foreseen
from server.ahead import Ahead, Asked
from server.app import create_app
from server.foreseen import Foreseen
from server.linkage.model import default_model
from server.linkage.splink_settings import model_to_json
from server.prepared import prepare
from server.records import in_force
from server.records.in_force import Kind
from server.records.who_is_who import Moment
from server.settings import Settings
from server.storage import open_store
from tests.http.kit import enrolled_phone
from tests.http.test_sync import Sender
from tests.road import AMARA, REGISTRY, Road

WAIT_SECONDS = 30


class Place:
    """A database file with one known child, and a push about it."""

    def __init__(self, folder: Path) -> None:
        self.database = str(folder / "earlysign.db")
        self.store = open_store(self.database)
        self.store.migrate()
        self.road = Road(self.store)
        self.child_id = self.road.child(AMARA)
        self.officer = self.road.officer()
        self.line = self.officer.note(AMARA)[1]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def run(place: Place, work: Callable[[Ahead], Awaitable[None]]) -> None:
    """`work` beside a process that is ready; whatever happens, the process ends."""

    async def beside() -> None:
        asked = Ahead(place.database)
        asked.begin()
        await asked.ready()
        try:
            await work(asked)
        finally:
            pid = asked.pid
            await asked.stop()
            assert pid is None or has_ended(pid)

    asyncio.run(asyncio.wait_for(beside(), WAIT_SECONDS))
    place.store.close_now()


def has_ended(pid: int) -> bool:
    """Whether a process has ended, or does within the time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], WAIT_SECONDS)[0])
    finally:
        os.close(handle)


def test_it_says_what_the_writer_would_say(place: Place) -> None:
    prepared = prepare([place.line], place.officer.identity.device_id)
    expected = place.store.read_now(
        lambda tx: foreseen.foresee(tx, place.road.worlds.current(tx), [(0, prepared[0].subjects)])
    )

    async def work(asked: Ahead) -> None:
        said = await asked.foresee(place.officer.identity.device_id, [place.line])
        assert said == expected
        assert said.subjects[0][0].decision.child_id == place.child_id

    run(place, work)


def test_it_decides_by_the_weights_in_force(place: Place) -> None:
    ours = msgspec.structs.replace(default_model(), name="ours")
    device = place.officer.identity.device_id

    async def work(asked: Ahead) -> None:
        place.store.write_now(
            lambda tx: in_force.put(
                tx, REGISTRY, Kind.MODEL, ours.version, model_to_json(ours).decode(), now=place.road.now
            )
        )
        said = await asked.foresee(device, [place.line])
        assert said is not None
        assert said.subjects[0][0].decision.model_version == ours.version
        assert said.generation == place.road.world.generation

    run(place, work)


def test_lines_that_nobody_can_read_are_left_to_the_writer(place: Place) -> None:
    async def work(asked: Ahead) -> None:
        said = await asked.foresee("not a device", [b"\x00\xff", b"", b"[" * 5_000, place.line])
        assert said is not None
        assert not said.subjects

    run(place, work)


def test_a_push_that_it_cannot_decide_is_left_to_the_writer_and_names_nobody(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of ours in linkage: the process goes on, and what it was about is told nowhere."""
    questions = [Asked(place.officer.identity.device_id, [place.line])] * 2
    told: list[Exception | Foreseen] = [ValueError("Marker-name"), Foreseen(Moment(0, 0), 0, {}, {})]

    def answer(*_: object) -> Foreseen:
        found = told.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(ahead, "answer_to", answer)
    bodies = [msgspec.msgpack.encode(one) for one in questions]
    said = io.BytesIO()
    ahead.serve(
        place.database, io.BytesIO(b"".join(len(one).to_bytes(4, "big") + one for one in bodies)), said
    )
    frames = said.getvalue()
    assert frames[:8] == bytes(8), "ready, and no idea of the first"
    assert len(frames) > 12, "and an answer to the second"
    assert "Marker" not in "".join(capsys.readouterr())
    place.store.close_now()


def test_an_answer_of_another_release_is_done_without(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_FORESEEN", msgspec.msgpack.Decoder(int))

    async def work(asked: Ahead) -> None:
        assert await asked.foresee(place.officer.identity.device_id, [place.line]) is None

    run(place, work)


def test_many_questions_at_once_are_answered_each_with_its_own(place: Place) -> None:
    device = place.officer.identity.device_id
    pushes = [[place.line] * number for number in range(1, 12)]

    async def work(asked: Ahead) -> None:
        said = await asyncio.gather(*(asked.foresee(device, lines) for lines in pushes))
        assert [len(one.subjects) for one in said if one] == [len(lines) for lines in pushes]

    run(place, work)


def test_one_that_was_killed_is_done_without_and_begun_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "BEGIN_AGAIN_SECONDS", 0.0)

    async def work(asked: Ahead) -> None:
        device, first = place.officer.identity.device_id, asked.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)  # so that the question is asked while there is somebody to ask
        question = asyncio.create_task(asked.foresee(device, [place.line]))
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
        assert await question is None
        assert await asked.foresee(device, [place.line]) is None
        await asked.ready()
        assert asked.pid not in (None, first)
        assert await asked.foresee(device, [place.line]) is not None

    run(place, work)


def test_one_that_is_stuck_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "WAIT_SECONDS_MAX", 0.05)

    async def work(asked: Ahead) -> None:
        pid = asked.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        device = place.officer.identity.device_id
        said = await asyncio.gather(*(asked.foresee(device, [place.line]) for _ in range(3)))
        assert said == [None, None, None]
        assert has_ended(pid)
        assert asked.pid is None

    run(place, work)


def test_one_that_cannot_begin_leaves_everything_to_the_writer(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.database = str(tmp_path / "no such folder" / "earlysign.db")

    async def work(asked: Ahead) -> None:
        assert asked.pid is None
        assert await asked.foresee("device", [place.line]) is None

    run(place, work)


def test_it_ends_with_the_server_however_that_ends_and_without_a_trace(place: Place) -> None:
    """The server is killed while it waits for an answer, which then nobody takes."""
    begins = (
        "import asyncio, os, sys\n"
        "from server.ahead import Ahead\n"
        "async def main():\n"
        "    asked = Ahead(sys.argv[1]); asked.begin(); await asked.ready()\n"
        "    print(asked.pid, flush=True); sys.stdin.readline()\n"
        "    question = asyncio.create_task(asked.foresee('device', [b'x'])); await asyncio.sleep(0)\n"
        "    print('asked', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", begins, place.database],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as server:
        assert server.stdin is not None and server.stdout is not None and server.stderr is not None
        pid = int(server.stdout.readline())
        os.kill(pid, signal.SIGSTOP)
        server.stdin.write("\n")
        server.stdin.flush()
        assert server.stdout.readline() == "asked\n"
        server.send_signal(signal.SIGKILL)
        server.wait(WAIT_SECONDS)
        os.kill(pid, signal.SIGCONT)
        assert has_ended(pid)
        assert server.stderr.read() == ""
    place.store.close_now()


def test_pushes_that_wait_are_foreseen_and_one_alone_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    foresee = Ahead.foresee

    async def counted(self: Ahead, device_id: str, lines: list[bytes]) -> foreseen.Foreseen | None:
        said = await foresee(self, device_id, lines)
        asked.append(len(said.subjects) if said else 0)
        return said

    monkeypatch.setattr(Ahead, "foresee", counted)
    settings = Settings(data=tmp_path, jobs=False, linkage_ahead="yes")
    with TestClient(create_app(settings)) as client:
        with client.portal() as portal:
            portal.call(client.app.state.services.ahead.ready)
        sender = Sender(client, enrolled_phone(client))
        assert sender.push(sender.line()).verdicts[0].v == "applied"
        assert asked == []
        with client.app.state.services.notes_first.pushing():
            assert sender.push(sender.line()).verdicts[0].v == "applied"
        assert asked == [1]


def test_a_push_asks_when_its_turn_is_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many at once: never more are between their question and their commit than have a turn."""
    monkeypatch.setattr(ahead, "TURNS", 2)
    under_way, most = 0, 0

    async def counted(self: Ahead, device_id: str, lines: list[bytes]) -> foreseen.Foreseen | None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(3):
            await asyncio.sleep(0)  # so that others could ask meanwhile
        under_way -= 1
        return None

    monkeypatch.setattr(Ahead, "foresee", counted)
    with TestClient(create_app(Settings(data=tmp_path, jobs=False, linkage_ahead="yes"))) as client:
        senders = [Sender(client, enrolled_phone(client, f"officer{number}")) for number in range(8)]
        with (
            client.app.state.services.notes_first.pushing(),
            ThreadPoolExecutor(len(senders)) as crew,
        ):
            said = list(crew.map(lambda sender: sender.push(sender.line()).verdicts[0].v, senders))
    assert said == ["applied"] * len(senders)
    assert most <= 2


def test_a_server_on_postgresql_has_none() -> None:
    settings = Settings(linkage_ahead="yes")
    assert settings.decides_ahead
    assert not msgspec.structs.replace(settings, database="postgresql:///earlysign").decides_ahead
    assert not msgspec.structs.replace(settings, linkage_ahead="no").decides_ahead
