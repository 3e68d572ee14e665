"""Writes the golden vectors: `python -m tests.vectors.make`. A client in another language proves itself on them.

ops.json        a body and its envelope fields, the frozen line, its digest
inbox.json      a line (base64), what the ledger holds under its key, the verdict
outbox.json     every transition; a batch and an answer, the states after it; what a restored server is sent again
receipts.json   an Ed25519 key, receipts signed with it, and texts that are none
holdings.json   rows and their checksum; pages and what is held after them
phrases.json    a text, and where it blames a child (offsets in Unicode characters)

They are a promise to phones in the field: a change here is a change of the protocol. `test_vectors.py` holds them.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import holdings, inbox, receipts
from sync.envelope import (
    Change,
    ChangeOp,
    Code,
    Hello,
    Outcome,
    PullAnswer,
    PushAnswer,
    RemoveReason,
    Resync,
    Verdict,
)
from sync.inbox import Recorded
from sync.limits import OP_BYTES_MAX
from sync.note import Amendment, MissingEpisode, Note, Place, Subject, Withdrawal
from sync.operations import Body, Kind, digest, freeze, parse_envelope
from sync.outbox import Entry, Event, State, on_answer, on_hello, step
from sync.receipts import Receipt
from sync.vocabulary import Category, ChildSeen, RiskLevel, Sex, phrases_to_reconsider

FOLDER = Path(__file__).parent
DEVICE = "4f9c2a1e-7b1d-4c55-9d0a-0c6f3a8e21b7"
EPOCH = "9f86d081884c7d659a2feaa0"
USER = "pc.okafor"
NOTE_ID = "0b6c7f6e-52a4-4c0e-8a53-9f2d2a7f1c11"
SEED = bytes(range(32))
RECEIVED_AT = 1_800_000_000_000

Vectors = dict[str, Any]


def moment(hour: int, minute: int) -> datetime.datetime:
    zone = datetime.timezone(datetime.timedelta(hours=1))
    return datetime.datetime(2026, 6, 12, hour, minute, tzinfo=zone)


VAGUE = Note(
    observed_at=moment(15, 40),
    recorded_at=moment(15, 42),
    category=Category.OTHER,
    saw_or_heard="Boy about 13, first name Jay, Peckham bus station, asking strangers for a phone.",
    subjects=(Subject(given_names="Jay", approximate_age=13.0, sex=Sex.MALE),),
)
FULL = Note(
    observed_at=moment(8, 5),
    recorded_at=moment(8, 31),
    category=Category.MISSING,
    other_categories=(Category.COUNTY_LINES, Category.KNIFE),
    saw_or_heard="Not in school since Monday. A new phone and cash.\nHis sister cried.",
    assessment="Third absence this term; I fear that he is carrying for somebody.",
    voice_of_child="\u201cThey said my mum would get hurt.\u201d",
    demeanour="Frightened, would not look up",
    child_seen=ChildSeen.SEEN_ALONE,
    danger_now=True,
    action_taken="Told the school's safeguarding lead at 08:20.",
    found_at=Place(latitude=51.4700125, longitude=-0.0683, accuracy_m=12.5, place="Rye Lane"),
    missing=MissingEpisode(hours=73.5, risk_level=RiskLevel.HIGH, returned=False),
    exploitation_indicator=True,
    subjects=(
        Subject(
            given_names="Oluwaseun \u00ccd\u00f2w\u00fa",
            family_name="Ad\u00e9\u1ecdla-O\u2019Brien",
            aliases=("Shay", "\u0634\u064a"),
            date_of_birth=datetime.date(2012, 2, 29),
            address="Flat 3, 12 Rye Lane",
            postcode="SE15 4ST",
            school="Harris Academy",
            phone="+447700900123",
            guardian="Funmi Ad\u00e9\u1ecdla",
            upn="A801200001001",
        ),
        Subject(given_names="\u8033\u6771", description="\U0001f9e2 red cap"),
    ),
)


def frozen(seq: int, kind: Kind, body: Body, blobs: tuple[str, ...] = ()) -> bytes:
    return freeze(
        device=DEVICE, epoch=EPOCH, seq=seq, user=USER, kind=kind, entity_id=NOTE_ID, body=body, blobs=blobs
    )


OPS: list[tuple[str, bytes]] = [
    ("a vague note is valid", frozen(1, Kind.NOTE_WRITE, VAGUE)),
    ("a full note, several scripts", frozen(2, Kind.NOTE_WRITE, FULL, (digest(b"photograph"),))),
    (
        "an amendment that replaces how the note reads",
        frozen(
            3,
            Kind.NOTE_AMEND,
            Amendment(recorded_at=moment(9, 0), reason="Name spelt", text="Jaye", note=VAGUE),
        ),
    ),
    (
        "a withdrawal",
        frozen(4, Kind.NOTE_WITHDRAW, Withdrawal(recorded_at=moment(9, 1), reason="Wrong child")),
    ),
]


def ops() -> list[Vectors]:
    found = []
    for name, line in OPS:
        envelope = parse_envelope(line)
        found.append(
            {
                "name": name,
                "line": line.decode(),
                "digest": digest(line),
                "body": msgspec.json.decode(bytes(envelope.body)),
                "body_sha256": envelope.body_sha256,
                "seq": envelope.seq,
            }
        )
    return found


def inbox_cases() -> list[Vectors]:
    good = OPS[0][1]
    body = b'{"observed_at":"2026-06-12T15:40:00+01:00"}'

    def with_body(raw: bytes, **fields: Any) -> bytes:
        told = {"device": DEVICE, "epoch": EPOCH, "seq": 9, "user": USER, "schema": 1, "kind": "note.write"}
        told |= {"entity_id": NOTE_ID, "body": msgspec.Raw(raw), "body_sha256": digest(raw)} | fields
        return msgspec.json.encode(told)

    bad_field = msgspec.json.encode(msgspec.to_builtins(VAGUE) | {"colour": "red"})
    latitude = msgspec.json.encode(msgspec.to_builtins(VAGUE) | {"found_at": {"latitude": 900}})
    nul = msgspec.json.encode(msgspec.to_builtins(VAGUE) | {"saw_or_heard": "a\0b"})
    cases: list[tuple[str, bytes, Recorded | None]] = [
        ("new and good", good, None),
        ("the same again", good, Recorded(digest(good), Outcome.APPLIED, None, 1)),
        (
            "the same again, which was set aside the first time",
            with_body(body),
            Recorded(digest(with_body(body)), Outcome.QUARANTINED, Code.BODY_INVALID, None),
        ),
        ("other bytes under a key that is taken", good, Recorded("0" * 64, Outcome.APPLIED, None, 1)),
        (
            "a field the envelope does not know is let pass",
            with_body(msgspec.json.encode(VAGUE), colour="red"),
            None,
        ),
        ("a field the body does not know", with_body(bad_field), None),
        ("a body with too little", with_body(body), None),
        ("a latitude of 900", with_body(latitude), None),
        ("a NUL in a text", with_body(nul), None),
        ("a body that is not what its digest says", with_body(body, body_sha256="0" * 64), None),
        ("a newer schema", with_body(body, schema=2), None),
        ("an unknown kind", with_body(body, kind="note.sing"), None),
        ("somebody else's device", with_body(body, device="another"), None),
        ("a seq of 0", with_body(body, seq=0), None),
        ("a device name with a newline", with_body(body, device=DEVICE + "\n"), None),
        ("not JSON", b"Boy about 13", None),
        ("cut short", good[:-20], None),
        ("not UTF-8", b'{"device": "\xff"}', None),
        ("nested a thousand deep", b"[" * 1000 + b"]" * 1000, None),
    ]
    found = []
    for name, line, recorded in cases:
        arrival = inbox.read_line(0, line, device=DEVICE)
        verdict = inbox.against_ledger(arrival, recorded)
        if verdict is None:
            outcome = Outcome.APPLIED if arrival.fault is None else Outcome.QUARANTINED
            verdict = arrival.verdict(outcome, arrival.fault, 1 if arrival.fault is None else None)
        found.append(
            {
                "name": name,
                "device": DEVICE,
                "line_base64": base64.b64encode(line).decode(),
                "digest": arrival.digest,
                "recorded": None if recorded is None else msgspec.to_builtins(recorded),
                "verdict": msgspec.to_builtins(verdict),
            }
        )
    too_long = OP_BYTES_MAX + 1
    found.append(
        {
            "name": "longer than an op may be (a line of this many spaces)",
            "device": DEVICE,
            "spaces": too_long,
            "digest": digest(b" " * too_long),
            "recorded": None,
            "verdict": msgspec.to_builtins(
                inbox.read_line(0, b" " * too_long, device=DEVICE).verdict(
                    Outcome.QUARANTINED, Code.OP_TOO_LARGE
                )
            ),
        }
    )
    return found


def outbox() -> Vectors:
    entry = Entry(epoch=EPOCH, seq=1, digest="d" * 64, size=10)
    transitions = [
        [state.value, event.value, step(msgspec.structs.replace(entry, state=state), event).state.value]
        for state in State
        for event in Event
    ]
    batch = [
        Entry(epoch=EPOCH, seq=seq, digest=f"{seq}" * 64, size=10, state=State.SENT) for seq in range(1, 8)
    ]
    verdicts = (
        Verdict(epoch=EPOCH, seq=1, v=Outcome.APPLIED, rev=1),
        Verdict(epoch=EPOCH, seq=2, v=Outcome.PARKED, code=Code.WAITS_FOR_NOTE),
        Verdict(
            epoch=EPOCH, seq=3, v=Outcome.QUARANTINED, code=Code.BODY_INVALID, current={"at": "$.category"}
        ),
        Verdict(epoch=EPOCH, seq=4, v=Outcome.DUPLICATE, code="applied", rev=1),
        Verdict(epoch=EPOCH, seq=5, v=Outcome.RETRY),
        Verdict(line=5, v=Outcome.QUARANTINED, code=Code.NOT_AN_OP),
        Verdict(epoch=EPOCH, seq=99, v=Outcome.APPLIED),
    )
    receipt = Receipt(
        key_id="k",
        incarnation="i",
        device=DEVICE,
        received_at=RECEIVED_AT,
        ops=(*((EPOCH, seq, f"{seq}" * 64) for seq in (1, 3, 4, 5)), (EPOCH, 2, "f" * 64)),
    )
    answer = PushAnswer(verdicts=verdicts, epoch=EPOCH, contiguous_through=4, durable_through=4)
    after = on_answer(batch, answer, receipt)
    return {
        "transitions": transitions,
        "answers": [
            {
                "name": "one of each verdict; a receipt that covers some; a verdict nobody asked for; one missing",
                "batch": msgspec.to_builtins(batch),
                "answer": msgspec.to_builtins(answer),
                "receipt": msgspec.to_builtins(receipt),
                "after": msgspec.to_builtins(after),
            }
        ],
        "hellos": _hellos(),
    }


def _hellos() -> list[Vectors]:
    """After a restore all whose bytes are here goes again, whatever is called durable: a copy of the phone may have
    put other bytes under those numbers."""
    states = (State.RECEIPTED, State.SETTLED, State.RECEIPTED, State.SENT, State.RECEIPTED)
    entries = [
        Entry(epoch=EPOCH, seq=seq, digest=f"{seq}" * 64, size=100, state=state, held=seq != 5)
        for seq, state in enumerate(states, start=1)
    ]
    hello = Hello(server_time=RECEIVED_AT, incarnation="second", durable_through={EPOCH: 2})
    return [
        {
            "name": name,
            "entries": msgspec.to_builtins(entries),
            "hello": msgspec.to_builtins(hello),
            "known_incarnation": known,
            "changed": msgspec.to_builtins(on_hello(entries, hello, known)),
        }
        for name, known in (
            ("the server was restored from a backup", "first"),
            ("it was not", "second"),
            ("the first hello of a phone", None),
        )
    ]


def receipt_cases() -> Vectors:
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    receipt = Receipt(
        key_id="test-key",
        incarnation="first",
        device=DEVICE,
        received_at=RECEIVED_AT,
        ops=tuple((EPOCH, seq, digest(line)) for seq, (_, line) in enumerate(OPS, start=1)),
    )
    text = receipts.seal(receipt, key.sign)
    payload, _, signature = text.partition(".")
    forged = base64.urlsafe_b64encode(
        base64.urlsafe_b64decode(payload + "==").replace(b'"test-key"', b'"evil-key"')
    )
    return {
        "private_key_seed_hex": SEED.hex(),
        "public_key": {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode(),
        },
        "good": [{"text": text, "receipt": msgspec.to_builtins(receipt)}],
        "bad": [
            {"name": "empty", "text": ""},
            {"name": "no signature", "text": payload},
            {"name": "an empty signature", "text": payload + "."},
            {"name": "the payload was changed", "text": forged.rstrip(b"=").decode() + "." + signature},
            {"name": "cut short", "text": text[:-9]},
            {"name": "not base64", "text": "*." + signature},
            {"name": "not ASCII", "text": "\u00e9." + signature},
        ],
    }


def holding_cases() -> Vectors:
    rows = [("note", NOTE_ID, 1), ("note", "b", 2), ("child", "\u00fc", 30_000_000_000)]
    sets: list[list[tuple[str, str, int]]] = [[], rows[:1], rows, rows[::-1]]
    pages = [
        PullAnswer(
            changes=(
                Change(bucket="own", kind="note", id="1", rev=1, data={"status": "new"}),
                Change(bucket="own", kind="note", id="2", rev=1, data={"status": "new"}),
                Change(bucket="ward", kind="child", id="9", rev=4, data={}),
            ),
            cursor="c1",
            more=True,
        ),
        PullAnswer(
            changes=(
                Change(bucket="own", kind="note", id="1", rev=3, data={"status": "linked"}),
                Change(bucket="own", kind="note", id="1", rev=2, data={"status": "late news"}),
                Change(
                    bucket="own",
                    kind="note",
                    id="2",
                    rev=1,
                    op=ChangeOp.REMOVE,
                    reason=RemoveReason.LEFT_SCOPE,
                ),
            ),
            buckets_removed=("ward",),
            cursor="c2",
            more=False,
        ),
        PullAnswer(
            changes=(Change(bucket="own", kind="note", id="7", rev=1, data={}),),
            cursor="c3",
            more=False,
            resync=Resync(reason="restored", cursor="c3"),
        ),
        PullAnswer(
            changes=(
                Change(
                    bucket="own",
                    kind="decision",
                    id="aside:7",
                    rev=1,
                    data={
                        "sha256": digest(b"{broken"),
                        "decision": "refused",
                        "reason": "Please write it anew",
                        "decided_at": RECEIVED_AT + 60_000,
                        "received_at": RECEIVED_AT,
                        "phone": "phone 3",
                    },
                ),
            ),
            cursor="c4",
            more=False,
        ),
    ]
    held: holdings.Holdings = {}
    steps = []
    for page in pages:
        held = holdings.apply_page(held, page)
        steps.append(
            {
                "page": msgspec.to_builtins(page),
                "after": {
                    bucket: sorted([kind, row_id, row.rev, row.data] for (kind, row_id), row in kept.items())
                    for bucket, kept in held.items()
                },
                "checksums": {
                    bucket: holdings.checksum((kind, row_id, row.rev) for (kind, row_id), row in kept.items())
                    for bucket, kept in held.items()
                },
            }
        )
    return {
        "checksums": [
            {"rows": [list(row) for row in one], "checksum": holdings.checksum(one)} for one in sets
        ],
        "pages": steps,
    }


def phrase_cases() -> list[Vectors]:
    texts = [
        "",
        "She told me that she is afraid.",
        "He is streetwise, StreetWise and STREETWISE.",
        "\u0130\u0130 a lifestyle\n choice \U0001f9e2 of an absconder",
        "promiscuous promiscuous",
    ]
    return [{"text": text, "found": [list(one) for one in phrases_to_reconsider(text)]} for text in texts]


FILES: dict[str, Callable[[], Any]] = {
    "ops.json": ops,
    "inbox.json": inbox_cases,
    "outbox.json": outbox,
    "receipts.json": receipt_cases,
    "holdings.json": holding_cases,
    "phrases.json": phrase_cases,
}


def content(name: str) -> bytes:
    """The bytes of one file of vectors."""
    return msgspec.json.format(msgspec.json.encode(FILES[name]()), indent=1) + b"\n"


if __name__ == "__main__":
    for name in FILES:
        (FOLDER / name).write_bytes(content(name))
        print(f"{name}: {(FOLDER / name).stat().st_size} bytes")
