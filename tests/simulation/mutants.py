"""The product broken on purpose, each in one way that somebody could break it by mistake.

A mutant is applied in the block and gone after it. `test_mutants.py` proves that each is seen, and by what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

import msgspec

import sync.inbox
from client_stub import lending as phone_lending
from client_stub import syncing
from client_stub.conversation import Stopped
from client_stub.lending import Lending as PhoneLending
from client_stub.store import Store as PhoneStore
from server import intake, pulling
from server.checkpoints import Totals
from server.http import sync as doors
from server.jobs import backup
from server.records import (
    briefing,
    changes,
    decisions,
    leases,
    ledger,
    own_notes,
    reference,
    standstill,
    who_is_who,
)
from server.records.changes import Heard
from server.storage import StorageUnavailable
from server.storage.bookkeeping import Savepoint
from server.storage.postgres_transaction import PostgresTransaction
from server.storage.writer import Writer
from sync import cursor, operations, outbox, receipts
from sync.envelope import Code, Outcome, PushAnswer, Verdict, split_lines
from sync.operations import digest

Break = Callable[[], AbstractContextManager[Any]]


class Mutant(msgspec.Struct, frozen=True):
    """`breaks`: the invariant that no longer holds. `story`: the script that shows it, where seeds seldom do."""

    name: str
    breaks: int
    applied: Break
    story: str | None = None


SIMULATED: list[Mutant] = []
"""Those that the simulation sees in the seeds of its tests, on SQLite."""
TOGETHER: list[Mutant] = []
"""Those that need several transactions at once, and so PostgreSQL or the schema: each has a test of its own."""


def _mutant(breaks: int, among: list[Mutant], story: str | None = None) -> Callable[[Break], Break]:
    def keep(applied: Break) -> Break:
        among.append(Mutant(applied.__name__, breaks, applied, story))
        return applied

    return keep


def _replaced(owner: Any, name: str, other: Any) -> AbstractContextManager[Any]:
    return mock.patch.object(owner, name, other)


# The server's promises --------------------------------------------------------------------------------


@_mutant(1, SIMULATED)
def acknowledge_before_commit() -> AbstractContextManager[Any]:
    """The writer hands the answers out, and then commits."""
    commit = Writer._commit

    def early(self: Writer, group: Any) -> None:
        for job in group:
            job.settle()
        commit(self, group)

    return _replaced(Writer, "_commit", early)


@_mutant(1, SIMULATED)
def receipt_before_custody() -> AbstractContextManager[Any]:
    """A push that the database refused is signed for all the same."""
    handler = doors.push.fn

    async def hasty(request: Any, device: Any, services: Any) -> PushAnswer:
        try:
            answer: PushAnswer = await handler(request=request, device=device, services=services)
            return answer
        except StorageUnavailable:
            lines = split_lines(b"".join([piece async for piece in request.stream()]))
            receipt = receipts.Receipt(
                key_id=services.receipt_key.public.kid,
                incarnation=services.incarnation,
                device=device.device_id,
                received_at=0,
                ops=tuple(("", 0, digest(line)) for line in lines),
            )
            sealed = receipts.seal(receipt, services.receipt_key.sign)
            verdicts = tuple(Verdict(line=n, v=Outcome.APPLIED) for n in range(len(lines)))
            return PushAnswer(verdicts=verdicts, receipt=sealed)

    return _replaced(doors.push, "_fn", hasty)


@_mutant(3, SIMULATED)
def verdict_computed_anew() -> AbstractContextManager[Any]:
    """A duplicate gets the verdict that its body would get now, and not the one that it had."""

    def anew(epoch: str, seq: int, _recorded: Any, _current: Any = None) -> Verdict:
        return Verdict(epoch=epoch, seq=seq, v=Outcome.APPLIED, rev=1)

    return _replaced(sync.inbox, "said_again", anew)


@_mutant(3, SIMULATED)
def other_bytes_overwrite() -> AbstractContextManager[Any]:
    """A line under a number that is taken takes its place."""
    set_aside = ledger.set_aside

    def over(tx: Any, actor: Any, device_id: str, arrival: Any, code: str, **named: Any) -> bool:
        if code == Code.KEY_REUSED:
            tx.execute(
                "UPDATE op SET line = :line, digest = :digest WHERE seq = :seq AND stream_id ="
                " (SELECT stream_id FROM op_stream WHERE device_id = :device AND epoch = :epoch)",
                {"line": arrival.line, "digest": arrival.digest, "seq": arrival.envelope.seq, "device": device_id,
                 "epoch": arrival.envelope.epoch},
            )  # fmt: skip
        return set_aside(tx, actor, device_id, arrival, code, **named)

    return _replaced(ledger, "set_aside", over)


@_mutant(4, SIMULATED)
def parked_op_dropped() -> AbstractContextManager[Any]:
    """An op that waits for its note is not remembered as waiting."""
    return _replaced(ledger, "park", lambda *_: None)


@_mutant(4, SIMULATED)
def quarantined_bytes_discarded() -> AbstractContextManager[Any]:
    """Of a line that cannot be read only the fact is kept."""
    set_aside = ledger.set_aside

    def empty(tx: Any, actor: Any, device_id: str, arrival: Any, code: str, **named: Any) -> bool:
        bare = msgspec.structs.replace(arrival, line=b"")
        return set_aside(tx, actor, device_id, bare, code, **named)

    return _replaced(ledger, "set_aside", empty)


@_mutant(5, SIMULATED)
def savepoint_error_swallowed() -> AbstractContextManager[Any]:
    """A savepoint that is left by an error keeps what was written in it."""
    leave = Savepoint.__exit__

    def kept(self: Savepoint, kind: Any, error: Any, trace: Any) -> Any:
        if isinstance(error, RuntimeError):
            kind = error = trace = None
        return leave(self, kind, error, trace)

    return _replaced(Savepoint, "__exit__", kept)


@_mutant(5, SIMULATED)
def one_bad_op_fails_the_push() -> AbstractContextManager[Any]:
    """A push with an op that meets a bug is refused whole, and so for ever."""
    take = intake._receive

    def whole(*args: Any, apart: bool) -> Any:
        return take(*args, apart=False)

    return _replaced(intake, "_receive", whole)


@_mutant(11, SIMULATED)
def gap_counted_as_received() -> AbstractContextManager[Any]:
    """The highest number that came counts as all of them."""
    return _replaced(sync.inbox, "contiguous_through", lambda start, above: max([start, *above]))


@_mutant(11, SIMULATED)
def durable_without_a_backup() -> AbstractContextManager[Any]:
    """What is on the disk is called durable where backups are kept too."""
    return _replaced(ledger.Stream, "durable_through", property(lambda self: self.contiguous_through))


@_mutant(11, SIMULATED)
def first_backup_promised_late() -> AbstractContextManager[Any]:
    """Phones hear of backups only when the first is complete (as it once was)."""

    def begin(store: Any) -> Any:
        rows = "SELECT stream_id, contiguous_through FROM op_stream"
        return store.read_now(lambda tx: tx.rows(rows))

    return _replaced(backup, "begin", begin)


@_mutant(11, SIMULATED)
def incarnation_kept_on_restore() -> AbstractContextManager[Any]:
    """A restored server says that it is the one before."""
    return _replaced(reference, "begin_new_life", lambda tx, *_: reference.incarnation(tx))


@_mutant(6, SIMULATED)
def cursor_of_another_incarnation() -> AbstractContextManager[Any]:
    """A cursor from before a restore is taken as a place in the log of now."""
    opened, handler = cursor.open_sealed, doors.pull.fn
    now: list[str] = []

    async def remembered(data: Any, device: Any, services: Any) -> Any:
        now[:] = [services.incarnation]
        return await handler(data=data, device=device, services=services)

    def trusting(text: str, key: bytes) -> Any:
        return msgspec.structs.replace(opened(text, key), incarnation=now[0])

    @contextmanager
    def both() -> Iterator[None]:
        with _replaced(doors.pull, "_fn", remembered), _replaced(cursor, "open_sealed", trusting):
            yield

    return both()


@_mutant(9, SIMULATED)
def change_not_logged() -> AbstractContextManager[Any]:
    """A note that was seen changes, and nobody's phone hears of it."""
    put = changes.put

    def forgetful(tx: Any, bucket: str, kind: str, id: str, rev: int, *rest: Any) -> None:
        if rev == 1 or not bucket.startswith("notes:"):
            put(tx, bucket, kind, id, rev, *rest)

    return _replaced(changes, "put", forgetful)


