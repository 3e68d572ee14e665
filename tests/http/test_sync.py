"""The phone's doors over HTTP: hello, push and pull, and every kind of bad input that may come in."""

from __future__ import annotations

import gzip
import json
import uuid
from typing import Any

import msgspec
import pytest

from server.access import devices
from server.audit import system
from server.clock import now_ms
from sync.envelope import Change, Code, Outcome, PullAnswer, PushAnswer
from sync.operations import Kind, digest, freeze, parse_body
from sync.receipts import open_sealed
from tests.http.kit import Client, Desk, Phone, services_of

NOTE: dict[str, Any] = {
    "observed_at": "2026-03-01T14:05:00+00:00",
    "recorded_at": "2026-03-01T14:07:00+00:00",
    "category": "neglect",
    "saw_or_heard": "Marker-text: alone at the bus station.",
    "subjects": [{"given_names": "Marker-given", "family_name": "Marker-family", "approximate_age": 12}],
}
MARKERS = ("Marker-text", "Marker-given", "Marker-family")
SCRIPTS = (
    "Ààé Ψψ Жж Հհ אב عب नम বং ਪੰ ગુ ଓଡ଼ தமி తె ಕನ್ನ മല සිං ไทย ລາວ བོད မြန် ქარ ሰላ ᏣᎳ ᐃᓄ ខ្មែ ᠮᠣ ひら カタ 漢字 한글 ㄅㄆ "
    "ꆈꌠ ⴰⴱ ߒߞߏ ܐܒ ހށ ࠀࠁ ꦗꦮ ᮞᮥ ᨅᨔ ꤊꤋ ꨀꨇ ᜊᜋ ᥖᥭ ᦑᦟ ꯃꯩ ᰛᰩ ᱥᱟ 𞤀𞤣 𐒀𐒁 𞄀𞄁 𑄌𑄋 ⲁⲃ ⰀⰁ ᚠᚢ 𐌰𐌱 ᚁᚂ 𐓏𐓘 𖼀𖼁 𐐀𐐁"
)


class Sender:
    """A phone that numbers its ops."""

    def __init__(self, client: Client, phone: Phone) -> None:
        self.client, self.phone = client, phone
        self.epoch = uuid.uuid4().hex
        self.seq = 0

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.phone.bearer}"}

    def line(self, body: dict[str, Any] | bytes | None = None, **changes: Any) -> bytes:
        """An op line about `body`, which need not be valid; `changes` are to the envelope."""
        self.seq += 1
        raw = body if isinstance(body, bytes) else json.dumps(body or NOTE).encode()
        envelope = {
            "device": self.phone.device_id,
            "epoch": self.epoch,
            "seq": self.seq,
            "user": officer_of(self.client, self.phone),
            "schema": 1,
            "kind": "note.write",
            "entity_id": str(uuid.uuid4()),
            "body": msgspec.Raw(raw),
            "body_sha256": digest(raw),
        } | changes
        return msgspec.json.encode(envelope)

    def push(self, *lines: bytes, **more: Any) -> PushAnswer:
        answer = self.send(b"\n".join(lines), **more)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=PushAnswer)

    def send(self, content: bytes, headers: dict[str, str] | None = None) -> Any:
        return self.client.post(
            "/api/sync/push",
            content=content,
            headers=self.headers | {"content-type": "application/x-ndjson"} | (headers or {}),
        )

    def pull(self, cursor: str | None = None, limit: int = 500) -> PullAnswer:
        answer = self.client.post(
            "/api/sync/pull", json={"cursor": cursor, "limit": limit}, headers=self.headers
        )
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=PullAnswer)


def own(page: PullAnswer) -> list[Change]:
    """The changes of a page that are about the officer's own notes."""
    return [change for change in page.changes if change.bucket.startswith("notes:")]


