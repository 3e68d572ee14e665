"""Every failure is a problem document with a hint, and repeats nothing it was sent."""

from __future__ import annotations

import enum
import html
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from litestar import Request, Response, get, post
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from server import logs
from server.access import errors
from server.app import create_app
from server.http import problems
from server.http.auth import OPEN
from server.settings import Settings
from server.storage import StorageBusy
from tests.http.kit import PASSWORD, Client, Desk, Phone, add_person, assert_problem, make_code

MARKER = "Zyx-Marker-7731"
PAGES_BEFORE_SIGN_IN = {"/sign-in", "/sign-out"}  # the console's


class Colour(enum.StrEnum):
    RED = "red"


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    colour: Colour
    count: Annotated[int, msgspec.Meta(ge=1)]


@post("/api/test/shape", opt=OPEN)
async def shape(data: JSONBody[Shape]) -> str:
    return data.colour


@get("/api/test/number/{number:int}", opt=OPEN)
async def number(number: FromPath[int], size: FromQuery[int] = 1) -> int:
    return number * size


@get("/api/test/fails/{how:str}", opt=OPEN)
async def fails(how: FromPath[str]) -> None:
    raised: dict[str, Exception] = {
        "value": ValueError(f"it says {MARKER}"),
        "busy": StorageBusy("The queue is full."),
        "http": HTTPException(detail=f"quotes {MARKER}", status_code=418),
        "own": problems.Problem(problems.CONFLICT, "It has changed.", extra={"current": 3}),
        "missing": NotFoundException(f"no {MARKER}"),
        "msgspec": msgspec.ValidationError(f"Invalid enum value '{MARKER}' - at `$.a`"),
        "nested": RuntimeError(MARKER),
    }
    try:
        raise KeyError(MARKER)
    except KeyError as error:
        raise raised[how] from error


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with TestClient(create_app(settings, handlers=[shape, number, fails])) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/api/nothing", 404, "not-found"),
        ("GET", "/api/test/fails/missing", 404, "not-found"),
        ("PUT", "/api/me", 405, "method-not-allowed"),
        ("GET", "/api/test/number/x", 404, "not-found"),
        ("GET", "/api/test/number/3?size=big", 400, "invalid"),
        ("GET", "/api/test/fails/value", 500, "internal"),
        ("GET", "/api/test/fails/nested", 500, "internal"),
        ("GET", "/api/test/fails/busy", 503, "unavailable"),
        ("GET", "/api/test/fails/own", 409, "conflict"),
        ("GET", "/api/test/fails/http", 418, "other"),
        ("GET", "/api/test/fails/msgspec", 400, "invalid"),
        ("GET", "/static/none.css", 404, "not-found"),
        ("GET", "/static/../../settings.py", 404, "not-found"),
        ("GET", "/problems/none", 404, "not-found"),
    ],
)
def test_every_failure_is_a_problem(client: Client, method: str, path: str, status: int, slug: str) -> None:
    answer = client.request(method, path)
    assert_problem(answer, status, slug)
    assert MARKER not in answer.text
    if status == 405:
        assert answer.headers["allow"] == "GET"
    if status == 503:
        assert answer.headers["retry-after"] == "2"
    if status == 500:
        assert answer.json()["incident"] == answer.headers["x-request-id"]


def test_members_of_a_kind_are_in_the_body(client: Client) -> None:
    assert client.get("/api/test/fails/own").json()["current"] == 3


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        (f'{{"colour":"{MARKER}","count":1}}', "colour", "Not one of the values that this field takes"),
        (f'{{"colour":"red","count":"{MARKER}"}}', "count", "Expected `int`, got `str`"),
        ('{"colour":"red","count":0}', "count", "Expected `int` >= 1"),
        ('{"colour":"red"}', "count", "Object missing required field"),
        ('{"colour":"red","count":1,"other":1}', "other", "Object contains unknown field"),
    ],
)
def test_a_wrong_value_is_named_and_not_repeated(client: Client, body: str, field: str, reason: str) -> None:
    answer = client.post("/api/test/shape", content=body, headers={"content-type": "application/json"})
    problem = assert_problem(answer, 400, "invalid")
    assert MARKER not in answer.text
    [error] = problem["errors"]
    assert field in error["field"] + error["reason"]
    assert error["reason"].startswith(reason)