@_mutant(6, SIMULATED)
def page_ends_one_too_far() -> AbstractContextManager[Any]:
    """A full page moves the cursor past the row that did not fit."""
    page = pulling.page

    def far(*args: Any, **named: Any) -> Any:
        sent = page(*args, **named)
        after = msgspec.structs.replace(sent.after, seq=sent.after.seq + 1) if sent.more else sent.after
        return msgspec.structs.replace(sent, after=after)

    return _replaced(pulling, "page", far)


@_mutant(6, SIMULATED)
def nothing_new_said_unseen() -> AbstractContextManager[Any]:
    """A phone that had everything once is told that nothing has come since."""
    return _replaced(standstill, "stands", lambda *_, **__: True)


@_mutant(9, SIMULATED)
def total_of_another_place() -> AbstractContextManager[Any]:
    """What a bucket held at one place in the log is told at any."""

    def stale(self: Totals, tx: Any, bucket: str, place: Any, revisions: Any, **named: Any) -> Any:
        known = self._known.get(bucket)
        return known if known is not None else counted(self, tx, bucket, place, revisions, **named)

    counted = Totals.of
    return _replaced(Totals, "of", stale)


@_mutant(8, SIMULATED)
def notes_of_others_sent() -> AbstractContextManager[Any]:
    """A pull reads the whole log instead of the officer's."""
    after = own_notes.after

    def everybodys(tx: Any, actor: Any, author: str, place: Any, limit: int, *, now: int) -> Any:
        heard = after(tx, actor, author, place, limit, now=now)
        for (other,) in tx.rows(
            "SELECT DISTINCT author FROM note WHERE author <> :author", {"author": author}
        ):
            theirs = after(tx, actor, other, place, limit, now=now)
            reached = max(heard.place, theirs.place)
            heard = Heard((*heard.changes, *theirs.changes), reached, heard.more or theirs.more)
        return heard

    return _replaced(own_notes, "after", everybodys)