def officer_of(client: Client, phone: Phone) -> str:
    name: str = services_of(client).store.read_now(
        lambda tx: tx.value(
            "SELECT p.username FROM device d JOIN person p ON p.id = d.person WHERE d.device_id = :id",
            {"id": phone.device_id},
        )
    )
    return name


def counted(client: Client, table: str) -> int:
    found: int = services_of(client).store.read_now(lambda tx: tx.value(f"SELECT COUNT(*) FROM {table}"))
    return found


@pytest.fixture
def sender(client: Client, phone: Phone) -> Sender:
    return Sender(client, phone)


def test_a_note_is_received_signed_for_and_pulled(client: Client, sender: Sender) -> None:
    line = sender.line()
    answer = sender.push(line)
    assert [verdict.v for verdict in answer.verdicts] == [Outcome.APPLIED]
    assert answer.contiguous_through == answer.durable_through == 1
    key = services_of(client).receipt_key
    assert answer.receipt is not None
    receipt = open_sealed(answer.receipt, lambda payload, signature: key.sign(payload) == signature)
    assert receipt.ops == ((sender.epoch, 1, digest(line)),)
    page = sender.pull()
    assert [change.data["status"] for change in own(page) if change.data] == ["new_child"]
    assert page.more is False and page.checkpoint is not None


def test_hello_says_how_far_a_phone_has_come(client: Client, sender: Sender) -> None:
    sender.push(sender.line(), sender.line())
    hello = client.get("/api/sync/hello", headers=sender.headers).json()
    assert hello["durable_through"] == {sender.epoch: 2}


def test_the_same_push_again_changes_nothing(client: Client, sender: Sender) -> None:
    lines = [sender.line(), sender.line()]
    sender.push(*lines)
    again = sender.push(*lines)
    assert [verdict.v for verdict in again.verdicts] == [Outcome.DUPLICATE] * 2
    assert counted(client, "note") == 2


def test_a_gzipped_push_is_the_same_push(sender: Sender) -> None:
    answer = sender.push(gzip.compress(sender.line()), headers={"content-encoding": "gzip"})
    assert answer.verdicts[0].v is Outcome.APPLIED


def test_pages_of_any_size_add_up_to_every_note(sender: Sender) -> None:
    sender.push(*[sender.line() for _ in range(7)])
    seen: list[str] = []
    cursor, more = None, True
    while more:
        page = sender.pull(cursor, limit=3)
        seen += [change.id for change in own(page)]
        cursor, more = page.cursor, page.more
    assert len(seen) == len(set(seen)) == 7
    assert sender.pull(cursor).changes == ()


def test_a_cursor_of_another_server_starts_anew_and_says_so(sender: Sender) -> None:
    sender.push(sender.line())
    page = sender.pull("bm90IGEgY3Vyc29y")
    assert page.resync is not None and len(own(page)) == 1


