"""The application, a desk and a phone, as tests of doors have them."""

from __future__ import annotations

from tests.http.conftest import client, desk, phone, settings

__all__ = ["client", "desk", "phone", "settings"]