@_mutant(13, SIMULATED)
def device_clock_orders() -> AbstractContextManager[Any]:
    """A note is received when its phone says that it was written."""
    receive = intake.receive

    def by_the_phone(tx: Any, sender: Any, prepared: Any, *, now: int, world: Any) -> Any:
        said = [p.arrival.body.recorded_at for p in prepared if p.arrival.body is not None]
        now = round(said[0].timestamp() * 1000) if said else now
        return receive(tx, sender, prepared, now=now, world=world)

    return _replaced(intake, "receive", by_the_phone)


# The phone's ------------------------------------------------------------------------------------------


@_mutant(10, SIMULATED)
def outbox_cleared_on_resync() -> AbstractContextManager[Any]:
    """A resync starts the phone anew, its outbox too."""
    pull = syncing.Sync._pull

    def clean(self: Any, request: Any, token: str) -> Any:
        page = pull(self, request, token)
        if page.resync is not None:
            with self._store.transaction():
                self._store.run("UPDATE outbox SET line = NULL, state = 'receipted'")
        return page

    return _replaced(syncing.Sync, "_pull", clean)


@_mutant(10, SIMULATED, "forgotten")
def forgets_without_durable() -> AbstractContextManager[Any]:
    """A receipt alone lets the phone forget the bytes."""
    return _replaced(syncing, "may_forget", lambda entry, _durable: entry.state is outbox.State.RECEIPTED)


@_mutant(10, SIMULATED)
def wipes_at_once() -> AbstractContextManager[Any]:
    """A phone that is told to wipe does so before its notes have arrived."""

    ask = syncing.Sync._ask_hello

    def hasty(self: Any, token: str) -> Any:
        hello = ask(self, token)
        if hello.wipe:
            self.report.wiped = self.report.all_sent = True
            raise Stopped("wiped")
        return hello

    return _replaced(syncing.Sync, "_ask_hello", hasty)


@_mutant(12, SIMULATED, "numbers_taken")
def epoch_kept_when_numbers_are_taken() -> AbstractContextManager[Any]:
    """A restored phone goes on with numbers that are taken."""
    return _replaced(syncing, "must_rotate_epoch", lambda _answer: False)


