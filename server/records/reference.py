"""Reference data that every process keeps in memory: boundaries, counts of names, and when they changed."""

import secrets
from collections.abc import Callable

from server.audit import impersonal
from server.casework.areas import Area
from server.storage.port import Transaction

GENERATION = "reference.generation"
INCARNATION = "incarnation"

ALWAYS = 0
"""Since when boundaries hold that were loaded without a day."""


@impersonal("a number")
def generation(tx: Transaction) -> int:
    """Counts the changes of reference data; a process whose copy is of another generation loads it anew."""
    stored = tx.value("SELECT value FROM server_state WHERE name = :name", {"name": GENERATION})
    return int(bytes(stored)) if stored is not None else 0


@impersonal("a number")
def changed(tx: Transaction) -> None:
    """Say that reference data changed. Call it in the transaction that changes them."""
    _set(tx, GENERATION, str(generation(tx) + 1).encode())


def _new_id() -> str:
    return secrets.token_hex(8)


@impersonal("an id of the database itself")
def incarnation(tx: Transaction, new_id: Callable[[], str] = _new_id) -> str:
    """The id of this database's life: made when it is first used, and anew after a restore.

    `new_id` makes one that no other life has; a simulation brings its own.
    """
    stored = tx.value("SELECT value FROM server_state WHERE name = :name", {"name": INCARNATION})
    if stored is not None:
        return bytes(stored).decode()
    made = new_id()
    tx.lock(INCARNATION)
    tx.execute(
        "INSERT INTO server_state (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING",
        {"name": INCARNATION, "value": made.encode()},
    )
    return bytes(
        tx.value("SELECT value FROM server_state WHERE name = :name", {"name": INCARNATION})
    ).decode()


@impersonal("an id of the database itself")
def begin_new_life(tx: Transaction, new_id: Callable[[], str] = _new_id) -> str:
    """Give the database another incarnation: phones then send again what it may lack. The new id."""
    tx.execute("DELETE FROM server_state WHERE name = :name", {"name": INCARNATION})
    return incarnation(tx, new_id)


@impersonal("boundaries of boroughs")
def replace_areas(tx: Transaction, areas: list[Area], *, now: int, valid_from: int | None = None) -> None:
    """Put these areas in the place of all there were, or with `valid_from` (milliseconds) of those that came
    into force then: the others stay, for notes that were observed before or after."""
    tx.execute(
        "DELETE FROM area WHERE :always = 1 OR valid_from = :since",
        {"always": int(valid_from is None), "since": ALWAYS if valid_from is None else valid_from},
    )
    tx.executemany(
        "INSERT INTO area (valid_from, code, name, boundary, loaded_at)"
        " VALUES (:since, :code, :name, :boundary, :now)",
        [
            {
                "since": ALWAYS if valid_from is None else valid_from,
                "code": area.code,
                "name": area.name,
                "boundary": area.wkb,
                "now": now,
            }
            for area in areas
        ],
    )
    changed(tx)


@impersonal("boundaries of boroughs")
def areas(tx: Transaction) -> dict[int, list[tuple[str, str, bytes]]]:
    """(code, name, boundary as WKB) of every area, by when they came into force."""
    found: dict[int, list[tuple[str, str, bytes]]] = {}
    for since, code, name, boundary in tx.rows(
        "SELECT valid_from, code, name, boundary FROM area ORDER BY valid_from, code"
    ):
        found.setdefault(since, []).append((code, name, bytes(boundary)))
    return found


def _set(tx: Transaction, name: str, value: bytes) -> None:
    tx.execute(
        "INSERT INTO server_state (name, value) VALUES (:name, :value)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        {"name": name, "value": value},
    )