def altered(**changes: Any) -> dict[str, Any]:
    return NOTE | changes


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"{not json", Code.NOT_AN_OP, id="not JSON"),
        pytest.param(altered(colour="red"), Code.BODY_INVALID, id="unknown field"),
        pytest.param(
            altered(found_at={"latitude": 900, "longitude": 0}), Code.BODY_INVALID, id="latitude 900"
        ),
        pytest.param(altered(subjects=[]), Code.BODY_INVALID, id="no subject"),
        pytest.param(altered(saw_or_heard="x" * 30_000), Code.BODY_INVALID, id="text over its limit"),
        pytest.param(altered(saw_or_heard="Zo\x00e"), Code.BODY_INVALID, id="NUL byte"),
        pytest.param(altered(observed_at="yesterday"), Code.BODY_INVALID, id="not a time"),
    ],
)
def test_a_bad_body_is_kept_and_costs_only_itself(
    client: Client, sender: Sender, body: dict[str, Any] | bytes, code: Code
) -> None:
    bad = body if isinstance(body, bytes) else sender.line(body)
    answer = sender.push(sender.line(), bad, sender.line())
    verdict = answer.verdicts[1]
    assert (verdict.v, verdict.code) == (Outcome.QUARANTINED, code)
    assert [v.v for v in (answer.verdicts[0], answer.verdicts[2])] == [Outcome.APPLIED] * 2
    assert counted(client, "quarantine") == 1
    kept = services_of(client).store.read_now(
        lambda tx: tx.value(
            "SELECT COALESCE(q.line, o.line) FROM quarantine q LEFT JOIN op o ON o.op_id = q.op_id"
        )
    )
    assert bytes(kept) == bad, "the bytes are kept as they came"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"kind": "note.burn"}, Code.KIND_UNKNOWN, id="unknown kind"),
        pytest.param({"schema": 99}, Code.SCHEMA_UNKNOWN, id="newer schema"),
        pytest.param({"body_sha256": "0" * 64}, Code.BODY_DIGEST_MISMATCH, id="wrong digest"),
        pytest.param({"device": "somebody-elses"}, Code.DEVICE_MISMATCH, id="somebody else's device"),
        pytest.param({"user": "somebody-else"}, Code.USER_MISMATCH, id="somebody else's name"),
    ],
)
def test_an_op_that_cannot_be_trusted_is_set_aside(
    sender: Sender, changes: dict[str, Any], code: Code
) -> None:
    verdict = sender.push(sender.line(**changes)).verdicts[0]
    assert (verdict.v, verdict.code) == (Outcome.QUARANTINED, code)


def test_a_line_that_was_damaged_on_its_way_does_not_take_the_number_of_the_op(
    client: Client, sender: Sender
) -> None:
    """Or the op itself, sent again, would meet other bytes under its number."""
    line = sender.line()
    assert sender.push(line.replace(b"recorded_at", b"recorded_aT")).verdicts[0].v is Outcome.QUARANTINED
    answer = sender.push(line)
    assert answer.verdicts[0].v is Outcome.APPLIED and answer.contiguous_through == 1
    assert counted(client, "quarantine") == 1


def test_a_date_in_2090_is_applied_and_said_to_be_doubtful(client: Client, sender: Sender) -> None:
    """A wrong clock must not keep a worry from anyone; the phone is told, so that its officer can amend."""
    body = altered(observed_at="2090-01-01T00:00:00+00:00", recorded_at="2090-01-01T00:00:00+00:00")
    verdict = sender.push(sender.line(body)).verdicts[0]
    assert (verdict.v, verdict.code) == (Outcome.APPLIED, Code.OBSERVED_OUT_OF_RANGE)
    assert counted(client, "alert") == 1


@pytest.mark.parametrize("name", [SCRIPTS[:490], "\u202e\uffff\x1b", "é" * 500], ids=range(3))
def test_a_name_in_sixty_scripts_or_with_odd_characters_is_a_note_like_any_other(
    sender: Sender, name: str
) -> None:
    body = altered(subjects=[{"given_names": name, "family_name": name}], saw_or_heard=name)
    assert sender.push(sender.line(body)).verdicts[0].v is Outcome.APPLIED


