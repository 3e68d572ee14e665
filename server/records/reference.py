"""Reference data that every process keeps in memory: boundaries, counts of names, and when they changed."""

import secrets

from server.audit import impersonal
from server.casework.areas import Area
from server.storage.port import Transaction

GENERATION = "reference.generation"
INCARNATION = "incarnation"


@impersonal("a number")
def generation(tx: Transaction) -> int:
    """Counts the changes of reference data; a process whose copy is of another generation loads it anew."""
    stored = tx.value("SELECT value FROM server_state WHERE name = :name", {"name": GENERATION})
    return int(bytes(stored)) if stored is not None else 0


@impersonal("a number")
def changed(tx: Transaction) -> None:
    """Say that reference data changed. Call it in the transaction that changes them."""
    _set(tx, GENERATION, str(generation(tx) + 1).encode())


@impersonal("an id of the database itself")
def incarnation(tx: Transaction) -> str:
    """The id of this database's life: made when it is first used, and anew after a restore."""
    stored = tx.value("SELECT value FROM server_state WHERE name = :name", {"name": INCARNATION})
    if stored is not None:
        return bytes(stored).decode()
    made = secrets.token_hex(8)
    tx.lock(INCARNATION)
    tx.execute(
        "INSERT INTO server_state (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING",
        {"name": INCARNATION, "value": made.encode()},
    )
    return bytes(
        tx.value("SELECT value FROM server_state WHERE name = :name", {"name": INCARNATION})
    ).decode()


@impersonal("an id of the database itself")
def begin_new_life(tx: Transaction) -> str:
    """Give the database another incarnation: phones then send again what it may lack. The new id."""
    tx.execute("DELETE FROM server_state WHERE name = :name", {"name": INCARNATION})
    return incarnation(tx)


@impersonal("boundaries of boroughs")
def replace_areas(tx: Transaction, areas: list[Area], *, now: int) -> None:
    """Put these areas in the place of all there were."""
    tx.execute("DELETE FROM area")
    tx.executemany(
        "INSERT INTO area (code, name, boundary, loaded_at) VALUES (:code, :name, :boundary, :now)",
        [{"code": area.code, "name": area.name, "boundary": area.wkb, "now": now} for area in areas],
    )
    changed(tx)


@impersonal("boundaries of boroughs")
def areas(tx: Transaction) -> list[tuple[str, str, bytes]]:
    """(code, name, boundary as WKB) of every area."""
    return [
        (code, name, bytes(boundary))
        for code, name, boundary in tx.rows("SELECT code, name, boundary FROM area ORDER BY code")
    ]


def _set(tx: Transaction, name: str, value: bytes) -> None:
    tx.execute(
        "INSERT INTO server_state (name, value) VALUES (:name, :value)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        {"name": name, "value": value},
    )
