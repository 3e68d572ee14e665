"""Schemathesis over every door: answers as documented, no 500, nothing accepted that the description forbids.

The requests come from the API's own description, sent to a real server that holds a child, notes, an alert and a
review, by a signed-in supervisor and an enrolled phone. The seed is fixed, so a failure repeats.
"""

from __future__ import annotations

import datetime
import re
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from server.app import create_app
from server.clock import now_ms
from server.http.docs import description
from server.records import sampling
from server.settings import Settings
from sync.envelope import join_lines
from sync.note import Note, Subject
from sync.operations import Kind, freeze
from sync.vocabulary import Category
from tests.http.kit import Desk, Phone, add_person, make_code, services_of
from tests.http.live import LiveClient, live_server
from tests.road import somebody

pytestmark = pytest.mark.slow

EXAMPLES = 30
ENDLESS = ["/api/alerts/stream"]
"""Doors that Schemathesis cannot call: a stream does not end. They have tests of their own."""

TUS = ["/api/attachments", "/api/attachments/{upload_id}"]
"""tus is described elsewhere, and its headers ask for more than a schema says: `tests/attachments/test_tus.py`."""

MAY_REFUSE_WHAT_IS_WELL_FORMED = {
    "/api/devices/enrol",  # a signature and a key have a form, and are still wrong (400)
    "/api/devices/token",  # RFC 6749 asks for 400 where an assertion does not hold
    "/api/password",  # a password that is too easy (422)
    "/api/children/{child_id}/markers",  # an end that has passed (400)
    "/api/children/{child_id}/case",  # a lead, a reason or both, by what is asked (400)
    "/api/scrutiny/samples",  # a last day before the first (400)
    "/api/telling/browsers",  # an address that is no browser's push service (400)
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveClient]:
    folder: Path = tmp_path_factory.mktemp("openapi") / "data"
    many = Settings(data=folder, jobs=False, sign_in_attempts=1000, sign_in_attempts_per_address=100_000)
    with live_server(many) as running:
        yield running


@pytest.fixture(scope="module")
def phone(live: LiveClient) -> Phone:
    add_person(live, "okafor", role="schools_officer")
    enrolled = Phone(live)
    assert enrolled.enrol(make_code(live, "okafor")).status_code == 201
    assert enrolled.ask_token().status_code == 200
    return enrolled


@pytest.fixture(scope="module", autouse=True)
def things_to_find(phone: Phone) -> None:
    """Notes about a child, and the alert that they raise."""
    today = datetime.datetime.now(datetime.UTC)
    note = Note(
        observed_at=today,
        recorded_at=today,
        category=Category.MISSING,
        danger_now=True,
        saw_or_heard="seen at the bus station",
        subjects=(Subject(given_names="Amara", family_name="Okonkwo", approximate_age=13),),
    )
    epoch = uuid.uuid4().hex
    lines = [
        freeze(
            device=phone.device_id,
            epoch=epoch,
            seq=seq,
            user="okafor",
            kind=Kind.NOTE_WRITE,
            entity_id=str(uuid.uuid4()),
            body=note,
        )
        for seq in range(1, 4)
    ]
    answer = phone.post("/api/sync/push", content=join_lines(lines))
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def people(live: LiveClient) -> dict[str, int]:
    """By the tag of a door, somebody whose role may use it; "" for all other doors."""
    quill = add_person(live, "quill", role="scrutiny", borough=None)
    now = now_ms()
    services_of(live).store.write_now(
        lambda tx: sampling.announce(
            tx, somebody("quill", "scrutiny", None), secret="ab" * 32, closed_from=0, closed_before=now,
            per_stratum=2, public_source="A public draw", now=now,
        )
    )  # fmt: skip
    return {
        "": add_person(live, "osei", role="force_duty_officer", borough=None),
        "scrutiny": quill,
        "administration": add_person(live, "warden", role="administrator", borough=None),
    }


def described() -> dict[str, Any]:
    """The API's description as this code gives it."""
    with tempfile.TemporaryDirectory() as folder:
        return description(create_app(Settings(data=Path(folder))))


DESCRIPTION = described()
DOORS = {
    (method.upper(), path): [name for one in door.get("security", []) for name in one]
    for path, item in DESCRIPTION["paths"].items()
    for method, door in item.items()
}
TAGS = {
    (method.upper(), path): door.get("tags", [""])[0]
    for path, item in DESCRIPTION["paths"].items()
    for method, door in item.items()
}
# Schemathesis would leave credentials out and call what follows an acceptance; they are tested below.
for item in DESCRIPTION["paths"].values():
    for door in item.values():
        door.pop("security", None)
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION).exclude(path=ENDLESS + TUS)


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_every_door_keeps_to_its_description(
    case: schemathesis.Case[Any], live: LiveClient, phone: Phone, people: dict[str, int]
) -> None:
    if "device" in DOORS[case.operation.method.upper(), case.operation.path]:
        headers = phone.headers()
    else:
        # A session for every request: some doors end it.
        desk = Desk(live, people.get(TAGS[case.operation.method.upper(), case.operation.path], people[""]))
        headers = desk.headers({}) | {"x-csrftoken": desk.csrf}
    excluded: list[Any] = (
        [positive_data_acceptance] if case.operation.path in MAY_REFUSE_WHAT_IS_WELL_FORMED else []
    )
    answer = case.call(base_url=live.url, headers=headers)
    if answer.status_code == 413:
        # What is too large is refused before it is read, whatever else is wrong with it.
        excluded.append(negative_data_rejection)
    case.validate_response(answer, excluded_checks=excluded)


@pytest.mark.parametrize(("method", "path"), [door for door, wants in DOORS.items() if wants])
def test_a_door_with_a_lock_opens_to_nobody_without_credentials(
    live: LiveClient, method: str, path: str
) -> None:
    csrf = live.get("/api/sign-in").json()["csrf_token"]
    address = re.sub(r"{[^}]*}", "1", path)
    headers = {"x-csrftoken": csrf, "cookie": f"csrftoken={csrf}", "content-type": "application/json"}
    answer = live.request(method, address, headers=headers, content=b"{}" if method == "POST" else None)
    assert answer.status_code == 401, answer.text
