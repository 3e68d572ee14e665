"""Two servers on one PostgreSQL, and a PostgreSQL that fails in the middle of commits (invariants 1, 2, 3, 15, 17)."""

from __future__ import annotations

import datetime
import random
import threading
import uuid
from collections.abc import Iterator

import psycopg
import pytest

from server.storage import StorageUnavailable, open_store
from sync.envelope import join_lines
from sync.note import Note, Subject
from sync.operations import Kind, freeze
from sync.vocabulary import Category
from tests.bench.setting import Phone
from tests.faults.cluster import STANDBY, Cluster, address, clusters
from tests.faults.two_servers import Progress, Work, prepare, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SEED = 20261126
STRANGERS = 12


@pytest.fixture
def cluster(postgres_folder: str) -> Iterator[Cluster]:
    """A PostgreSQL of one's own (`postgres_folder` skips where there is none)."""
    with clusters(1) as (one,):
        one.initialise()
        one.start()
        yield one


def test_invariant_17_phones_that_retry_with_two_servers_end_with_one_note_and_one_child(
    cluster: Cluster,
) -> None:
    database = address(cluster)
    phones, _ = prepare(database, 8, 0, 1)
    work = strangers_met(phones)
    found, progress = run(database, work, phones, lambda _progress: None)
    assert found.is_whole, found
    assert found.provisional == STRANGERS, "one child was made twice"
    assert all("applied" in verdicts for verdicts in progress.verdicts.values())


def strangers_met(phones: list[Phone]) -> Work:
    """Every phone meets the same strangers in the same order, so that they meet them at the same instant."""
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    names = ["Haruto Ishikawa", "Zofia Wisniewska", "Ebony Prichard", "Tomasz Kowalczyk", "Leila Farahani",
             "Kwabena Asante", "Siobhan Gallagher", "Mateus Carvalho", "Anh Nguyen", "Ruby Featherstone",
             "Yusuf Demirci", "Oluwaseun Adeyemi"]  # fmt: skip
    at = datetime.datetime.now(datetime.UTC)
    work = []
    for seq, name in enumerate(names[:STRANGERS], start=1):
        for place, phone in enumerate(phones):
            note = Note(
                observed_at=at, recorded_at=at, category=Category.NEGLECT, saw_or_heard="Alone at the bus stop",
                subjects=(told_by(place, seq, name),),
            )  # fmt: skip
            line = freeze(
                device=phone.device_id, epoch="met", seq=seq, user=phone.username, kind=Kind.NOTE_WRITE,
                entity_id=str(uuid.UUID(int=rng.getrandbits(128), version=4)), body=note,
            )  # fmt: skip
            work.append((phone, join_lines([line])))
    return work


def told_by(place: int, number: int, name: str) -> Subject:
    """A stranger as this phone's officer writes of them: no two in one way, and none under all keys of another."""
    given, family = name.split()
    return Subject(
        given_names=given.upper() if place % 2 else given,
        family_name=family.lower() if place % 3 else family,
        date_of_birth=datetime.date(2007 + number % 8, number, 1 + 2 * number),
        postcode=f"N{number}{'' if place % 2 else ' '}2HT",
        address=None if place % 4 == 1 else f"{9 + number} Mill Lane",
        school="Mill Lane Academy" if place % 4 == 2 else None,
        phone=f"0770090{number:02}{place:02}" if place % 4 == 3 else None,
    )


def test_postgres_killed_in_mid_commit_loses_nothing_acknowledged_and_all_drains(cluster: Cluster) -> None:
    database = address(cluster)
    phones, work = prepare(database, 8, 1_200, 10)
    rng = random.Random(SEED)
    print(f"seed {SEED}")

    def befall(progress: Progress) -> None:
        for round_, fall in enumerate((cluster.stop_immediately, cluster.kill, cluster.stop_immediately)):
            assert progress.wait_for(150 + 300 * round_ + rng.randrange(50))
            fall()
            cluster.start()

    found, _ = run(database, work, phones, befall)
    assert found.is_whole, found
    assert found.refused > 0, "PostgreSQL was never missed: the run proves nothing"


@pytest.fixture
def pair(postgres_folder: str) -> Iterator[tuple[Cluster, Cluster]]:
    """A primary and a standby that it waits for."""
    with clusters(2, wal_level="replica") as (one, other):
        one.initialise()
        one.start()
        other.copy_of(one)
        other.start()
        # Set on the primary alone: the standby, once promoted, has nobody to wait for until it gets one.
        with psycopg.connect(address(one), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'".encode())
            connection.execute("SELECT pg_reload_conf()")
        yield one, other


def test_a_standby_that_is_promoted_has_every_acknowledged_note(pair: tuple[Cluster, Cluster]) -> None:
    primary, standby = pair
    # The servers are told both, and use the one that takes writes.
    database = address(primary, standby)
    phones, work = prepare(database, 8, 1_200, 10)
    at_promotion: list[set[tuple[str, int]]] = []

    def befall(progress: Progress) -> None:
        assert progress.wait_for(400)
        primary.kill()
        at_promotion.append(set(progress.acknowledged))
        with psycopg.connect(address(standby).replace("read-write", "any")) as connection:
            held = connection.execute(
                "SELECT s.device_id::text, o.seq FROM op o JOIN op_stream s ON s.stream_id = o.stream_id"
            ).fetchall()
        at_promotion.append(set(held))
        standby.promote()

    found, _ = run(database, work, phones, befall)
    acknowledged, held = at_promotion
    assert len(acknowledged) >= 400
    assert acknowledged <= held, f"{len(acknowledged - held)} acknowledged notes were lost"
    assert found.is_whole, found
    assert found.refused > 0


def test_a_commit_whose_wait_for_the_standby_was_cancelled_is_not_acknowledged(cluster: Cluster) -> None:
    """PostgreSQL calls such a commit a success and only warns that it may not be replicated."""
    store = open_store(address(cluster))
    store.migrate()
    outcome: list[BaseException | None] = []

    def write(name: str) -> None:
        try:
            store.write_now(
                lambda tx: tx.execute(
                    "INSERT INTO server_state (name, value) VALUES (:name, :v) ON CONFLICT (name) DO NOTHING",
                    {"name": name, "v": b"1"},
                )
            )
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)

    def waits(connection: psycopg.Connection, name: str) -> bool:
        """Write, and cancel the wait for the standby, if it comes to that."""
        thread, waited = threading.Thread(target=write, args=(name,)), False
        thread.start()
        while thread.is_alive():
            cancelled = connection.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            )
            waited = bool(cancelled.fetchall()) or waited
            thread.join(0.02)
        return waited

    with psycopg.connect(address(cluster), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        connection.execute("SELECT pg_reload_conf()")
        tries = 0
        # The server reads its configuration anew in its own time: until then a commit waits for nobody.
        while not waits(connection, f"x{tries}"):
            assert outcome == [None]
            outcome.clear()
            tries += 1
        waits(connection, f"x{tries}")  # again, when it finds the row there and writes nothing
        connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        connection.execute("SELECT pg_reload_conf()")
    store.close_now()
    assert [type(one) for one in outcome] == [StorageUnavailable, StorageUnavailable], outcome
