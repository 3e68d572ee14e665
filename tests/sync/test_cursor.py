"""Cursors: opaque, authenticated, and never anything but a cursor or a CursorError."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.cursor import Cursor, CursorError, _tag, open_sealed, seal

KEY = b"k" * 32

cursors = st.builds(
    Cursor,
    incarnation=st.text(max_size=20),
    scope_version=st.text(max_size=40),
    xid=st.integers(0, 2**63 - 1),
    seq=st.integers(0, 2**63 - 1),
)


@given(cursors)
def test_a_cursor_is_read_back_and_fits_the_wire(cursor: Cursor) -> None:
    text = seal(cursor, KEY)
    assert open_sealed(text, KEY) == cursor
    assert text.isascii() and len(text) <= 1000


@given(cursors)
def test_another_servers_cursor_is_refused(cursor: Cursor) -> None:
    with pytest.raises(CursorError):
        open_sealed(seal(cursor, b"x" * 32), KEY)


@given(cursors, st.data())
def test_a_forged_or_cut_cursor_raises_only_cursor_error_or_is_the_same(
    cursor: Cursor, data: st.DataObject
) -> None:
    text = seal(cursor, KEY)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = data.draw(st.sampled_from([text[:at], text[:at] + data.draw(st.characters()) + text[at + 1 :]]))
    with contextlib.suppress(CursorError):
        assert open_sealed(changed, KEY) == cursor


@given(st.text(max_size=100))
def test_arbitrary_text_raises_only_cursor_error(text: str) -> None:
    with pytest.raises(CursorError):
        open_sealed(text, KEY)


@pytest.mark.parametrize(
    "shape", [{}, [], ["i"], ["i", "s", 1, "x"], ["i", "s", 1, 2.5], None, 7, {"xid": 1}]
)
def test_a_cursor_of_another_version_of_the_server_raises_cursor_error(shape: Any) -> None:
    payload = msgspec.json.encode(shape)
    text = base64.urlsafe_b64encode(_tag(payload, KEY) + payload).rstrip(b"=").decode()
    with pytest.raises(CursorError):
        open_sealed(text, KEY)


def test_bytes_that_are_no_text_raise_cursor_error() -> None:
    for payload in (b"\xff\xfe", b"", b'["\xff","s",1,2]'):
        text = base64.urlsafe_b64encode(_tag(payload, KEY) + payload).decode()
        with pytest.raises(CursorError):
            open_sealed(text, KEY)