@_mutant(12, SIMULATED, "numbers_taken")
def issued_again_once_a_sync() -> AbstractContextManager[Any]:
    """Only the first push that meets taken numbers has its ops issued again (as it once was)."""
    rotate = syncing.Sync._rotate

    def once(self: Any, after: Any) -> None:
        if not self._epochs_left:
            rotate(self, after)

    return _replaced(syncing.Sync, "_rotate", once)


@_mutant(16, SIMULATED, "receipts_lost")
def all_sent_without_a_receipt() -> AbstractContextManager[Any]:
    """A verdict is enough to say "all sent"."""
    return _replaced(outbox.SyncState, "all_sent", property(lambda self: self.waiting == 0))


@_mutant(11, SIMULATED)
def restored_server_not_noticed() -> AbstractContextManager[Any]:
    """The phone does not send again after a restore."""
    return _replaced(syncing, "on_hello", lambda *_: [])


@_mutant(2, SIMULATED)
def sends_other_bytes_on_retry() -> AbstractContextManager[Any]:
    """A retry writes the op anew instead of sending its frozen bytes."""
    lines = PhoneStore.lines

    def anew(self: PhoneStore, entries: Any) -> list[bytes]:
        entries = list(entries)
        tried = (
            {(epoch, seq) for epoch, seq in self.every("SELECT epoch, seq FROM tried")}
            if _tried(self)
            else set()
        )
        sent = []
        for entry, line in zip(entries, lines(self, entries), strict=True):
            again = (entry.epoch, entry.seq) in tried
            sent.append(line.replace(b'"base_rev":null', b'"base_rev":0') if again else line)
            self.run("INSERT OR IGNORE INTO tried VALUES (?, ?)", entry.epoch, entry.seq)
        return sent

    return _replaced(PhoneStore, "lines", anew)


def _tried(store: PhoneStore) -> bool:
    store.run("CREATE TABLE IF NOT EXISTS tried (epoch TEXT, seq INTEGER, PRIMARY KEY (epoch, seq))")
    return True


# What phones are lent ---------------------------------------------------------------------------------


@_mutant(8, SIMULATED, "lease_over")
def lease_forgotten_by_the_phone() -> AbstractContextManager[Any]:
    """A phone keeps the briefing until it next hears from the server."""
    return _replaced(PhoneLending, "erase_if_over", lambda _self: 0)


@_mutant(8, SIMULATED, "lease_over_unseen")
def lease_forgotten_by_the_server() -> AbstractContextManager[Any]:
    """The server goes on sending a briefing whose lease is over."""
    running = leases.running

    def always(tx: Any, device_id: str, *, now: int) -> Any:
        until = tx.value("SELECT until FROM briefing_lease WHERE device_id = :d", {"d": device_id}) or now
        return running(tx, device_id, now=min(now, until - 1))

    return _replaced(leases, "running", always)


@_mutant(8, SIMULATED, "lease_not_prolonged")
def lease_prolonged_by_opening_it_again() -> AbstractContextManager[Any]:
    """Who opens the briefing again has it for another whole shift."""
    begin = leases.begin

    def anew(tx: Any, device: Any, *, now: int, lasts: int) -> bool:
        tx.execute("DELETE FROM briefing_lease WHERE device_id = :d", {"d": device.device_id})
        return begin(tx, device, now=now, lasts=lasts)

    return _replaced(leases, "begin", anew)


@_mutant(8, SIMULATED, "lease_over")
def lease_by_the_wall_clock_alone() -> AbstractContextManager[Any]:
    """A phone believes the clock that anybody can set."""
    return _replaced(phone_lending, "lease_is_over", lambda kept, now: now.wall >= kept.until)


@_mutant(8, SIMULATED, "lease_answer_late")
def lease_counted_from_its_answer() -> AbstractContextManager[Any]:
    """The phone counts from when it heard of the lease, and not from when it asked."""
    keep = PhoneLending.keep

    def late(self: Any, lease: Any, _since: Any) -> None:
        keep(self, lease, self._device.clocks())

    return _replaced(PhoneLending, "keep", late)


