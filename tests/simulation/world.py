"""The world of a simulation: phones, a network, one server, and time. Each method without `_` and `check` is an event.

An event does one thing, writes one line of history, and checks what can be checked there. Nothing here draws lots:
what happens, and to whom, is the caller's choice (a seed's, or Hypothesis').
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from random import Random
from typing import Any
from unittest import mock

import msgspec

from client_stub.device import DeviceError
from client_stub.keys import ServerKey
from client_stub.standing import Identity
from client_stub.transport import TransportError
from server import applying, intake
from sync import inbox, operations, upcasting
from sync.envelope import PullAnswer, PushAnswer
from sync.note import Amendment, Note, Subject, Withdrawal
from sync.operations import Kind, digest, freeze
from sync.vocabulary import Category
from tests.road import START_MS, Road
from tests.simulation.beginnings import (
    CAST,
    KNOWN,
    NEVER_COPIED,
    OFFICERS,
    SILENT,
    WARDS,
    at_time,
    device_id_of,
    enrol_everybody,
    key_of,
    renamed,
    with_a_bug,
)
from tests.simulation.desk import Desk
from tests.simulation.engines import Engine
from tests.simulation.lending import Lending, Truth
from tests.simulation.oracle import BUG, NEWER, OLD, OLD_NAME, Life, Oracle, Violation
from tests.simulation.phone import Call, Died, Pause, Phone, damaged, lines_of
from tests.simulation.server import (
    DIES_AFTER,
    DIES_BEFORE,
    FAILS,
    SETTINGS,
    WELL,
    Copied,
    SimServer,
    Unexpected,
)

PHONES_MAX = 5
ROUNDS_MAX = 4
"""Syncs of each phone after the faults have stopped, until everything must be everywhere."""
TURNS_MAX = 400
HOUR_MS = 3_600_000


LEDGER = (
    "SELECT s.device_id, s.epoch, o.seq, o.line, o.outcome, o.received_at"
    " FROM op o JOIN op_stream s ON s.stream_id = o.stream_id"
)
SET_ASIDE = (
    "SELECT q.device_id, q.digest, COALESCE(q.line, o.line) FROM quarantine q"
    " LEFT JOIN op o ON o.op_id = q.op_id"
)
NOTES = (
    "SELECT n.note_id, n.author, n.received_at, CASE WHEN n.withdrawn_at IS NULL THEN 0 ELSE 1 END,"
    " (SELECT COUNT(*) FROM amendment a WHERE a.note_key = n.note_key), s.child_id"
    " FROM note n JOIN subject s ON s.note_key = n.note_key ORDER BY n.note_key"
)


class Message(msgspec.Struct):
    """Something in flight: a request (`call`), or an answer to one. `number` is the request's."""

    number: int
    phone: str
    call: Call
    answer: Any = None
    truth: Truth | None = None
    """Of the answer to a pull that ends with a checkpoint: what the phone must hold then."""


