"""Nothing that is asked all day reads a table that grows for ever from end to end.

The statements of a note, an amendment, a pull, the queue, a child's page, search and the lists are gathered as they
run, and SQLite is asked how it would look for their rows. What waits is bounded and may be read whole; what is stored
may not. `python -m tests.bench.slope` measures what this test reasons about.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from server import pulling, searching
from server.alerts.presets import load_presets
from server.audit import Actor
from server.checkpoints import Totals
from server.jobs import escalation
from server.linkage.asking import understand
from server.records import absences, dead_letters
from server.storage.sqlite_transaction import SqliteTransaction
from sync.cursor import Cursor
from tests.alerts.ways import Way
from tests.console.kit import Browser
from tests.http.kit import Client, add_person, services_of
from tests.phones import enrolled
from tests.road import AMARA, POLICY, Road, somebody, spread_all

GROW_FOR_EVER = frozenset((
    "op", "note", "subject", "link_event", "review", "child", "child_key", "child_borough", "flag", "flag_note",
    "alert", "alert_copy", "alert_flag", "alert_event", "delivery", "change", "audit_entry", "audit_subject",
    "search_posting", "search_child", "amendment", "merge_event", "note_attachment", "attachment",
    "attachment_source", "holding",
))  # fmt: skip
OF_WHAT_WAITS = frozenset(
    ("review_queue", "quarantine_waiting", "alert_escalation", "delivery_due", "delivery_dead")
)
"""Indexes that hold only what waits."""
SYSTEM = Actor("system", "tests")
PAGES = ("/alerts", "/alerts?view=mine", "/alerts?view=nobody", "/alerts?borough=E09000022", "/reviews", "/pairs",
         "/search", "/transfers", "/coming-to-notice", "/api/alerts", "/api/reviews")  # fmt: skip
SUPERVISORS_PAGES = ("/alerts", "/overview", "/health/ready")


class Statements:
    """What SQLite was asked, each text once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts: dict[str, None] = {}
        for name in ("execute", "executemany", "rows", "row", "value", "insert"):
            monkeypatch.setattr(SqliteTransaction, name, self._noting(getattr(SqliteTransaction, name)))

    def _noting(self, real: Any) -> Any:
        def noting(tx: SqliteTransaction, sql: str, *more: Any, **named: Any) -> Any:
            self.texts[sql] = None
            return real(tx, sql, *more, **named)

        return noting


def whole_reads(connection: sqlite3.Connection, sql: str) -> Iterator[str]:
    """What of a statement reads a growing table from end to end, in SQLite's words."""
    names = dict(re.findall(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)(?:\s+(?:AS\s+)?([a-z]\w*))?", sql))
    tables = {alias or table: table for table, alias in names.items()} | {table: table for table in names}
    marks = dict.fromkeys(re.findall(r":(\w+)", sql))
    for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", marks):
        found = re.match(r"SCAN (?:TABLE )?(\w+)(?:.*USING (?:COVERING )?INDEX (\w+))?", step)
        # A walk along an index or the keys that ends after the first rows is no reading of the whole.
        ends_soon = "LIMIT" in sql and "WHERE" not in sql.replace("WHERE 1=1", "")
        grows = found and tables.get(found[1], found[1]) in GROW_FOR_EVER and found[2] not in OF_WHAT_WAITS
        if grows and not ends_soon:
            yield f"{step}: {' '.join(sql.split())[:300]}"


def _searching(road: Road, typed: str) -> Any:
    model, person = road.store.read_now(road.worlds.current).decider.model, somebody()
    return lambda tx: searching.search_for(tx, model, person, understand(typed), now=road.now)


def test_what_is_asked_all_day_looks_where_it_must(
    client: Client, road: Road, rivera: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    hale = Browser(client, add_person(client, "hale", role="supervisor"))
    statements = Statements(monkeypatch)
    officer = enrolled(road, "okafor")
    note_id, line = officer.note(AMARA)
    officer.push(line)
    officer.push(officer.amendment(note_id))
    officer.push(officer.note(AMARA)[1])
    for path in PAGES:
        assert rivera.get(path).status_code == 200, path
    child = road.store.read_now(lambda tx: tx.value("SELECT MAX(child_id) FROM subject"))
    assert rivera.get(f"/children/{child}").status_code == 200
    for path in SUPERVISORS_PAGES:
        assert hale.get(path).status_code == 200, path
    for typed in ("amara okoye 2013", "ending 900123", "E1 4AA"):
        road.store.read_now(_searching(road, typed))
    here = Cursor("", f"notes:{officer.identity.username}", 0, 0)
    road.store.read_now(
        lambda tx: pulling.page(tx, officer.identity, None, here, (), 500, now=road.now, totals=Totals())
    )
    road.store.read_now(lambda tx: dead_letters.health(tx, ("push",), now=road.now))
    road.store.write_now(lambda tx: spread_all(tx, POLICY, load_presets(), [Way("push")], now=road.now))
    road.store.write_now(lambda tx: absences.pass_on(tx, SYSTEM, POLICY, road.pack, now=road.now))
    road.store.write_now(lambda tx: escalation.run(tx, road.now, road.worlds.current(tx)))
    asked = list(statements.texts)
    assert len(asked) > 100
    monkeypatch.undo()
    with closing(sqlite3.connect(services_of(client).settings.sqlite_path)) as connection:
        found = [one for sql in asked if sql.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "WITH"))
                 for one in whole_reads(connection, sql)]  # fmt: skip
    assert not found, "\n".join(found)
