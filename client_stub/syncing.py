"""One sync: hello, push until the server has signed for everything, pull to the end, send photographs and
recordings, forget what may go.

It ends early, with everything still on the device, whenever the line or the server fails too often. Whatever
step it is killed at, the next sync goes on from what is on disk: a resend is recognised by the server.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from client_stub import keys
from client_stub.album import Album
from client_stub.conversation import Conversation, Patience, Report, Stopped, condition_of
from client_stub.device import Device
from client_stub.lending import Lending
from client_stub.transport import NotUnderstood, Refused, Revoked, Transport, TransportError
from client_stub.uploading import Uploading
from sync import limits, receipts
from sync.envelope import (
    Code,
    Condition,
    Hello,
    PullAnswer,
    PullRequest,
    PushAnswer,
    Wipe,
    join_lines,
)
from sync.holdings import apply_page, wrong_buckets
from sync.limits import Limits
from sync.outbox import (
    Entry,
    Event,
    State,
    may_forget,
    must_rotate_epoch,
    next_batch,
    on_answer,
    on_hello,
    step,
    sync_state,
)
from sync.receipts import Receipt, ReceiptError

KEEP_SENT_MS = 24 * 60 * 60 * 1000
"""A phone keeps what was receipted for a day: a server restored from last night's backup gets it back."""
ANSWERS_WITHOUT_RECEIPT_MAX = 3
"""How often one op is sent in one sync where the server answers but does not sign for it."""
ROTATIONS_MAX = 3
"""How often a sync may change its epoch: a server that takes every number is told to the officer instead."""
RESYNCS_MAX = 3
"""How often a pull may start anew in one sync: a fourth time is a loop, which a later sync may not meet."""
SPLIT_STATUSES = frozenset({400, 413, 422})
"""Answers that may be the fault of one op: the push is halved until that op stands alone."""


class Progress(msgspec.Struct, frozen=True):
    """Where a sync is: `done` of `total` ops receipted, or `done` changes pulled (`total` unknown: None)."""

    phase: str
    done: int
    total: int | None