class World(Desk):
    """One run. Close it."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.rng = Random(f"world {seed}")
        self.now = START_MS
        self.history: list[str] = []
        self.oracle = Oracle()
        self.phones: dict[str, Phone] = {}
        self.network: list[Message] = []
        self.copied: tuple[Copied, Life] | None = None
        """A backup that was begun, with what it holds."""
        self.backup: tuple[Copied, Life] | None = None
        self.snapshots: dict[str, Any] = {}
        self._numbers = self._names = 0
        self._truth: dict[str, Truth | None] = {}
        self._first_request: dict[str, int] = {}
        """By phone: the number of the first request of its sync."""
        known = {child.given_names or "": msgspec.to_builtins(child) for child in CAST}
        self.lending = Lending(self, known, SETTINGS.briefing_hours * HOUR_MS)
        self._closing = ExitStack()
        self._closing.enter_context(mock.patch.object(applying, "_facts", with_a_bug(applying._facts)))
        for module in (applying, intake):
            self._closing.enter_context(mock.patch.object(module, "log", SILENT))
        for module in (operations, inbox):
            self._closing.enter_context(mock.patch.object(module, "SCHEMA_NEWEST", OLD + 1))
        self._closing.enter_context(mock.patch.dict(upcasting.STEPS, {OLD: renamed}))
        try:
            self.server = SimServer(engine, lambda: self.now, lambda: f"{self.rng.getrandbits(64):016x}")
            self._closing.callback(lambda: self.server.store.close_now())
            self._populate()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for phone in self.phones.values():
            if phone.alive:
                phone.end()
        self._closing.close()

    def _populate(self) -> None:
        road = Road(self.server.store)
        for number, child in enumerate(CAST[:KNOWN]):
            road.child(child, registry_id=f"registry-{number}")
        self.server.store.write_now(enrol_everybody)
        for username, _ in OFFICERS:
            for which in (1, 2):
                self._hand_out(
                    username, f"{username}-{which}", key=key_of(OFFICERS.index((username, _)), which)
                )
        self.lending.wards = {device_id_of(name): ward for name, ward in WARDS.items()}
        self.publish(0)

    def _hand_out(self, username: str, name: str, key: str) -> None:
        phone = self._phone(name)
        public = self.server.receipt_key.public
        phone.enrol(
            Identity(
                server="http://127.0.0.1:8000",
                device_id=device_id_of(name),
                user=username,
                audience="http://127.0.0.1:8000",
                server_key=ServerKey(kid=public.kid, x=public.x),
            ),
            key,
        )

    def _phone(self, name: str, source: Any = None, inode: str | None = None) -> Phone:
        phone = Phone(
            name,
            Random(f"{self.rng.getrandbits(64)}"),
            lambda: self.now,
            lambda line: self.oracle.wrote(name, line),
            inode=inode or f"disk-{self._names}",
            source=source,
        )
        self._names += 1
        self.phones[name] = phone
        self.oracle.written.setdefault(name, set())
        return phone

    def _say(self, what: str) -> None:
        self.history.append(f"{len(self.history):5} {(self.now - START_MS) / 1000:12.3f} s  {what}")

    def digest(self) -> str:
        """Of the whole history."""
        return hashlib.sha256("\n".join(self.history).encode()).hexdigest()

    def end_state(self) -> str:
        """A digest of what is in the database and on the phones now."""
        state: list[Any] = [
            sorted((*row[:3], digest(bytes(row[3])), *row[4:]) for row in self.server.rows(LEDGER))
        ]
        state += [self.server.rows(NOTES), sorted(row[:2] for row in self.server.rows(SET_ASIDE))]
        for name, phone in self.phones.items():
            if not phone.gone:
                columns = "epoch, seq, digest, state, outcome, code, written_at, reissued_as"
                state.append([name, phone.store.every(f"SELECT {columns} FROM outbox ORDER BY position")])
                state.append(
                    phone.store.every("SELECT bucket, kind, id, rev, data FROM held ORDER BY bucket, id")
                )
        return hashlib.sha256(repr(state).encode()).hexdigest()

    # Who there is -----------------------------------------------------------------------------------------

    def device_id(self, phone: str) -> str:
        """Under which a phone of that name is enrolled."""
        return device_id_of(phone)

    def living(self) -> list[Phone]:
        """Those that somebody can use."""
        return [phone for phone in self.phones.values() if not phone.gone]

    def running(self) -> list[Phone]:
        """Those that a message can reach: also one that is wiped and says so."""
        return [phone for phone in self.phones.values() if phone.alive]

    def idle(self) -> list[Phone]:
        return [phone for phone in self.living() if not phone.syncing]

    def waiting_for_an_answer(self) -> list[Phone]:
        return [phone for phone in self.running() if isinstance(phone.waiting, Call)]

    def pausing(self) -> list[Phone]:
        return [phone for phone in self.running() if isinstance(phone.waiting, Pause)]

    def requests(self) -> list[Message]:
        return [message for message in self.network if message.answer is None]

    def answers(self) -> list[Message]:
        return [message for message in self.network if message.answer is not None]

    # The officer ------------------------------------------------------------------------------------------

    def write(self, phone: Phone, child: int, nature: str = "good", dies_in: int | None = None) -> str | None:
        """Write a note; `nature` is good, bug, newer (schema), old (schema) or poison. Its id, or None where the phone
        died."""
        note = self._note(
            phone, CAST[child % len(CAST)], BUG if nature == "bug" else "Seen alone by the bus station"
        )
        self._say(f"{phone.name} writes a {nature} note about {note.subjects[0].given_names}")
        if nature in ("newer", "old", "poison"):
            self._on(phone, lambda: self._write_strange(phone, note, nature), dies_in)
            return None
        note_id: str | None = None

        def write() -> None:
            nonlocal note_id
            note_id = phone.device.write(note)

        self._on(phone, write, dies_in)
        return note_id

    def _write_strange(self, phone: Phone, note: Note, nature: str) -> None:
        """As a newer release of the phone would, or one with a fault."""
        note_id = phone.device.surroundings.new_id()
        identity = phone.device.enrolled()

        def strange(seq: int) -> tuple[bytes, str]:
            line = freeze(
                device=identity.device_id,
                epoch=phone.device.current_epoch(),
                seq=seq,
                user=identity.user,
                kind=Kind.NOTE_WRITE,
                entity_id=note_id,
                body=note,
            )
            if nature == "newer":
                line = line.replace(b'"schema":%d' % operations.SCHEMA_NEWEST, b'"schema":%d' % NEWER)
                return line, digest(line)
            op = msgspec.json.decode(line)
            other: dict[str, Any] = {name: v for name, v in op["body"].items() if name != "recorded_at"}
            if nature == "old":
                line = line.replace(b'"schema":%d' % operations.SCHEMA_NEWEST, b'"schema":%d' % OLD)
                other = {OLD_NAME if n == "saw_or_heard" else n: v for n, v in op["body"].items()}
            body = msgspec.json.encode(other)
            line = line.replace(msgspec.json.encode(op["body"]), body)
            line = line.replace(op["body_sha256"].encode(), digest(body).encode())
            return line, digest(line)

        with phone.store.transaction():
            if phone.store.get("closed"):
                raise DeviceError("", "")
            epoch = phone.device.current_epoch()
            phone.store.append(
                epoch=epoch, kind="note.write", entity_id=note_id, written_at=self.now, freeze=strange
            )

    def _note(self, phone: Phone, child: Subject, text: str) -> Note:
        at = at_time(phone.device.surroundings.now_ms())
        return Note(
            observed_at=at, recorded_at=at, category=Category.NEGLECT, saw_or_heard=text, subjects=(child,)
        )

    def follow_up(self, phone: Phone, which: int, *, withdraw: bool, dies_in: int | None = None) -> None:
        """Amend or withdraw one of the phone's own notes."""
        mine = [
            item.entity_id for item in phone.store.items() if item.kind == "note.write" and not item.reissued
        ]
        if not mine:
            return
        note_id = mine[which % len(mine)]
        self._say(f"{phone.name} {'withdraws' if withdraw else 'amends'} {note_id[:8]}")
        at = at_time(phone.device.surroundings.now_ms())
        if withdraw:
            body = Withdrawal(recorded_at=at, reason="In error")
            self._on(phone, lambda: phone.device.withdraw(note_id, body), dies_in)
        else:
            more = Amendment(recorded_at=at, reason="I remembered more", text="And no coat")
            self._on(phone, lambda: phone.device.amend(note_id, more), dies_in)

    def sync(
        self,
        phone: Phone,
        ops_per_push: int,
        rows: int = 50,
        dies_in: int | None = None,
        *,
        lease: bool = False,
    ) -> None:
        """Begin a sync, in pushes of so many ops and pages of so many rows; with `lease` to open the briefing."""
        what = "opens the briefing" if lease else "begins a sync"
        self._say(f"{phone.name} {what}, {ops_per_push} ops a push, {rows} rows a page")
        self.lending.sync_begins(phone)
        self._first_request[phone.name] = self._numbers + 1
        before = self.lending.observe(phone)
        self._on(phone, lambda: phone.start_sync(ops_per_push, rows, lease), dies_in)
        if isinstance(phone.waiting, Call) or (not phone.gone and before and not self.lending.observe(phone)):
            self.lending.check_erased(phone, before)

    def look(self, phone: Phone) -> None:
        """The officer opens the phone's program, with signal or without, also while a sync is under way."""
        self._say(f"{phone.name} is looked at")
        before = self.lending.observe(phone)
        lives = self._on(phone, lambda: self.lending.open_program(phone))
        if not phone.gone and (lives or (before and not self.lending.observe(phone))):
            self.lending.check_erased(phone, before)

    def boot_again(self, phone: Phone) -> None:
        """The phone is switched off and on."""
        self._say(f"{phone.name} boots again")
        phone.boot_again()

    def die(self, phone: Phone) -> None:
        """The phone's process ends where it waits."""
        self._say(f"{phone.name} is killed while it waits")
        phone.kill()

    def wake(self, phone: Phone) -> None:
        """The pause is over."""
        assert isinstance(phone.waiting, Pause)
        self.now += round(phone.waiting.seconds * 1000)
        self._say(f"{phone.name} goes on after a pause")
        self._on(phone, lambda: phone.resume(None))

    def give_up(self, phone: Phone) -> None:
        """The phone waits no longer; its request may still arrive."""
        self._say(f"{phone.name} gives up waiting")
        self._on(phone, phone.lose_signal)

    def _on(self, phone: Phone, act: Any, dies_in: int | None = None) -> bool:
        """Let a phone act until it waits, ends or dies; take what it asks to the network. Whether it lives."""
        before, lives = phone.waiting, True
        if dies_in is not None:
            phone.dies_in = dies_in
        try:
            act()
        except DeviceError:
            self._say(f"    {phone.name} keeps nothing more: it is about to be wiped")
            self.oracle.check_closed(phone.enrolled_as)
        except Died as died:
            self._say(f"    {phone.name} dies: {died}")
            lives = False
            phone.kill()
            if not phone.gone:
                self.oracle.check_all_sent(phone.name, phone.device.status().all_sent)
        if not phone.syncing:
            phone.dies_in = None
        self.lending.observe(phone)
        if isinstance(phone.waiting, Call) and phone.waiting is not before:
            self._numbers += 1
            self.network.append(Message(self._numbers, phone.name, phone.waiting))
            self._say(f"    {phone.name} asks {phone.waiting.door} (request {self._numbers})")
            self._check_question(phone, phone.waiting)
        elif phone.report is not None and not phone.syncing:
            self._after_sync(phone)
        return lives

    def _check_question(self, phone: Phone, call: Call) -> None:
        if call.door != "pull":
            return
        if call.said.cursor is None and phone.store.get("cursor") is not None:
            raise Violation(9, f"{phone.name} has forgotten where it was")
        self.lending.asks(phone, call)

    def _after_sync(self, phone: Phone) -> None:
        report, phone.report = phone.report, None
        assert report is not None
        self._say(
            f"    {phone.name} has synced: all sent {report.all_sent}, wiped {report.wiped}, {report.problems}"
        )
        self.oracle.check_all_sent(phone.name, report.all_sent)
        truth = self._truth.get(phone.name)
        if not report.problems and not report.wiped and truth is not None:
            self.lending.check_holds(phone, truth)
        self.check_nothing_lost()

    # The network ------------------------------------------------------------------------------------------

    def deliver(self, message: Message, fate: str = WELL, *, keep: bool = False) -> None:
        """A request reaches the server, or an answer its phone. `keep`: and is still in flight, as if sent twice."""
        if not keep:
            self.network.remove(message)
        if message.answer is None:
            self._request(message, fate)
        else:
            self._answer(message)

    def drop(self, message: Message) -> None:
        """A message is lost. The phone finds out when it gives up."""
        self.network.remove(message)
        self._say(f"{'answer' if message.answer is not None else 'request'} {message.number} is lost")

    def damage(self, message: Message, index: int, *, deep: bool) -> None:
        """One line of a push is changed on its way."""
        self._say(
            f"line {index} of request {message.number} is damaged ({'deep' if deep else 'at its beginning'})"
        )
        message.call = Call("push", message.call.token, damaged(message.call.said, index, deep=deep))

    def strip_receipt(self, message: Message) -> None:
        """An answer to a push loses its receipt on the way."""
        self._say(f"the receipt of answer {message.number} is lost")
        message.answer = msgspec.structs.replace(message.answer, receipt=None)

    def _request(self, message: Message, fate: str) -> None:
        call = message.call
        if call.door == "token" and fate == FAILS:
            fate = WELL
        try:
            answer = self.server.serve(call, fate)
        except Unexpected as error:
            raise Violation(5, str(error)) from error
        became = _in_words(answer, fate, self.server.up)
        self._say(f"request {message.number} ({call.door}) reaches the server: {became}")
        truth = None
        if call.door == "push":
            self._check_push(message, answer)
        if call.door == "pull" and isinstance(self.server.answered, PullAnswer):
            truth = self._check_pull(message, self.server.answered)
        if call.door == "condition" and self.server.answered is not None and self.server.committed:
            said = call.said
            self.oracle.life.says(
                device_id_of(message.phone), said.wipe and said.wipe.value, said.holds, self.now
            )
        if answer is not None:
            self.network.append(Message(message.number, message.phone, call, answer, truth))

    def _check_push(self, message: Message, answer: Any) -> None:
        life, device = self.oracle.life, device_id_of(message.phone)
        lines = lines_of(message.call.said)
        user = message.phone.partition("-")[0]
        if isinstance(answer, PushAnswer):
            signed = json.loads(_unsealed(answer.receipt or ""))
            here = {
                d for (d,) in self.server.rows("SELECT digest FROM op UNION SELECT digest FROM quarantine")
            }
            told = msgspec.to_builtins(answer) | {"receipt": signed}
            self.oracle.check_custody(told, here)
        if not self.server.committed:
            return
        expected = life.take(device, user, lines, self.now)
        if isinstance(answer, PushAnswer):
            self.oracle.check_answer(lines, expected, told)
            if answer.epoch is not None:
                marks = (answer.contiguous_through, answer.durable_through)
                wanted = (life.contiguous(device, answer.epoch), life.durable(device, answer.epoch))
                if marks != wanted:
                    raise Violation(
                        11, f"the server says (received, durable) through {marks} and it is {wanted}"
                    )
            if answer.rotate_epoch != any(code == "key_reused" for _, code in expected):
                raise Violation(12, "the phone was not told, or wrongly told, that its numbers are taken")

    def _check_pull(self, message: Message, answer: PullAnswer) -> Truth | None:
        author = message.phone.partition("-")[0]
        self.oracle.check_pull(
            author, [change.id for change in answer.changes if change.op == "put" and change.kind == "note"]
        )
        asked = message.call.said.cursor
        before, after = _place(asked) if asked else None, _place(answer.cursor)
        if answer.resync is not None:
            if before is not None and before[:2] == (self.server.incarnation, after[1]):
                raise Violation(6, "a cursor that is good was refused")
        elif before is not None and (before[0] != self.server.incarnation or after[2:] < before[2:]):
            raise Violation(6, f"a cursor went from {before} to {after}")
        return self.lending.check_page(message, answer)

    def _answer(self, message: Message) -> None:
        phone = self.phones[message.phone]
        awaited = phone.waiting if phone.alive else None
        # A retry may be answered with the answer to its first attempt: the bytes are the same.
        if (
            not isinstance(awaited, Call)
            or (awaited.door, awaited.said)
            != (
                message.call.door,
                message.call.said,
            )
            or (awaited.door == "pull" and message.number < self._first_request[phone.name])
        ):
            # No page of an earlier sync, however: a lease would begin again with it, and TLS lets nobody replay one.
            self._say(f"answer {message.number} finds nobody who waits for it")
            return
        self._say(f"answer {message.number} reaches {phone.name}")
        page = message.answer if isinstance(message.answer, PullAnswer) else None
        if page is not None:
            self._truth[phone.name] = message.truth
            phone.on_commit = lambda: self.lending.stored(phone, page)
        if isinstance(message.answer, PushAnswer) and message.answer.receipt is not None:
            self.oracle.signed_for |= {d for _, _, d in json.loads(_unsealed(message.answer.receipt))["ops"]}
        self._on(phone, lambda: phone.resume(message.answer))
        phone.on_commit = None

    # The server -------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """A new process over the same database."""
        self._say("the server starts")
        self.server.start()
        self.check_database()

    def begin_backup(self) -> None:
        """A backup copies the database; notes may come before it is complete."""
        self._say("a backup is begun")
        life = self.oracle.life
        life.backed_up = life.backed_up or {}
        self.copied = self.server.copy(), deepcopy(life)

    def complete_backup(self) -> None:
        """The backup is whole: phones may forget what it holds."""
        assert self.copied is not None
        self._say("the backup is complete")
        self.backup, self.copied = self.copied, None
        self.server.keep(self.backup[0])
        life = self.oracle.life
        life.backed_up = (life.backed_up or {}) | self.backup[1].marks()

    def restore(self) -> None:
        """The server is lost, and comes back from its newest backup."""
        assert self.backup is not None
        self._say("the server is lost and restored from its backup")
        before = self.server.incarnation
        self.server.restore(self.backup[0])
        self.copied = None
        self.oracle.life = self.backup[1].after_restore()
        self.lending.on_phones.server_lost()
        if self.server.incarnation == before:
            raise Violation(11, "a restored server has the incarnation of the one before")
        self.check_database()
        self.check_nothing_lost()

    # Phones come and go -----------------------------------------------------------------------------------

    def keep_snapshot(self, phone: Phone) -> None:
        """A backup of the phone is made."""
        self._say(f"a backup of {phone.name} is made")
        self.snapshots[phone.name] = phone.store.copied(), self.lending.remember(phone)

    def clone(self, phone: Phone, *, imaged: bool = False) -> None:
        """The phone's store is copied to another, and both live on. `imaged`: the whole disk, so that the clone's store
        cannot tell and goes on with the same numbers."""
        if len(self.living()) >= PHONES_MAX or phone.name == NEVER_COPIED:
            return
        name = f"{phone.name}'"
        while name in self.phones:
            name += "'"
        self._say(f"{phone.name} is cloned as {name}{', the whole disk' if imaged else ''}")
        inode = phone.store.file_identity() if imaged else None
        clone = self._phone(name, phone.store.copied(), inode)
        self.oracle.written[name] = set(clone.store.lines_held())
        self._truth[name] = self._truth.get(phone.name)
        self.lending.on_phones.copied.add(phone.enrolled_as)
        self.lending.copied(clone, self.lending.remember(phone))

    def roll_back(self, phone: Phone, *, same_disk: bool) -> None:
        """The phone is restored from its backup: what was written since is gone with it. `same_disk`: in place, so
        that the store cannot tell."""
        if phone.name not in self.snapshots or phone.name == NEVER_COPIED:
            return
        copy, remembered = self.snapshots[phone.name]
        self._say(f"{phone.name} is restored from its backup{' in place' if same_disk else ''}")
        inode = phone.store.file_identity() if same_disk else None
        phone.end()
        self.lending.observe(phone)
        again = self._phone(phone.name, copy, inode)
        if same_disk:
            again.goes_on_from(phone)
        self.oracle.written[phone.name] = set(again.store.lines_held())
        self._truth.pop(phone.name, None)
        self.lending.copied(again, remembered)
        if self.lending.on_phones.now[phone.name]:
            self.lending.on_phones.copied.add(again.enrolled_as)

    def lose(self, phone: Phone) -> None:
        """The phone falls into the river."""
        self._say(f"{phone.name} is lost")
        phone.end()
        self.lending.observe(phone)

    def jump_clock(self, phone: Phone, hours: int) -> None:
        """The phone's clock is set wrong by so many hours."""
        self._say(f"{phone.name}'s clock is wrong by {hours} h")
        phone.clock_offset_ms = hours * HOUR_MS

    def pass_time(self, seconds: int) -> None:
        self._say(f"{seconds} s pass")
        self.now += seconds * 1000

    # What must hold ---------------------------------------------------------------------------------------

    def check_database(self, *, every_moment: bool = False) -> None:
        """The database beside the oracle, row by row; the ledger of holdings now, or at every moment there was."""
        life = self.oracle.life
        life.check_ledger(self.server.rows(LEDGER), self.now)
        life.check_set_aside(self.server.rows(SET_ASIDE))
        life.check_notes(self.server.rows(NOTES))
        life.check_wipes(self.server.rows("SELECT device_id, wipe_begun_at, wiped_at FROM device"))
        self.lending.check_ledger(every_moment=every_moment)

    def check_nothing_lost(self) -> None:
        held = {}
        for phone in self.living():
            held[phone.name] = phone.store.lines_held()
        self.oracle.check_nothing_lost(held)

    def drain(self) -> None:
        """The faults stop: everything must come to rest in a bounded number of rounds, and all agree."""
        self._say("faults stop")
        self.network.clear()
        if not self.server.up:
            self.restart()
        for phone in self.running():
            if phone.syncing:
                self.die(phone)
        for _ in range(ROUNDS_MAX):
            for phone in self.living():
                self.sync(phone, 50)
                self.run_until_idle(phone)
        self.check_database(every_moment=True)
        self.oracle.life.check_texts(self.server.texts())
        self.check_nothing_lost()
        for phone in self.living():
            status = phone.device.status()
            if not status.all_sent:
                raise Violation(
                    15, f"{phone.name} still has {status.state} after {ROUNDS_MAX} syncs without faults"
                )
            mine = phone.store.lines_held()
            self.oracle.check_drained(phone.device.enrolled().user, phone.enrolled_as, mine)
        waiting = set(self.oracle.life.parked) & set(self.oracle.life.notes)
        if waiting:
            raise Violation(15, f"{len(waiting)} notes are here, and what waits for them still waits")

    def run_until_idle(self, phone: Phone) -> None:
        """Deliver whatever this phone asks, at once and whole, until its sync ends."""
        for _ in range(TURNS_MAX):
            if not phone.syncing:
                return
            if isinstance(phone.waiting, Pause):
                self.wake(phone)
            else:
                self.deliver(self.network[-1])
        raise Violation(15, f"{phone.name} does not come to an end of its sync")