@_mutant(10, SIMULATED, "lease_over")
def outbox_cleared_with_the_lease() -> AbstractContextManager[Any]:
    """What ends a lease takes what the officer wrote with it."""
    erase = PhoneLending.erase_if_over

    def all_of_it(self: Any) -> int:
        gone: int = erase(self)
        if gone:
            with self._store.transaction():
                self._store.run("UPDATE outbox SET line = NULL, state = 'receipted'")
        return gone

    return _replaced(PhoneLending, "erase_if_over", all_of_it)


@_mutant(8, SIMULATED, "child_moves")
def child_that_leaves_is_not_said_to() -> AbstractContextManager[Any]:
    """A child that leaves a briefing stays on the phones that have it."""
    put = changes.put

    def only_comes(tx: Any, bucket: str, kind: str, id: str, rev: int, op: Any, *rest: Any) -> None:
        if op == "put":
            put(tx, bucket, kind, id, rev, op, *rest)

    return _replaced(changes, "put", only_comes)


@_mutant(8, SIMULATED, "child_moves")
def restricted_child_in_the_briefing() -> AbstractContextManager[Any]:
    """A record that is restricted is told of as any other."""
    return _replaced(briefing, "RESTRICTED", "0")


@_mutant(8, SIMULATED, "child_moves")
def closed_alert_in_the_briefing() -> AbstractContextManager[Any]:
    """Nobody takes a child out of the briefing when its alert is closed."""
    return _replaced(briefing, "touch_alert", lambda *_: None)


@_mutant(8, SIMULATED, "child_moves")
def briefing_of_every_ward() -> AbstractContextManager[Any]:
    """A child is told of in wards that have nothing to do with it."""
    wards = briefing._wards

    def all_of_them(tx: Any, kept: Any) -> Any:
        every = {ward for (ward,) in tx.rows("SELECT DISTINCT ward FROM device")}
        return dict.fromkeys(wards(tx, kept), every)

    return _replaced(briefing, "_wards", all_of_them)


@_mutant(8, SIMULATED, "child_moves")
def holdings_not_written_down() -> AbstractContextManager[Any]:
    """A child is sent to a phone, and the ledger does not say so."""
    return _replaced(leases, "given", lambda *_args, **_named: None)


@_mutant(8, SIMULATED, "straggling_pull")
def any_cursor_ends_a_holding() -> AbstractContextManager[Any]:
    """A request that comes late is taken for what the phone is now (as it once was)."""
    confirm = leases.confirm

    def hasty(tx: Any, device_id: str, reached: Any, *, sent_until: int, now: int) -> None:
        confirm(tx, device_id, reached, sent_until=now, now=now)

    return _replaced(leases, "confirm", hasty)


@_mutant(8, SIMULATED, "child_moves")
def removal_that_was_sent_counts_as_done() -> AbstractContextManager[Any]:
    """A child counts as off a phone when its removal leaves the server."""

    def at_once(tx: Any, device_id: str, child_id: int, _place: Any) -> None:
        marks = {"device": device_id, "child": child_id}
        tx.at_commit(
            lambda last: last.execute(
                "UPDATE holding SET ended_at = given_at WHERE device_id = :device AND child_id = :child"
                " AND ended_at IS NULL",
                marks,
            )
        )

    return _replaced(leases, "leaving", at_once)


@_mutant(8, SIMULATED, "wiped_while_holding")
def wipe_leaves_the_ledger_open() -> AbstractContextManager[Any]:
    """That a phone has erased what it was lent is not written down."""
    return _replaced(leases, "confirm", lambda *_args, **_named: None)


@_mutant(9, SIMULATED, "words_change")
def other_words_not_sent() -> AbstractContextManager[Any]:
    """Words that changed reach only phones that have none yet."""
    put = changes.put

    def first_only(tx: Any, bucket: str, kind: str, id: str, rev: int, *rest: Any) -> None:
        if rev == 1 or bucket not in ("vocabulary", "areas"):
            put(tx, bucket, kind, id, rev, *rest)

    return _replaced(changes, "put", first_only)


@_mutant(9, SIMULATED, "words_change")
def checkpoint_speaks_of_own_notes_alone() -> AbstractContextManager[Any]:
    """At a checkpoint the server counts one bucket, and leaves the others unsaid."""
    page = pulling.page

    def narrow(*args: Any, **named: Any) -> Any:
        sent = page(*args, **named)
        told = {name: one for name, one in (sent.checkpoint or {}).items() if name.startswith("notes:")}
        return msgspec.structs.replace(sent, checkpoint=told if sent.checkpoint is not None else None)

    return _replaced(pulling, "page", narrow)


