"""Receipts: what was signed is read, and nothing else ever is."""

from __future__ import annotations

import base64
import contextlib

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sync.receipts import Receipt, ReceiptError, open_sealed, seal
from tests.sync.strategies import identifiers, sha256s

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)

made_receipts = st.builds(
    Receipt,
    key_id=st.text(max_size=10),
    incarnation=identifiers,
    device=identifiers,
    received_at=st.integers(0, 2**53),
    ops=st.lists(st.tuples(identifiers, st.integers(0, 2**53 - 1), sha256s), max_size=4).map(tuple),
)


def verify(payload: bytes, signature: bytes) -> bool:
    try:
        KEY.public_key().verify(signature, payload)
    except InvalidSignature:
        return False
    return True


@given(made_receipts)
def test_what_was_sealed_is_read_back(receipt: Receipt) -> None:
    assert open_sealed(seal(receipt, KEY.sign), verify) == receipt


@given(made_receipts)
def test_a_signature_of_another_key_is_refused(receipt: Receipt) -> None:
    with pytest.raises(ReceiptError, match="does not match"):
        open_sealed(seal(receipt, OTHER.sign), verify)


@given(made_receipts, st.data())
def test_a_receipt_with_a_character_changed_or_cut_raises_its_own_error_or_says_the_same(
    receipt: Receipt, data: st.DataObject
) -> None:
    text = seal(receipt, KEY.sign)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = data.draw(st.sampled_from([text[:at], text[:at] + data.draw(st.characters()) + text[at + 1 :]]))
    with contextlib.suppress(ReceiptError):
        # The last bits of a base64 text carry nothing: such a change is no change.
        assert open_sealed(changed, verify) == receipt


@given(st.text(max_size=80))
def test_arbitrary_text_raises_only_its_own_error(text: str) -> None:
    for candidate in (text, text + ".", "." + text, text + "." + text):
        with pytest.raises(ReceiptError):
            open_sealed(candidate, verify)


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"\xff", b"[" * 3000])
def test_a_good_signature_over_something_else_raises_its_own_error(payload: bytes) -> None:
    def text(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    with pytest.raises(ReceiptError):
        open_sealed(f"{text(payload)}.{text(KEY.sign(payload))}", verify)


@given(made_receipts)
def test_the_same_receipt_is_the_same_text(receipt: Receipt) -> None:
    copy = msgspec.json.decode(msgspec.json.encode(receipt), type=Receipt)
    assert seal(copy, KEY.sign) == seal(receipt, KEY.sign)