class Sync:
    """One run over one transport. Use `run()` once."""

    def __init__(
        self,
        device: Device,
        transport: Transport,
        *,
        patience: Patience | None = None,
        progress: Callable[[Progress], None] = lambda _progress: None,
        begin_lease: bool = False,
    ) -> None:
        self._device = device
        self._store = device.store
        self._around = device.surroundings
        self._transport = transport
        self._patience = patience or Patience()
        self._progress = progress
        self._identity = device.enrolled()
        self._verify = keys.receipt_verifier(self._identity.server_key)
        self._lending = Lending(device)
        self._begin_lease = begin_lease
        self._encodings: tuple[str, ...] = ()
        self._epochs_left: set[str] = set()
        """Epochs that this sync has found taken by another installation."""
        self._life: str | None = None
        """The incarnation of the server that answered this sync's hello."""
        self.report = Report()
        self._talk = Conversation(device, transport, self._patience, self.report)

    def run(self) -> Report:
        """Sync once, to the end or until it is hopeless for now. Raises StoreError, never TransportError."""
        with self._store.only_one_sync():
            try:
                self._steps()
            except Stopped as stopped:
                self._problem(str(stopped))
            except TransportError as error:
                self._problem(f"{error} {error.hint}")
            if not self.report.wiped:
                self._last_words()
        if self.report.wiped:
            condition = condition_of(self._device, Wipe.DONE)
            self._store.erase(self._around.now_ms(), "told by the server")
            self._say_wiped(msgspec.structs.replace(condition, holds=0))
        return self.report

    def _say_wiped(self, condition: Condition) -> None:
        """Nothing is on this device any more; the token of this sync is still in memory, and says so."""
        try:
            self._talk.last_word(lambda token: self._transport.condition(token, condition))
        except TransportError:
            # The server has heard that the wipe began, and that is what it shows.
            self._problem("The server has not heard that this device is wiped.")

    def _steps(self) -> None:
        self._lending.erase_if_over()
        revoked = False
        limits_now = Limits()
        hello = None
        try:
            hello = self._talk.persistently(self._ask_hello)
            fewest = min(hello.limits.ops_per_push, self._patience.ops_per_push)
            limits_now = msgspec.structs.replace(hello.limits, ops_per_push=fewest)
            self._encodings = hello.encodings
            self._life = hello.incarnation
            revoked = hello.wipe
        except Revoked:
            revoked = True
        if revoked:
            # What was lent goes at once; what the officer wrote goes only when the server has it.
            with self._store.transaction():
                self._store.replace_holdings(self._store.holdings(), {})
        self._push_all(limits_now)
        try:
            if not revoked:
                self._pull_all(limits_now)
            self._upload_all(hello)
        except Revoked:  # in the middle of this; or of what is still here no note was handed in
            revoked = True
        if revoked:
            self._close_to_writing()
            begins = condition_of(self._device, Wipe.BEGINS)
            with contextlib.suppress(Refused):  # an older server has no such door
                self._talk.persistently(lambda token: self._transport.condition(token, begins))
            self._around.reached("wipe.before")
            self.report.wiped = True
            self.report.all_sent = True
            self.report.set_aside = self._device.status().state.quarantined
        else:
            # Best effort: the notes are safe, and the next sync says it again.
            with contextlib.suppress(TransportError):
                self._talk.once(lambda token: self._transport.condition(token, condition_of(self._device)))

    def _upload_all(self, hello: Hello | None) -> None:
        """Send what is in the album, and remove what the server's newest backup holds."""
        uploads = Uploading(self._device, self._transport, self._talk, self.report, self._open_now)
        uploads.run(partial(self._tell, "upload"))
        if hello is not None:
            Album(self._store).forget(hello.attachments_through)

    def _open_now(self, text: str) -> Receipt | None:
        """A receipt, if it is of the server as it is in this sync."""
        receipt = self._open_receipt(text)
        return None if receipt is None or self._life not in (None, receipt.incarnation) else receipt

    def _close_to_writing(self) -> None:
        """Before a wipe, in one transaction with the look at what is left: a note that another command of this device
        writes meanwhile is sent first, or is refused while its officer looks. Raises Stopped."""
        with self._store.transaction():
            if not sync_state(self._store.all_entries()).all_sent:
                raise Stopped("The server wants this device wiped; that waits until your notes have arrived.")
            self._store.put("closed", "yes")

    def _last_words(self) -> None:
        state = sync_state(self._store.all_entries())
        self.report.all_sent = state.all_sent and not self._device.attachments_waiting()
        if not self.report.problems:
            with self._store.transaction():
                self._store.put("last_sync_at", str(self._around.now_ms()))
        durable = self._store.durable()
        may_go = [e for e in self._store.all_entries() if e.held and may_forget(e, durable)]
        with self._store.transaction():
            self.report.forgotten = self._store.forget_lines(may_go, self._around.now_ms() - KEEP_SENT_MS)

    def _problem(self, sentence: str) -> None:
        if sentence not in self.report.problems:
            self.report.problems.append(sentence)

    # Hello

    def _ask_hello(self, token: str) -> Hello:
        before = self._around.now_ms()
        hello = self._transport.hello(token)
        after = self._around.now_ms()
        known = self._store.get("incarnation")
        with self._store.transaction():
            self._device.keep_time(hello.server_time, (before + after) // 2)
            self._store.put("round_trip_ms", str(max(0, after - before)))
            self._store.keep(on_hello(self._store.all_entries(), hello, known))
            self._store.put_durable(hello.durable_through, anew=known != hello.incarnation)
            if known is not None and known != hello.incarnation:
                Album(self._store).send_again()
            self._store.put("incarnation", hello.incarnation)
            self._store.put("attachment_bytes_max", str(hello.limits.attachment_bytes))
            if not hello.wipe:
                self._store.put("closed", "")
        self._around.reached("hello.stored")
        return hello

    # Push

    def _push_all(self, limits_now: Limits) -> None:
        aside: set[tuple[str, int]] = set()
        answers: dict[tuple[str, int], int] = {}
        while True:
            waiting = [e for e in self._store.unfinished() if (e.epoch, e.seq) not in aside]
            self._tell("push", self.report.receipted, self.report.receipted + len(waiting))
            batch = next_batch(waiting, limits_now)
            if not batch:
                return
            with self._store.transaction():
                batch = [step(entry, Event.SEND) for entry in batch]
                self._store.keep(batch)
            self._around.reached("push.marked")
            try:
                answer = self._push(batch)
            except (Refused, NotUnderstood, Stopped) as error:
                self._lost(batch)
                status = error.status if isinstance(error, Refused) else None
                if status not in SPLIT_STATUSES:
                    raise
                if len(batch) > 1:
                    limits_now = msgspec.structs.replace(limits_now, ops_per_push=len(batch) // 2)
                else:
                    aside.add((batch[0].epoch, batch[0].seq))
                    self._problem(f"The server does not take one entry, which stays on this device. {error}")
                continue
            for entry in self._store_answer(batch, answer):
                key = (entry.epoch, entry.seq)
                answers[key] = answers.get(key, 0) + 1
                if entry.state is not State.RECEIPTED and answers[key] >= ANSWERS_WITHOUT_RECEIPT_MAX:
                    aside.add(key)
                    self._problem("The server did not sign for some entries. They stay on this device.")
            self._around.reached("push.stored")
            if answer.backoff_ms:
                self._around.sleep(answer.backoff_ms * (0.5 + self._around.random()) / 1000)

    def _push(self, batch: Sequence[Entry]) -> PushAnswer:
        body = join_lines(self._store.lines(batch))

        def send(token: str) -> PushAnswer:
            self.report.pushes += 1
            self.report.sent += len(batch)
            return self._transport.push(token, body, self._encodings)

        answer = self._talk.persistently(send)
        self._around.reached("push.answered")
        return answer

    def _lost(self, batch: Sequence[Entry]) -> None:
        with self._store.transaction():
            self._store.keep([step(entry, Event.LOST) for entry in batch])

    def _store_answer(self, batch: Sequence[Entry], answer: PushAnswer) -> list[Entry]:
        """Keep what the answer changes, in one transaction; gives the entries as they are now."""
        receipt = None if answer.receipt is None else self._open_receipt(answer.receipt)
        if receipt is not None and self._life not in (None, receipt.incarnation):
            # Numbers and promises of one life of the server say nothing in another: hello first, and all again.
            self._lost(batch)
            raise Stopped("The server was restored from a backup meanwhile. Sync again.")
        after = on_answer(batch, answer, receipt)
        if must_rotate_epoch(answer) and len(self._epochs_left) >= ROTATIONS_MAX:
            self._problem("The numbers of this device are taken again and again. Tell the administrator.")
            after = [_not_taken(before, entry) for before, entry in zip(batch, after, strict=True)]
        covered = [entry for entry in after if entry.state is State.RECEIPTED]
        now = self._around.now_ms()
        with self._store.transaction():
            self._store.keep(after)
            if answer.receipt is not None and covered:
                self._store.keep_receipt(answer.receipt, covered, now)
            self._keep_places(batch, answer)
            same_life = receipt is not None and receipt.incarnation == self._store.get("incarnation")
            if answer.epoch is not None and same_life:
                self._store.put_durable({answer.epoch: answer.durable_through})
            if must_rotate_epoch(answer) and len(self._epochs_left) < ROTATIONS_MAX:
                self._rotate(after)
            self._around.reached("push.before_commit")
        self.report.receipted += len(covered)
        return after

    def _open_receipt(self, text: str) -> Receipt | None:
        """The receipt once its signature held and it speaks of this device, else None."""
        try:
            receipt = receipts.open_sealed(text, self._verify)
        except ReceiptError as error:
            self._problem(f"A receipt was not accepted: {error}. Tell the administrator.")
            return None
        return receipt if receipt.device == self._identity.device_id else None

    def _keep_places(self, batch: Sequence[Entry], answer: PushAnswer) -> None:
        by_key = {(entry.epoch, entry.seq): entry for entry in batch}
        for verdict in answer.verdicts:
            entry = by_key.get((verdict.epoch or "", verdict.seq or 0))
            if entry is not None and isinstance(verdict.current, dict):
                place = verdict.current.get("at")
                if isinstance(place, str):
                    self._store.say_where(entry, place[:200])

    def _rotate(self, after: Sequence[Entry]) -> None:
        """Issue again, under a new epoch, what met a number that was taken. One new epoch serves for all pushes
        that meet numbers of the old one."""
        taken = {(e.epoch, e.seq) for e in after if e.code == Code.KEY_REUSED}
        if not self._epochs_left or self._device.current_epoch() in {epoch for epoch, _ in taken}:
            self._epochs_left.add(self._device.current_epoch())
            self._device.start_epoch()
        for item in self._store.items():
            if (item.epoch, item.seq) in taken:
                self._device.issue_again(item)

    # Pull

    def _pull_all(self, limits_now: Limits) -> None:
        held = self._store.holdings()
        cursor = self._store.get("cursor")
        resyncs = 0
        rows = max(1, min(limits_now.pull_changes, limits.PULL_CHANGES_MAX))
        while True:
            request = PullRequest(
                cursor=cursor,
                limit=rows,
                emptied=self._lending.emptied(),
                lease="begin" if self._begin_lease else None,
            )
            self._begin_lease = False
            since = self._device.clocks()
            page = self._talk.persistently(partial(self._pull, request))
            self._around.reached("pull.answered")
            after = apply_page(held if cursor is not None else {}, page)
            cursor = page.cursor if page.resync is None else page.resync.cursor
            with self._store.transaction():
                self._store.replace_holdings(held, after)
                self._store.put("cursor", cursor)
                self._lending.heard(request.emptied)
                self._lending.keep(page.lease, since)
            self._around.reached("pull.stored")
            held = after
            self.report.pulled += len(page.changes)
            self._tell("pull", self.report.pulled, None)
            wrong = [] if page.more or page.checkpoint is None else wrong_buckets(held, page.checkpoint)
            if page.resync is None and not wrong:
                if page.more:
                    continue
                return
            resyncs += 1
            if resyncs > RESYNCS_MAX:
                raise Stopped("This device's copy of the server's lists is not complete. Sync again later.")
            if wrong:
                # Only what is wrong begins anew; the rest stands.
                after = {name: rows for name, rows in held.items() if name not in wrong}
                with self._store.transaction():
                    self._store.replace_holdings(held, after)
                    self._lending.mark_emptied(wrong)
                held = after

    def _pull(self, request: PullRequest, token: str) -> PullAnswer:
        return self._transport.pull(token, request)

    def _tell(self, phase: str, done: int, total: int | None) -> None:
        self._progress(Progress(phase, done, total))


def _not_taken(before: Entry, after: Entry) -> Entry:
    """An op whose number is taken and that is not issued again now stays in the outbox as it was."""
    return step(before, Event.LOST) if after.code == Code.KEY_REUSED else after
