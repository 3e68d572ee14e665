"""What is left of uploads that are over goes, and nothing else."""

from __future__ import annotations

import asyncio

import time_machine

from server.clock import now_ms
from server.jobs import uploads
from tests.attachments.kit import begin, head, parts, photograph, send, stored, upload
from tests.http.conftest import client, phone, settings
from tests.http.kit import Client, Phone, services_of

__all__ = ["client", "phone", "settings"]


def test_the_parts_of_uploads_that_are_over_are_removed(client: Client, phone: Phone) -> None:
    services = services_of(client)
    data = photograph()
    kept = upload(phone, data)
    old, young = begin(phone, 1000), begin(phone, 1000)
    send(phone, old, 0, data[:100])
    hours = services.settings.attachment_upload_hours
    with time_machine.travel(now_ms() / 1000 + hours * 3600 - 60, tick=True):
        phone.ask_token()
        send(phone, young, 0, data[:100])
    (services.settings.attachments / "parts" / "of-nobody").write_bytes(b"left by a crash")
    assert len(parts(client)) == 3
    later = now_ms() + hours * 3_600_000 + 60_000
    assert asyncio.run(uploads.tidy(services.store, services.blobs, later)) == 2
    assert parts(client) == [young.rsplit("/", 1)[1]]
    assert stored(client, kept) == data
    phone.ask_token()
    assert head(phone, old).status_code == 410
    assert head(phone, young).headers["upload-offset"] == "100"
