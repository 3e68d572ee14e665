"""The door for phones: enrolment with a one-time code, and tokens for signed assertions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from litestar import get
from litestar.di import NamedDependency
from litestar.testing import TestClient

from server.access import devices, people, throttle
from server.access.crypto import token_digest
from server.access.identity import DeviceIdentity
from server.app import create_app
from server.clock import now_ms
from server.http.auth import DEVICE, DEVICE_HANDS_IN
from server.settings import Settings
from tests.http.kit import (
    ADMIN,
    Client,
    Phone,
    add_person,
    assert_problem,
    enrolled_phone,
    make_code,
    services_of,
)


@get("/api/test/reads", opt=DEVICE)
async def reads(device: NamedDependency[DeviceIdentity]) -> dict[str, Any]:
    return {"device_id": device.device_id, "username": device.username, "ward": device.ward}


@get("/api/test/hands-in", opt=DEVICE_HANDS_IN)
async def hands_in(device: NamedDependency[DeviceIdentity]) -> dict[str, Any]:
    return {"revoked": device.revoked}


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with TestClient(create_app(settings, handlers=[reads, hands_in])) as running:
        yield running


def test_a_phone_enrols_and_reads_with_its_token(client: Client) -> None:
    add_person(client, "okafor", role="schools_officer")
    phone = Phone(client)
    answer = phone.enrol(make_code(client, "okafor", ward="E05014095")).json()
    assert answer["user"] == "okafor"
    assert answer["ward"] == "E05014095"
    assert answer["borough"] == "E09000022"
    assert answer["server_key"]["crv"] == "Ed25519"
    token = phone.ask_token().json()
    assert token["token_type"] == "Bearer"
    assert token["expires_in"] == 3600
    shown = phone.get("/api/test/reads").json()
    assert shown == {"device_id": phone.device_id, "username": "okafor", "ward": "E05014095"}


def test_a_code_is_typed_as_people_type(client: Client) -> None:
    add_person(client)
    code = make_code(client)
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    phone = Phone(client)
    body = phone.enrol_body(code) | {"code": typed}
    assert client.post("/api/devices/enrol", json=body).status_code == 201


def test_a_code_is_good_for_one_phone_only(client: Client) -> None:
    add_person(client)
    code = make_code(client)
    assert Phone(client).enrol(code).status_code == 201
    assert_problem(Phone(client).enrol(code), 403, "code-refused")


def test_sending_the_same_enrolment_again_gives_the_same_device(client: Client) -> None:
    add_person(client)
    code, phone = make_code(client), Phone(client)
    first, again = phone.enrol(code).json(), phone.enrol(code).json()
    assert first["device_id"] == again["device_id"]


def test_an_expired_or_unknown_code_is_refused_alike(client: Client) -> None:
    add_person(client)
    expired = make_code(client, lifetime_ms=0)
    one = assert_problem(Phone(client).enrol(expired), 403, "code-refused")
    other = assert_problem(Phone(client).enrol("AAAA-BBBB-CCCC-DDDD"), 403, "code-refused")
    assert one["detail"] == other["detail"]


def test_a_proof_by_another_key_or_over_another_code_is_refused_and_spends_nothing(client: Client) -> None:
    add_person(client)
    code, phone = make_code(client), Phone(client)
    other = Phone(client)
    forged = assert_problem(phone.enrol(code, proof=other.proof(code)), 400, "proof-refused")
    assert forged["error"] == "invalid_grant"
    assert_problem(phone.enrol(code, proof=phone.proof("AAAA-BBBB-CCCC-DDDD")), 400, "proof-refused")
    assert phone.enrol(code).status_code == 201


def test_a_private_key_or_a_key_of_another_curve_is_refused(client: Client) -> None:
    add_person(client)
    code, phone = make_code(client), Phone(client)
    assert_problem(phone.enrol(code, public_key=phone.jwk | {"d": "AAAA"}), 400, "key-refused")
    assert_problem(phone.enrol(code, public_key=phone.jwk | {"crv": "P-384"}), 400, "key-refused")
    flipped = phone.jwk | {"x": phone.jwk["y"]}
    assert_problem(phone.enrol(code, public_key=flipped), 400, "key-refused")


def test_guessing_codes_is_stopped_with_retry_after(client: Client) -> None:
    add_person(client)
    services = services_of(client)
    limits = services.limits
    for _ in range(limits.per_address):
        services.store.write_now(
            lambda tx: throttle.begin(tx, limits, username=None, address="testclient", now=now_ms())
        )
    answer = Phone(client).enrol(make_code(client))
    assert_problem(answer, 429, "too-many-attempts")
    assert 1 <= int(answer.headers["retry-after"]) <= limits.window_ms // 1000


def test_enrolling_rightly_does_not_count_as_a_guess(client: Client) -> None:
    add_person(client)
    for _ in range(3):
        assert Phone(client).enrol(make_code(client)).status_code == 201
    count = services_of(client).store.read_now(lambda tx: tx.value("SELECT count(*) FROM sign_in_attempt"))
    assert count == 0


def test_an_assertion_is_good_once(client: Client, phone: Phone) -> None:
    signed = phone.sign(phone.claims())
    assert phone.ask_token(signed).status_code == 200
    assert assert_problem(phone.ask_token(signed), 400, "proof-refused")["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"aud": "https://other.example"}, "invalid_grant"),
        ({"jti": None}, "invalid_grant"),
        ({"jti": "short"}, "invalid_grant"),
        ({"exp": None}, "invalid_grant"),
        ({"iat": None}, "invalid_grant"),
        ({"exp": int(time.time()) + 4000}, "invalid_grant"),
        ({"sub": "someone else"}, "invalid_grant"),
        ({"iss": "0" * 36, "sub": "0" * 36}, "invalid_grant"),
        ({"aud": None}, "invalid_grant"),
        ({"exp": "soon"}, "invalid_grant"),
        ({"iat": True}, "invalid_grant"),
    ],
)
def test_an_assertion_with_a_wrong_claim_is_refused(
    phone: Phone, changes: dict[str, Any], error: str
) -> None:
    assert assert_problem(phone.ask_token(**changes), 400, "proof-refused")["error"] == error


def off_by(ms: int) -> int:
    return now_ms() + ms


def test_a_phone_with_a_wrong_clock_is_told_the_time_and_succeeds_after_correcting_it(client: Client) -> None:
    add_person(client)
    phone = Phone(client)
    phone.enrol(make_code(client))
    for wrong_by_ms in (-86_400_000, 86_400_000):
        phone.clock_ms = partial(off_by, wrong_by_ms)
        problem = assert_problem(phone.ask_token(), 400, "clock-refused")
        assert problem["error"] == "invalid_grant"
        offset = problem["server_time"] - phone.clock_ms()
        assert abs(offset + wrong_by_ms) < 60_000
        phone.clock_ms = now_ms
        assert phone.ask_token().status_code == 200


def test_the_time_is_told_only_to_whoever_holds_the_key(phone: Phone) -> None:
    stale = phone.claims(iat=1_000, exp=1_060)
    forged = phone.sign(stale, key=ec.generate_private_key(ec.SECP256R1()))
    assert "server_time" not in assert_problem(phone.ask_token(forged), 400, "proof-refused")


def test_somebody_elses_device_id_is_refused(client: Client, phone: Phone) -> None:
    other = enrolled_phone(client, "bianchi")
    stolen = phone.sign(phone.claims(iss=other.device_id, sub=other.device_id))
    assert_problem(phone.ask_token(stolen), 400, "proof-refused")


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_assertion_with_another_algorithm_is_refused(phone: Phone, algorithm: str) -> None:
    key = "" if algorithm == "none" else "a secret of at least thirty-two bytes, to please the library"
    signed = jwt.encode(phone.claims(), key, algorithm=algorithm)
    assert_problem(phone.ask_token(signed), 400, "proof-refused")


@pytest.mark.parametrize(
    "rubbish", ["x", "a.b.c", "....", "é" * 40, "e30.e30.e30", "A" * 4097, "\x00.\x00.\x00"]
)
def test_rubbish_for_an_assertion_is_a_clear_problem(phone: Phone, rubbish: str) -> None:
    answer = phone.ask_token(rubbish)
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_request", "invalid_grant"}
    assert rubbish not in answer.text or len(rubbish) < 5


def test_another_grant_type_is_refused_in_oauth_words(client: Client) -> None:
    answer = client.post("/api/devices/token", data={"grant_type": "password", "assertion": "x.y.z"})
    assert assert_problem(answer, 400, "proof-refused")["error"] == "unsupported_grant_type"
    missing = client.post("/api/devices/token", data={"grant_type": "password"})
    assert assert_problem(missing, 400, "invalid")["error"] == "invalid_request"


def test_an_expired_token_is_refused_and_says_how_to_get_another(client: Client, phone: Phone) -> None:
    digest = token_digest(phone.bearer)
    services_of(client).store.write_now(
        lambda tx: tx.execute("UPDATE device_token SET expires_at = 1 WHERE token_sha256 = :t", {"t": digest})
    )
    answer = phone.get("/api/test/reads")
    problem = assert_problem(answer, 401, "token-refused")
    assert problem["error"] == "invalid_token"
    assert "expired" in problem["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer nobody", "Bearer \x7f\xff", "B" * 900]
)
def test_a_missing_or_unknown_token_is_refused(client: Client, header: str) -> None:
    headers = [(b"authorization", header.encode("latin-1"))]
    assert_problem(client.get("/api/test/reads", headers=headers), 401, "token-refused")


def test_a_revoked_phone_reads_nothing_but_may_hand_in(client: Client, phone: Phone) -> None:
    phone.revoke()
    assert assert_problem(phone.get("/api/test/reads"), 403, "device-revoked")["wipe"] is True
    assert phone.get("/api/test/hands-in").json() == {"revoked": True}
    assert phone.ask_token().status_code == 200
    assert phone.get("/api/test/hands-in").json() == {"revoked": True}
    assert_problem(phone.get("/api/test/reads"), 403, "device-revoked")


def test_closing_an_officers_account_revokes_what_their_phone_may_read(client: Client, phone: Phone) -> None:
    store = services_of(client).store
    person = store.read_now(lambda tx: people.find(tx, "okafor"))
    assert person is not None
    store.write_now(lambda tx: people.set_active(tx, person.person_id, False, actor=ADMIN, now=now_ms()))
    assert_problem(phone.get("/api/test/reads"), 403, "device-revoked")
    assert phone.get("/api/test/hands-in").json() == {"revoked": True}


def test_a_persons_cookie_does_not_open_a_phones_door(desk: Any) -> None:
    assert_problem(desk.get("/api/test/reads"), 401, "token-refused")


def test_tokens_and_codes_are_not_stored_readable(client: Client, settings: Settings) -> None:
    add_person(client)
    code, phone = make_code(client), Phone(client)
    phone.enrol(code)
    phone.ask_token()
    services_of(client).store.close_now()
    raw = b"".join(
        path.read_bytes() for path in settings.data.iterdir() if path.name.startswith("earlysign.db")
    )
    assert phone.device_id.encode() in raw
    assert phone.bearer.encode() not in raw
    assert code.encode() not in raw
    assert code.replace("-", "").encode() not in raw


def test_pruning_deletes_only_what_can_no_longer_be_used(client: Client, phone: Phone) -> None:
    services = services_of(client)
    assert services.store.write_now(lambda tx: devices.prune(tx, now_ms() - 1000)) == 0
    assert phone.get("/api/test/reads").status_code == 200
    later = now_ms() + 2 * 3_600_000
    assert services.store.write_now(lambda tx: devices.prune(tx, later)) == 3
    assert_problem(phone.get("/api/test/reads"), 401, "token-refused")


def test_an_answer_with_a_token_is_never_cached(phone: Phone) -> None:
    assert phone.ask_token().headers["cache-control"] == "no-store"


def test_a_revoked_phone_cannot_enrol_again_with_its_old_code(client: Client) -> None:
    add_person(client)
    code, phone = make_code(client), Phone(client)
    phone.enrol(code)
    phone.revoke()
    assert_problem(phone.enrol(code), 403, "code-refused")


def test_every_setting_that_the_door_uses_is_taken_from_the_settings(settings: Settings) -> None:
    changed = msgspec.structs.replace(settings, device_token_minutes=5)
    with TestClient(create_app(changed)) as running:
        assert enrolled_phone(running).ask_token().json()["expires_in"] == 300


def test_a_phone_that_is_told_to_wipe_hands_in_and_reads_nothing(client: Client) -> None:
    phone = enrolled_phone(client)
    store = services_of(client).store
    ordered = store.write_now(lambda tx: devices.order_wipe(tx, phone.device_id, actor=ADMIN, now=now_ms()))
    assert ordered
    assert phone.get("/api/test/hands-in").json() == {"revoked": False}
    assert assert_problem(phone.get("/api/test/reads"), 403, "device-revoked")["wipe"] is True
    assert phone.get("/api/sync/hello").json()["wipe"] is True
