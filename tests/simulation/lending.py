"""What a world checks of all that phones are lent: every page as it is sent, every phone as it ends what it was lent,
and the ledger of holdings beside what really lay on the phones' disks."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import msgspec

from client_stub.lending import Lending as PhoneLending
from server import phones as phones_of
from server.storage import Transaction
from sync.envelope import PullAnswer, PullRequest
from tests.road import REGISTRY
from tests.simulation.lent import AREAS, VOCABULARY, OnPhones, PhoneLease, Rows, checksum, told
from tests.simulation.oracle import Violation
from tests.simulation.phone import Call, Phone

if TYPE_CHECKING:
    from tests.simulation.world import Message, World

Truth = dict[str, Rows]
"""By bucket, what a phone must hold at a checkpoint."""

KINDS = {VOCABULARY: "word_list", AREAS: "area"}
LIVE_ALERTS = (
    "SELECT child_id, alert_id, grade, why, started_at, borough FROM alert WHERE state <> 'closed'"
    " ORDER BY alert_id"
)
SUBJECTS = (
    "SELECT n.note_id, s.child_id FROM note n JOIN subject s ON s.note_key = n.note_key"
    " JOIN child c ON c.child_id = s.child_id WHERE c.standing NOT IN ('awaiting_review', 'retired')"
)


class Asked(msgspec.Struct, frozen=True):
    """A phone's clocks when it first asked what it asks."""

    said: PullRequest
    boot: str
    monotonic: int
    wall: int


class Place(msgspec.Struct, frozen=True):
    """A cursor, read without its key."""

    incarnation: str
    lent: dict[str, tuple[int, int]]
    issued_at: int

    @classmethod
    def of(cls, cursor: str) -> Place:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        incarnation, _, _, _, lent, issued_at = json.loads(raw[16:])
        return cls(incarnation, {name: (place[0], place[1]) for name, place in lent.items()}, issued_at)

    @property
    def briefing(self) -> tuple[int, int] | None:
        return next((at for name, at in self.lent.items() if name.startswith("briefing:")), None)