def test_too_many_ops_are_refused_whole_and_nothing_is_lost(client: Client, sender: Sender) -> None:
    answer = sender.send(b"\n".join([b"{}"] * 201))
    assert answer.status_code == 413
    assert answer.json()["hint"] and answer.json()["max_ops"] == 200
    assert counted(client, "quarantine") == 0


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        pytest.param(
            gzip.compress(b"x" * 9000)[:-20], {"content-encoding": "gzip"}, 400, id="truncated gzip"
        ),
        pytest.param(b"\x1f\x8bnonsense", {"content-encoding": "gzip"}, 400, id="damaged gzip"),
        pytest.param(b"{}", {"content-encoding": "br"}, 415, id="unknown compression"),
        pytest.param(b"x" * (4 * 2**20 + 1), {}, 413, id="over the wire limit"),
        pytest.param(gzip.compress(bytes(2**30), 9), {"content-encoding": "gzip"}, 413, id="a bomb of 1 GB"),
        pytest.param(b"{}", {"authorization": "Bearer expired-or-forged"}, 401, id="expired token"),
        pytest.param(b"{}", {"authorization": "Basic eDp5"}, 401, id="no token"),
    ],
)
def test_a_push_that_cannot_be_read_is_a_clear_problem(
    sender: Sender, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = sender.send(content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["title"] and problem["detail"] and problem["hint"]


def test_no_answer_to_bad_input_repeats_what_was_written(sender: Sender) -> None:
    bad = [
        sender.line(altered(category="Marker-text")),
        sender.line(altered(observed_at="Marker-text")),
        sender.line(altered(**{"Marker-given": "Marker-family"})),
        b'{"device": "Marker-given"',
    ]
    answer = sender.send(b"\n".join(bad))
    assert answer.status_code == 200
    assert not any(marker in answer.text for marker in MARKERS)


def test_a_revoked_phone_hands_in_notes_and_may_pull_nothing(
    client: Client, sender: Sender, desk: Desk
) -> None:
    store = services_of(client).store
    store.write_now(
        lambda tx: devices.revoke(tx, sender.phone.device_id, actor=system("tests"), now=now_ms())
    )
    verdict = sender.push(sender.line()).verdicts[0]
    assert (verdict.v, verdict.code) == (Outcome.QUARANTINED, Code.DEVICE_REVOKED)
    refused = client.post("/api/sync/pull", json={}, headers=sender.headers)
    assert refused.status_code == 403
    assert client.get("/api/sync/hello", headers=sender.headers).json()["wipe"] is True


def test_the_reference_phones_own_lines_are_read(sender: Sender) -> None:
    note = parse_body(Kind.NOTE_WRITE, json.dumps(NOTE).encode())
    sender.seq += 1
    line = freeze(
        device=sender.phone.device_id,
        epoch=sender.epoch,
        seq=sender.seq,
        user=officer_of(sender.client, sender.phone),
        kind=Kind.NOTE_WRITE,
        entity_id=str(uuid.uuid4()),
        body=note,
    )
    assert sender.push(line).verdicts[0].v is Outcome.APPLIED


def test_a_phone_says_how_it_is_and_when_it_was_wiped(client: Client, sender: Sender) -> None:
    said: dict[str, Any] = {
        "wall": 7,
        "monotonic": 5,
        "boot_id": "b-1",
        "offset": -3,
        "waiting": 2,
        "version": "9.1",
    }

    def says(**more: Any) -> int:
        status: int = client.post("/api/sync/condition", json=said | more, headers=sender.headers).status_code
        return status

    assert says() == 204
    (row,) = services_of(client).store.read_now(devices.everything)
    assert (row.app_version, row.state) == ("9.1", "active")
    assert says(wipe="begins") == 204 and says(wipe="done") == 204
    (row,) = services_of(client).store.read_now(devices.everything)
    assert row.state == "wiped"
    assert says(wipe="perhaps") == 400 and says(boot_id="x\n") == 400 and says(colour="red") == 400


def test_a_briefing_is_lent_over_the_wire_and_only_when_asked_for(client: Client, sender: Sender) -> None:
    sender.push(sender.line())
    assert sender.pull().lease is None
    answer = client.post("/api/sync/pull", json={"lease": "begin"}, headers=sender.headers)
    page = msgspec.json.decode(answer.content, type=PullAnswer)
    assert page.lease is not None and page.lease.bucket == "briefing:E05014095"
    told = [change.data for change in page.changes if change.bucket == page.lease.bucket]
    assert [one["first_name"] for one in told if one] == ["Marker-given"]
    assert b"Marker-family" not in answer.content and b"Marker-text" not in answer.content
    again = sender.pull(page.cursor)
    assert again.changes == () and again.lease is not None