# Wipe, release, old releases, restored servers --------------------------------------------------------


@_mutant(10, SIMULATED, "written_while_wiping")
def wipe_does_not_close_the_outbox() -> AbstractContextManager[Any]:
    """A note that is written while the phone says that it wipes itself goes with it (as it once did)."""
    return _replaced(syncing.Sync, "_close_to_writing", lambda _self: None)


@_mutant(3, SIMULATED, "old_and_released")
def release_changes_the_verdict() -> AbstractContextManager[Any]:
    """What a person releases has another verdict from then on than its phone has."""
    settle = ledger.settle

    def over(tx: Any, op_id: int, outcome: Any, code: Any = None) -> None:
        settle(tx, op_id, outcome, code)
        tx.execute("UPDATE op SET outcome = :o WHERE op_id = :op", {"o": outcome.value, "op": op_id})

    return _replaced(ledger, "settle", over)


@_mutant(9, SIMULATED)
def decision_not_told() -> AbstractContextManager[Any]:
    """What a person decides of a line that was set aside is in no log, and its officer never hears of it."""
    return _replaced(decisions, "made", lambda _tx, _quarantine_id: None)


@_mutant(4, SIMULATED, "old_and_released")
def old_schema_read_as_the_newest() -> AbstractContextManager[Any]:
    """The body of an old release is read as one of today."""
    return _replaced(operations, "upcast", lambda _kind, _schema, raw, _newest: raw)


@_mutant(11, SIMULATED, "taken_by_a_clone")
def only_what_is_not_durable_is_sent_again() -> AbstractContextManager[Any]:
    """After a restore a phone believes that under a number stands what it sent (as it once did)."""
    on_hello = outbox.on_hello

    def sparing(entries: Any, hello: Any, known: Any) -> Any:
        durable = hello.durable_through
        return on_hello([one for one in entries if one.seq > durable.get(one.epoch, 0)], hello, known)

    return _replaced(syncing, "on_hello", sparing)


@_mutant(11, SIMULATED, "restored_between")
def promise_of_another_life_counts() -> AbstractContextManager[Any]:
    """What a restored server calls durable is taken for what the one before had (as it once was)."""
    store_answer = syncing.Sync._store_answer

    def trusting(self: Any, batch: Any, answer: Any) -> Any:
        self._life = None
        if answer.epoch is not None:
            with self._store.transaction():
                self._store.put_durable({answer.epoch: answer.durable_through})
        return store_answer(self, batch, answer)

    return _replaced(syncing.Sync, "_store_answer", trusting)


# Several at once --------------------------------------------------------------------------------------


@_mutant(6, TOGETHER)
def naive_cursor() -> AbstractContextManager[Any]:
    """A pull shows whatever is committed, though what comes before it may not be yet."""
    return _replaced(PostgresTransaction, "settled", "1=1")


@_mutant(17, TOGETHER)
def nobody_waits_for_who_is_who() -> AbstractContextManager[Any]:
    """Two pushes decide at once which child is which, and neither holds the keys of a new one."""
    lock = PostgresTransaction.lock

    def only_others(self: Any, *names: str, shared: bool = False) -> None:
        others = [name for name in names if name != who_is_who.LOCK and not name.startswith("key:")]
        if others:
            lock(self, *others, shared=shared)

    return _replaced(PostgresTransaction, "lock", only_others)


@_mutant(3, TOGETHER)
def no_unique_index_on_the_ledger() -> AbstractContextManager[Any]:
    """Two workers that both find a number free both keep an op under it."""
    keep = ledger.keep

    def shadowed(tx: Any, *args: Any, **named: Any) -> int:
        if tx.notes.setdefault("without index", True):
            # A temporary table hides the real one, for this transaction, and has no constraint.
            tx.execute("CREATE TEMPORARY TABLE op AS SELECT * FROM op WHERE 1 = 0")
            tx.notes["without index"] = False
        return keep(tx, *args, **named)

    return _replaced(ledger, "keep", shadowed)