@pytest.mark.parametrize("body", [b"", b"{", b"not json", b"\xff\xfe", b'{"colour":"\xff"}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_a_clear_problem(client: Client, body: bytes) -> None:
    answer = client.post("/api/test/shape", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["hint"]


def test_a_body_over_the_limit_is_a_413(client: Client) -> None:
    answer = client.post(
        "/api/test/shape", content=b" " * 2_000_000, headers={"content-type": "application/json"}
    )
    assert_problem(answer, 413, "too-large")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "image/png", ""])
def test_a_json_door_reads_no_other_type(client: Client, kind: str) -> None:
    answer = client.post(
        "/api/test/shape", content=b'{"colour":"red","count":1}', headers={"content-type": kind}
    )
    assert_problem(answer, 415, "unsupported-type")


def test_every_kind_of_problem_has_its_page(client: Client) -> None:
    for kind in problems.KINDS.values():
        page = client.get(problems.PROBLEM_PATH + kind.slug)
        assert page.status_code == 200
        assert html.escape(kind.title) in page.text and page.headers["content-type"].startswith("text/html")


def test_every_refusal_has_a_kind_of_problem() -> None:
    refusals = [value for value in vars(errors).values() if isinstance(value, type)]
    for refusal in refusals:
        if issubclass(refusal, errors.AccessError) and refusal is not errors.AccessError:
            assert any(base in problems.BY_REFUSAL for base in refusal.__mro__), refusal


def test_every_kind_has_a_hint_and_no_slug_is_used_twice() -> None:
    for slug, kind in problems.KINDS.items():
        assert slug == kind.slug and kind.title and kind.hint and 400 <= kind.status < 600


def test_browsers_get_a_page_where_one_is_offered_and_programs_never(client: Client) -> None:
    def page(_request: Request[Any, Any, Any], body: problems.ProblemBody) -> Response[Any]:
        return Response(f"<h1>{body.title}</h1>", media_type="text/html", status_code=body.status)

    client.app.state.problem_page = page
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    shown = client.get("/nothing", headers=browser)
    assert shown.status_code == 404 and shown.text == "<h1>There is nothing here</h1>"
    assert shown.headers["cache-control"] == "no-store"
    assert_problem(client.get("/api/nothing", headers=browser), 404, "not-found")
    assert_problem(client.get("/nothing"), 404, "not-found")


def test_every_door_that_is_open_to_everybody_is_known(settings: Settings) -> None:
    """A door that says nothing is for signed-in people. This list is the review of those that say otherwise."""
    said = {
        route.path: handler.opt.get("door")
        for route in create_app(settings).routes
        if isinstance(route, HTTPRoute) and not route.path.startswith(("/docs", "/static"))
        for handler in route.route_handlers
        if "OPTIONS" not in handler.http_methods
    }
    assert {path for path, door in said.items() if door == "public" and path not in PAGES_BEFORE_SIGN_IN} == {
        "/api/devices/enrol",
        "/api/devices/token",
        "/api/sign-in",
        "/api/sign-out",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/problems/{slug:str}",
    }
    assert set(said.values()) <= {None, "person", "device", "public"}


@pytest.fixture
def lines(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """A file with everything that is logged, at the most talkative level."""
    file = tmp_path / "log"
    before = logging.getLogger().handlers[:]
    logs.configure("debug", "json")
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    with file.open("w") as stream:
        handler.setStream(stream)
        yield file
        logging.getLogger().handlers = before


def test_no_log_line_holds_what_people_send(client: Client, lines: Path) -> None:
    add_person(client, "okafor", role="schools_officer", password=PASSWORD)
    desk = Desk(client, add_person(client, "rivera", password=PASSWORD))
    phone = Phone(client)
    phone.enrol(make_code(client, "okafor"), name=MARKER, app_version=MARKER)
    phone.ask_token()
    csrf = {"x-csrftoken": desk.csrf}
    client.post("/api/sign-in", json={"username": MARKER, "password": MARKER}, headers=csrf)
    desk.post("/api/password", json={"old": MARKER, "new": MARKER + MARKER})
    client.get(f"/{MARKER}", params={"name": MARKER}, headers={"x-name": MARKER, "user-agent": MARKER})
    client.request("BREW", f"/api/me/{MARKER}")
    client.post("/api/test/shape", json={"colour": MARKER, MARKER: 1})
    client.post("/api/test/shape", content=f"{{{MARKER}", headers={"content-type": "application/json"})
    client.get("/api/me", headers={"authorization": f"Bearer {MARKER}", "cookie": f"earlysign={MARKER}"})
    client.post("/api/devices/token", data={"grant_type": MARKER, "assertion": MARKER})
    phone.post("/api/sync/push", content=f'{{"body": "{MARKER}"}}\n{MARKER}\n')
    phone.post("/api/sync/pull", json={"cursor": MARKER})
    for how in ("value", "nested", "http", "missing", "msgspec"):
        client.get(f"/api/test/fails/{how}")
    written = lines.read_text()
    assert MARKER not in written
    assert phone.bearer not in written and desk.token not in written
    found = [json.loads(line) for line in written.splitlines()]
    incident = next(line for line in found if line["event"] == "incident")
    assert incident["exception"][0] == "ValueError"
    assert any("test_problems.py" in place for place in incident["exception"])
    assert any(line["event"] == "request" and line["route"] == "unknown" for line in found)


def test_metrics_hold_no_address_and_ask_for_the_token(client: Client) -> None:
    client.get(f"/{MARKER}")
    client.request(MARKER, "/api/me")
    assert_problem(client.get("/metrics"), 403, "not-allowed")
    shown = client.get("/metrics", headers={"authorization": "Bearer metrics-for-tests"})
    assert shown.status_code == 200 and "earlysign_requests_total" in shown.text
    assert MARKER not in shown.text


def test_a_server_whose_disk_is_full_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage("/")._replace(free=4096)
    monkeypatch.setattr("server.http.health.shutil.disk_usage", lambda _path: full)
    problem = assert_problem(client.get("/health/ready"), 503, "unavailable")
    assert "disk is full" in problem["detail"] and "room" in problem["hint"]
    assert client.get("/health/live").status_code == 200


def test_a_server_that_cannot_write_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk was remounted to be read only: what is here is read, and nothing can be taken."""
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    problem = assert_problem(client.get("/health/ready"), 503, "unavailable")
    assert "read only" in problem["detail"] and "remounted" in problem["hint"]
    monkeypatch.undo()
    assert client.get("/health/ready").status_code == 200


def test_readiness_asks_the_database_and_liveness_does_not(client: Client) -> None:
    assert client.get("/health/ready").json() == {"status": "ok"}
    client.app.state.store.close_now()
    assert client.get("/health/live").json() == {"status": "ok"}
    answer = client.get("/health/ready")
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/api/me", "/nothing", "/docs", "/health/live", "/static/icon.svg"])
def test_every_answer_carries_the_security_headers(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert len(headers["x-request-id"]) == 32
    assert headers["cache-control"] == ("max-age=600, public" if "static" in path else "no-store")


def test_the_documentation_asks_no_other_host_for_anything_and_has_no_inline_script(client: Client) -> None:
    page = client.get("/docs").text
    assert "https://" not in page and "//cdn" not in page
    assert "<script>" not in page and "<style" not in page and "onload=" not in page
    assert "/api/devices/token" in page
    assert "https://" not in client.get("/docs/start.js").text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"rubbish"),
        ("multipart/form-data", b"rubbish"),
        ("multipart/form-data; boundary=", b"--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\xfe\r\n--x--\r\n',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n'
            b"Content-Type: text/plain; charset=nope\r\n\r\nz\r\n--x--\r\n",
        ),
        ("application/x-www-form-urlencoded", b"%ff%zz&&=&\xff=\xfe"),
        ("application/x-www-form-urlencoded", b"_csrf_token=a&_csrf_token=b"),
        ("application/x-www-form-urlencoded; charset=nope", b"_csrf_token=%C3%A9"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused_clearly(
    client: Client, desk: Desk, kind: str, body: bytes
) -> None:
    for path in ("/api/sign-out", "/api/devices/token", "/api/sign-in"):
        answer = client.post(path, content=body, headers=desk.headers({}) | {"content-type": kind})
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
