"""The golden vectors hold byte for byte, and the files say what this code does."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from client_stub import keys
from sync import holdings, inbox, receipts
from sync.envelope import Hello, PullAnswer, PushAnswer
from sync.holdings import Holdings
from sync.operations import digest, freeze, parse_body, parse_envelope
from sync.outbox import Entry, Event, State, on_answer, on_hello, step
from sync.receipts import Receipt, ReceiptError
from tests.vectors.make import FILES, FOLDER, content


def load(name: str) -> Any:
    return msgspec.json.decode((FOLDER / name).read_bytes())


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / name).read_bytes() == content(name), (
        "run python -m tests.vectors.make only if you mean it"
    )


def test_no_file_of_vectors_is_left_behind() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == set(FILES)


def test_ops_freeze_to_their_lines() -> None:
    for case in load("ops.json"):
        line = case["line"].encode()
        envelope = parse_envelope(line)
        arrival = inbox.read_line(0, line, device=envelope.device)
        assert digest(line) == case["digest"] and arrival.fault is None and arrival.kind is not None
        again = freeze(
            device=envelope.device, epoch=envelope.epoch, seq=case["seq"], user=envelope.user, kind=arrival.kind,
            entity_id=envelope.entity_id, body=parse_body(arrival.kind, msgspec.json.encode(case["body"])),
            blobs=envelope.blobs,
        )  # fmt: skip
        assert again == line


def test_lines_get_their_verdicts() -> None:
    for case in load("inbox.json"):
        line = b" " * case["spaces"] if "spaces" in case else base64.b64decode(case["line_base64"])
        arrival = inbox.read_line(0, line, device=case["device"])
        assert arrival.digest == case["digest"]
        recorded = None if case["recorded"] is None else msgspec.convert(case["recorded"], inbox.Recorded)
        verdict = inbox.against_ledger(arrival, recorded)
        told = case["verdict"]
        if verdict is not None:
            assert msgspec.to_builtins(verdict) == told, case["name"]
        else:
            assert (told["v"], told.get("code")) == (
                ("applied", None) if arrival.fault is None else ("quarantined", arrival.fault.value)
            ), case["name"]


def test_the_outbox_moves_as_written() -> None:
    told = load("outbox.json")
    one = Entry(epoch="e", seq=1, digest="d", size=1)
    assert len(told["transitions"]) == len(State) * len(Event)
    for before, event, after in told["transitions"]:
        moved = step(msgspec.structs.replace(one, state=State(before)), Event(event))
        assert moved.state == after
    for case in told["answers"]:
        batch = [msgspec.convert(entry, Entry) for entry in case["batch"]]
        answer, receipt = (
            msgspec.convert(case["answer"], PushAnswer),
            msgspec.convert(case["receipt"], Receipt),
        )
        assert on_answer(batch, answer, receipt) == [msgspec.convert(entry, Entry) for entry in case["after"]]
    for case in told["hellos"]:
        entries = [msgspec.convert(entry, Entry) for entry in case["entries"]]
        changed = on_hello(entries, msgspec.convert(case["hello"], Hello), case["known_incarnation"])
        assert changed == [msgspec.convert(entry, Entry) for entry in case["changed"]], case["name"]


def test_receipts_are_believed_or_not_as_written() -> None:
    told = load("receipts.json")
    verify = keys.receipt_verifier(keys.ServerKey(kid="test-key", x=told["public_key"]["x"]))
    for case in told["good"]:
        assert receipts.open_sealed(case["text"], verify) == msgspec.convert(case["receipt"], Receipt)
    for case in told["bad"]:
        with pytest.raises(ReceiptError):
            receipts.open_sealed(case["text"], verify)


def test_pages_and_checksums_are_as_written() -> None:
    told = load("holdings.json")
    for case in told["checksums"]:
        assert holdings.checksum([tuple(row) for row in case["rows"]]) == case["checksum"]
    held: Holdings = {}
    for case in told["pages"]:
        held = holdings.apply_page(held, msgspec.convert(case["page"], PullAnswer))
        assert {bucket: len(rows) for bucket, rows in held.items()} == {
            bucket: len(rows) for bucket, rows in case["after"].items()
        }
        for bucket, rows in held.items():
            told_sum = holdings.checksum((kind, row_id, row.rev) for (kind, row_id), row in rows.items())
            assert told_sum == case["checksums"][bucket]
