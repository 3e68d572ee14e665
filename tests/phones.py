"""Officers with a phone that the server knows, for tests of what it records about phones."""

from __future__ import annotations

import uuid
from typing import Any

from server.access import people
from tests.road import LAMBETH, REGISTRY, Officer, Road


def enrolled(road: Road, username: str, borough: str | None = LAMBETH, **changes: Any) -> Officer:
    """An officer of that name, stored as a person, with a phone of theirs stored as enrolled."""
    officer = road.officer(username, borough, **changes)

    def add(tx: Any) -> None:
        found = people.find(tx, username)
        person_id = found.person_id if found else people.add(
            tx, username=username, name=officer.identity.officer_name, role="ward_officer",
            borough=borough, unit=None, password_hash="!", must_change=False, actor=REGISTRY, now=road.now,
        )  # fmt: skip
        tx.execute(
            "INSERT INTO device (device_id, thumbprint, public_key, person, name, ward, borough, role,"
            " status, enrolled_at) VALUES (:id, :print, '{}', :person, 'phone', :ward, :borough,"
            " 'ward_officer', 'active', :now)",
            {
                "id": officer.identity.device_id,
                "print": uuid.uuid4().hex,
                "person": person_id,
                "ward": officer.identity.ward,
                "borough": borough,
                "now": road.now,
            },
        )

    road.store.write_now(add)
    return officer