def _place(cursor: str) -> tuple[str, str, int, int]:
    """(incarnation, scope, xid, seq) of a cursor, read without its key."""
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    incarnation, scope, xid, seq, *_ = json.loads(raw[16:])
    return incarnation, scope, xid, seq


def _unsealed(receipt: str) -> bytes:
    payload = receipt.partition(".")[0]
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))


def _in_words(answer: Any, fate: str, up: bool) -> str:
    if not up and answer is None:
        return f"it {fate}" if fate in (DIES_BEFORE, DIES_AFTER) else "it is down"
    if isinstance(answer, TransportError):
        return f"{type(answer).__name__} ({fate})"
    if isinstance(answer, PushAnswer):
        verdicts = ", ".join(f"{v.v}{f' {v.code}' if v.code else ''}" for v in answer.verdicts)
        return f"{verdicts}; received through {answer.contiguous_through}, durable through {answer.durable_through}"
    if isinstance(answer, PullAnswer):
        again = f", resync: {answer.resync.reason}" if answer.resync else ""
        return f"{len(answer.changes)} changes, more {answer.more}{again}"
    return "answered"


@contextmanager
def world(engine: Engine, seed: int) -> Iterator[World]:
    """A world that is closed afterwards."""
    made = World(engine, seed)
    try:
        yield made
    finally:
        made.close()