class Lending:
    """One world's leases, ledger and phones."""

    def __init__(self, world: World, cast: dict[str, dict[str, Any]], lasts: int) -> None:
        self.world = world
        self.cast = cast
        """By given names: what an officer knows of a child."""
        self.lasts = lasts
        self.wards: dict[str, str] = {}
        """By device."""
        self.on_phones = OnPhones()
        self.leases: dict[str, PhoneLease | None] = {}
        self.ended: set[str] = set()
        """Phones that have erased their briefing and not yet said so."""
        self._asked: dict[str, Asked] = {}

    # What the server sends --------------------------------------------------------------------------------

    def check_page(self, message: Message, answer: PullAnswer) -> Truth | None:
        """A page as it leaves the server: its lease, its scope, each row, and at a checkpoint what there is in all."""
        world, asked = self.world, message.call.said
        device, author = world.device_id(message.phone), message.phone.partition("-")[0]
        lent, now = world.oracle.life.lent, world.now
        bucket = f"briefing:{self.wards[device]}"
        if asked.lease is not None:
            lent.begin(device, now, self.lasts)
        until = lent.runs(device, now)
        said = None if answer.lease is None else (answer.lease.bucket, answer.lease.until, answer.lease.lasts)
        if said != (None if until is None else (bucket, until, until - now)):
            raise Violation(8, f"{message.phone} was told of the lease {said}, and it runs until {until}")
        before = None if answer.resync is not None or asked.cursor is None else Place.of(asked.cursor)
        after = Place.of(answer.cursor)
        if before is not None:
            here = None if bucket in asked.emptied else before.briefing
            lent.came_back(device, here, before.issued_at, now)
            if left := before.lent.keys() - asked.emptied - after.lent.keys() - {*answer.buckets_removed}:
                raise Violation(8, f"{message.phone} was not told that it no longer may hold {sorted(left)}")
        scope = {f"notes:{author}", VOCABULARY, AREAS} | ({bucket} if until is not None else set())
        truth = self._truth(author, bucket if until is not None else None, now)
        self._check_rows(message.phone, answer, scope, truth)
        changes = [change for change in answer.changes if change.bucket == bucket and until is not None]
        lent.sent(
            device,
            [int(change.id) for change in changes if change.op == "put"],
            [int(change.id) for change in changes if change.op == "remove"],
            after.lent.get(bucket, (0, 0)),
            now,
        )
        return None if answer.checkpoint is None else self._check_checkpoint(answer, truth)

    def _check_rows(self, phone: str, answer: PullAnswer, scope: set[str], truth: Truth) -> None:
        for change in answer.changes:
            if change.op != "put":
                continue
            if change.bucket not in scope:
                raise Violation(8, f"{phone} was sent a row of {change.bucket}")
            if change.bucket.startswith("notes:") and change.kind == "note":
                continue
            row = truth[change.bucket].get(change.id)
            if change.kind == "decision":
                said = {name: (change.data or {}).get(name) for name in ("sha256", "decision")}
                if row is None or row[1] != said:
                    raise Violation(
                        8, f"{phone} was told of a decision that was not made about its officer's"
                    )
                continue
            if row is None or row[1] != change.data:
                raise Violation(8, f"{phone} was sent another row of {change.bucket} than there is")

    def _check_checkpoint(self, answer: PullAnswer, truth: Truth) -> Truth:
        wanted = {
            bucket: (len(rows), checksum((_kind(bucket, id), id, rev) for id, (rev, _) in rows.items()))
            for bucket, rows in truth.items()
        }
        assert answer.checkpoint is not None
        found = {bucket: tuple(counted) for bucket, counted in answer.checkpoint.items()}
        if found != wanted:
            wrong = sorted(name for name in found.keys() | wanted if found.get(name) != wanted.get(name))
            raise Violation(9, f"a checkpoint speaks of other rows than there are: {wrong}")
        return truth

    def _truth(self, author: str, briefing: str | None, now: int) -> Truth:
        """What somebody with this scope must hold now."""
        lent = self.world.oracle.life.lent

        def read(tx: Transaction) -> Truth:
            notes = tx.rows("SELECT note_id, rev FROM note WHERE author = :author", {"author": author})
            found: Truth = {f"notes:{author}": {note_id: (rev, {}) for note_id, rev in notes}}
            for number, (whose, digest, decision) in self.world.oracle.life.decided.items():
                if whose == author:
                    found[f"notes:{author}"][number] = (1, {"sha256": digest, "decision": decision})
            revs = {(name, id): rev for name, id, rev in tx.rows("SELECT bucket, id, rev FROM published")}
            for name in KINDS:
                rows = lent.published.get(name, {})
                found[name] = {id: (revs.get((name, id), -1), data) for id, data in rows.items()}
            if briefing is not None:
                found[briefing] = self._briefing(tx, briefing.partition(":")[2], now)
            return found

        return self.world.server.store.read_now(read)

    def _briefing(self, tx: Transaction, ward: str, now: int) -> Rows:
        """The children of a ward with a live alert, whom its officers' notes are about."""
        life = self.world.oracle.life
        stands: dict[str, int] = dict(tx.rows(SUBJECTS))
        who = {
            stands[note_id]: note.who
            for note_id, note in life.notes.items()
            if not note.withdrawn and self.wards[note.device] == ward and note_id in stands
        }
        alerts: dict[int, list[tuple[Any, ...]]] = {}
        for child, *alert in tx.rows(LIVE_ALERTS):
            alerts.setdefault(child, []).append(tuple(alert))
        revs: dict[int, int] = dict(
            tx.rows("SELECT child_id, rev FROM briefed WHERE ward = :ward AND gone = 0", {"ward": ward})
        )
        found: Rows = {}
        for child, name in who.items():
            says = told(self.cast[name], alerts.get(child, ()), now)
            if says is not None and child not in life.lent.restricted:
                found[str(child)] = (revs.get(child, -1), says)
        return found

    # What phones do ---------------------------------------------------------------------------------------

    def asks(self, phone: Phone, call: Call) -> None:
        """A phone asks for a page, perhaps again."""
        before = self._asked.get(phone.name)
        if before is None or before.said != call.said:
            self._asked[phone.name] = Asked(call.said, phone.boot, phone.monotonic_ms(), phone.wall_ms())
        lawful = phone.name in self.ended
        for bucket in call.said.emptied:
            if not (lawful and bucket.startswith("briefing:")):
                raise Violation(
                    9, f"{phone.name}'s copy of {bucket} differs from what the server says it holds"
                )

    def sync_begins(self, phone: Phone) -> None:
        """What it asks from now on is asked anew."""
        self._asked.pop(phone.name, None)

    def stored(self, phone: Phone, answer: PullAnswer) -> None:
        """A phone that was sent a page has committed something: the page, the first time."""
        asked = self._asked.pop(phone.name, None)
        if asked is None:
            return
        lease = answer.lease
        self.leases[phone.name] = (
            None
            if lease is None
            else PhoneLease(lease.until, lease.lasts, asked.boot, asked.monotonic, asked.wall)
        )
        if asked.said.emptied:
            self.ended.discard(phone.name)
        self.observe(phone)
        if Place.of(answer.cursor).incarnation != self.world.server.incarnation:
            self.on_phones.unknown[phone.name] = {*self.on_phones.now.get(phone.name, {})}
        elif answer.resync is not None:
            self.on_phones.begun_anew(phone.name, self.world.now)

    def observe(self, phone: Phone) -> set[int]:
        """Note which children are on its disk now."""
        held = set() if phone.gone else children_on(phone)
        self.on_phones.saw(phone.name, phone.enrolled_as, held, self.world.now)
        return held

    def copied(self, phone: Phone, remembered: tuple[PhoneLease | None, bool]) -> None:
        """A phone lives on from a copy of a disk, with what that had to go by."""
        self.leases[phone.name], ended = remembered
        self.ended.discard(phone.name)
        if ended:
            self.ended.add(phone.name)
        self.observe(phone)

    def remember(self, phone: Phone) -> tuple[PhoneLease | None, bool]:
        return self.leases.get(phone.name), phone.name in self.ended

    def open_program(self, phone: Phone) -> None:
        """What every command of the phone does first: erase what is over."""
        PhoneLending(phone.device).erase_if_over()

    def check_erased(self, phone: Phone, before: set[int]) -> None:
        """A phone has just looked at its clocks: its briefing is gone if any says so, and only then."""
        held = self.observe(phone)
        lease = self.leases.get(phone.name)
        over = lease is None or lease.over(phone.boot, phone.monotonic_ms(), phone.wall_ms())
        if before and not held:
            self.ended.add(phone.name)
            if not over:
                raise Violation(9, f"{phone.name} erased its briefing before the lease was over")
        if not held:
            return
        if over:
            raise Violation(8, f"{phone.name} still holds {len(held)} children, and its lease is over")
        if lease is not None and lease.boot == phone.boot and self.world.now >= lease.until:
            raise Violation(8, f"{phone.name} holds {len(held)} children longer than the server lent them")

    def check_holds(self, phone: Phone, truth: Truth) -> None:
        """A phone at the end of its sync beside what the server had at the checkpoint (invariant 9)."""
        for bucket in truth.keys() | phone.store.holdings().keys():
            if bucket.startswith("briefing:") and phone.name in self.ended:
                continue
            wanted = truth.get(bucket, {})
            held = {id: one for (_, id), one in phone.store.holdings().get(bucket, {}).items()}
            if {id: one.rev for id, one in held.items()} != {id: rev for id, (rev, _) in wanted.items()}:
                raise Violation(
                    9, f"{phone.name} holds {len(held)} rows of {bucket} at its checkpoint, not {len(wanted)}"
                )
            if bucket in KINDS and any(one.data != wanted[id][1] for id, one in held.items()):
                raise Violation(9, f"{phone.name} holds other words of {bucket} than the server has")

    # The ledger of holdings -------------------------------------------------------------------------------

    def check_ledger(self, *, every_moment: bool) -> None:
        """`earlysign devices holdings DEVICE --at TIME` beside what a server can know, and beside the truth."""
        world, lent = self.world, self.world.oracle.life.lent
        living = {phone.name: phone.enrolled_as for phone in world.living()}
        moments = {
            device: sorted(
                {world.now}
                | (lent.moments(device) | self.on_phones.moments(device) if every_moment else set())
            )
            for device in self.wards
        }

        def ask(tx: Transaction) -> dict[tuple[str, int], set[int]]:
            return {
                (device, at): {
                    one.child_id for one in phones_of.holdings(tx, device, at, actor=REGISTRY, now=world.now)
                }
                for device, times in moments.items()
                for at in times
            }

        for (device, at), says in world.server.store.read_now(ask).items():
            if says != lent.on_phone(device, at):
                raise Violation(8, f"the ledger says {len(says)} children on {device[:4]} at {at}, wrongly")
            if device not in self.on_phones.copied and (
                unsaid := self.on_phones.held(living, device, at) - says
            ):
                raise Violation(
                    8, f"{len(unsaid)} children were on {device[:4]}, and the ledger does not say so"
                )


def children_on(phone: Phone) -> set[int]:
    """The children on its disk."""
    rows = phone.store.every("SELECT id FROM held WHERE bucket LIKE 'briefing:%'")
    return {int(id) for (id,) in rows}


def _kind(bucket: str, id: str) -> str:
    own = "decision" if ":" in id else "note"
    return KINDS.get(bucket) or (own if bucket.startswith("notes:") else "child")
