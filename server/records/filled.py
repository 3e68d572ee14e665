"""How many cells of each column a registry's file filled at the last import: what the next one is held against."""

from collections.abc import Mapping

import msgspec

from server.audit import impersonal
from server.storage.port import Transaction

_decode = msgspec.json.Decoder(dict[str, int]).decode


@impersonal("names of columns and counts of cells")
def keep(tx: Transaction, run_id: int, cells: Mapping[str, int]) -> None:
    """Put on record what the file of an import filled."""
    tx.execute(
        "UPDATE import_run SET filled = :cells WHERE run_id = :run",
        {"cells": msgspec.json.encode(cells).decode(), "run": run_id},
    )


@impersonal("names of columns and counts of cells")
def at_last_import(tx: Transaction) -> dict[str, int]:
    """By column; empty where none has been imported to its end."""
    cells = tx.value(
        "SELECT filled FROM import_run WHERE ended_at IS NOT NULL AND filled IS NOT NULL ORDER BY run_id DESC LIMIT 1"
    )
    return {} if cells is None else _decode(cells)
