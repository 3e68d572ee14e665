"""The live stream as a browser meets it: a real server, a real connection, and what ends it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn

from server.access import people, sessions
from server.alerts import stream
from server.app import create_app
from server.cli.serve import Server
from server.clock import now_ms
from server.settings import Settings
from tests.http.kit import ADMIN, Desk, add_person, assert_problem, services_of
from tests.http.live import LiveClient, live_server
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, Road

STREAM = "/api/alerts/stream"


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are looked after often. The server reads how often as it starts to wait, so this must come before it:
    `usefixtures` does."""
    monkeypatch.setattr(stream, "KEEP_ALIVE_SECONDS", 0.03)


@pytest.fixture
def live(settings: Settings) -> Iterator[LiveClient]:
    with live_server(settings) as client:
        yield client


@pytest.fixture
def desk(live: Any) -> Desk:
    return Desk(live, add_person(live, "rivera"))


@pytest.fixture
def road(live: Any) -> Road:
    road = Road(services_of(live).store)
    road.now = now_ms()
    return road


class Browser:
    """What an EventSource does: reads events and remembers the last id."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.last_event_id = ""
        self._lines = response.iter_lines()

    def events(self, count: int) -> list[tuple[str, Any]]:
        """The next `count` events that are dispatched: (name, data)."""
        found: list[tuple[str, Any]] = []
        while len(found) < count:
            event = self.block()
            if "data" in event:
                found.append((event.get("event", "message"), msgspec.json.decode(event["data"])))
        return found

    def block(self) -> dict[str, str]:
        """The next block, comments under the key ":". Raises StopIteration at the end of the stream."""
        fields: dict[str, str] = {}
        while line := next(self._lines):
            name, _, value = line.partition(":")
            fields[name or ":"] = value.strip()
        self.last_event_id = fields.get("id", self.last_event_id)
        return fields


@contextmanager
def listening(desk: Desk, **headers: str) -> Iterator[Browser]:
    with desk.client.stream(
        "GET", STREAM, headers=desk.headers({"headers": headers}), timeout=30
    ) as response:
        assert response.status_code == 200, response.read()
        browser = Browser(response)
        assert ":" in browser.block()
        yield browser


def ends(browser: Browser) -> bool:
    """Whether the server ends the stream. The client gives up long after it should have."""
    while True:
        try:
            browser.block()
        except (StopIteration, httpx.RemoteProtocolError):
            return True
        except httpx.TimeoutException:
            return False


def test_an_alert_is_heard_as_it_happens_and_names_nobody(desk: Desk, road: Road) -> None:
    with listening(desk) as browser:
        assert browser.response.headers["content-type"].startswith("text/event-stream")
        assert browser.response.headers["cache-control"] == "no-store"
        assert browser.response.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in browser.response.headers
        road.officer().writes(AMARA, danger_now=True)
        [(name, said)] = browser.events(1)
        assert name == "alert"
        assert set(said) == {"alert_id", "borough", "grade", "kind", "at"}
        assert (said["borough"], said["grade"], said["kind"]) == (LAMBETH, "red", "raised")
        desk.post(f"/api/alerts/{said['alert_id']}/acknowledge", json={})
        assert [said["kind"] for _, said in browser.events(1)] == ["acknowledged"]


def test_other_boroughs_hear_nothing_of_it(live: Any, desk: Desk, road: Road) -> None:
    other = Desk(live, add_person(live, "other", borough=CAMDEN))
    with listening(other) as browser:
        road.officer().writes(AMARA)
        road.officer("lam", CAMDEN).writes(JONAS)
        assert [said["borough"] for _, said in browser.events(1)] == [CAMDEN]


def test_what_was_missed_while_the_line_was_down_is_heard_once(desk: Desk, road: Road) -> None:
    with listening(desk) as browser:
        road.officer().writes(AMARA)
        browser.events(1)
        seen = browser.last_event_id
    road.passes(hours=30)
    road.officer("lam").writes(JONAS)
    with listening(desk, **{"last-event-id": seen}) as browser:
        assert len(browser.events(1)) == 1
        road.passes(hours=30)
        road.officer("khan").writes(AMARA)
        [(_, said)] = browser.events(1)
        assert said["kind"] in ("raised", "grew")


def test_the_list_says_where_the_stream_goes_on(desk: Desk, road: Road) -> None:
    at = desk.get("/api/alerts").json()["last_event_id"]
    road.officer().writes(AMARA)
    with desk.client.stream("GET", f"{STREAM}?after={at}", headers=desk.headers({}), timeout=30) as response:
        assert [said["kind"] for _, said in Browser(response).events(1)] == ["raised"]


def test_a_position_of_another_database_means_load_anew(desk: Desk) -> None:
    with listening(desk, **{"last-event-id": "999999-999999"}) as browser:
        assert [name for name, _ in browser.events(1)] == ["reload"]


@pytest.mark.usefixtures("often")
def test_a_quiet_stream_says_that_it_is_there_and_where(desk: Desk, road: Road) -> None:
    road.officer("lam", CAMDEN).writes(JONAS)
    with listening(desk) as browser:
        while not browser.last_event_id.endswith("-1"):
            block = browser.block()
            assert block[":"] == "still here" and "data" not in block


@pytest.mark.usefixtures("often")
def test_signing_out_ends_the_stream(desk: Desk) -> None:
    with listening(desk) as browser:
        assert desk.post("/api/sign-out").status_code == 204
        assert ends(browser)


@pytest.mark.usefixtures("often")
def test_a_closed_account_ends_the_stream(live: Any, desk: Desk) -> None:
    with listening(desk) as browser:
        services_of(live).store.write_now(
            lambda tx: people.set_active(tx, desk.person_id, False, actor=ADMIN, now=now_ms())
        )
        assert ends(browser)


@pytest.mark.usefixtures("often")
def test_an_open_stream_does_not_keep_an_idle_person_signed_in(live: Any, desk: Desk, road: Road) -> None:
    with listening(desk) as browser:
        long_ago = now_ms() - 10 * sessions.SEEN_STEP_MS
        services_of(live).store.write_now(
            lambda tx: tx.execute("UPDATE person_session SET seen_at = :at", {"at": long_ago})
        )
        for _ in range(3):
            browser.block()
    assert road.value("SELECT seen_at FROM person_session") == long_ago


def test_a_server_that_is_told_to_stop_ends_its_streams_first(settings: Settings) -> None:
    with socket.socket() as listening_on:
        listening_on.bind(("127.0.0.1", 0))
        port = listening_on.getsockname()[1]
        app = create_app(msgspec.structs.replace(settings, port=port))
        server = Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=60), app)
        thread = threading.Thread(target=server.run, args=([listening_on],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        with LiveClient(f"http://127.0.0.1:{port}", app) as live:
            client: Any = live
            with listening(Desk(client, add_person(client, "rivera"))) as browser:
                server.should_exit = True
                assert ends(browser)
        thread.join(20)
        assert not thread.is_alive()


def test_a_position_that_is_too_long_is_a_problem(desk: Desk) -> None:
    assert_problem(desk.get(f"{STREAM}?after={'9' * 500}"), 400, "invalid")
