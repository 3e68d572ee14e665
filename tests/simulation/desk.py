"""What people at desks do in a world: answer and close alerts, restrict records, release what was set aside, send out
other words, revoke phones and have them wiped. Each method is an event."""

from __future__ import annotations

import msgspec

from server import duty, releasing
from server.access import devices
from server.audit import Actor
from server.records import published
from server.records.alerts import AlertConflict
from server.records.child import Details
from server.storage import Transaction
from tests.road import REGISTRY, Road, somebody
from tests.simulation.lent import AREAS, VOCABULARY
from tests.simulation.oracle import Oracle, Violation, sha
from tests.simulation.phone import Phone
from tests.simulation.server import SimServer

GAFFER = somebody("gaffer", "force_duty_officer", None)
CATEGORIES, BOROUGH = "categories", "E09000022"


class Desk:
    """The half of a world that is not on the street."""

    server: SimServer
    oracle: Oracle
    now: int

    def _say(self, what: str) -> None:
        raise NotImplementedError

    def acknowledge(self, which: int) -> None:
        """Somebody answers an alert, and the authors' phones will hear that their notes were seen."""
        alert_id = self._alert("state = 'open'", which)
        if alert_id is None:
            return
        self._say(f"alert {alert_id} is acknowledged")
        try:
            self.server.store.write_now(lambda tx: duty.acknowledge(tx, GAFFER, alert_id, now=self.now))
        except AlertConflict as error:
            self._say(f"    it was not: {error}")

    def close_alert(self, which: int) -> None:
        """An alert ends, and where it was the last of its child, the child leaves every briefing."""
        alert_id = self._alert("state <> 'closed'", which)
        if alert_id is None:
            return
        self._say(f"alert {alert_id} is closed")
        self.server.store.write_now(lambda tx: duty.close(tx, GAFFER, alert_id, "Dealt with", now=self.now))

    def _alert(self, condition: str, which: int) -> int | None:
        found = self.server.rows(f"SELECT alert_id FROM alert WHERE {condition} ORDER BY alert_id")
        return found[which % len(found)][0] if found else None

    def restrict(self, which: int) -> None:
        """The registry's next file says that a child's record is restricted, or no longer."""
        known = self.server.rows("SELECT child_id FROM child WHERE registry_id IS NOT NULL ORDER BY child_id")
        (child_id,) = known[which % len(known)]
        restricted = self.oracle.life.lent.restricted
        now_so = child_id not in restricted
        self._say(f"child {child_id} is {'restricted' if now_so else 'no longer restricted'}")
        road = Road(self.server.store)
        road.now = self.now
        ((details,),) = self.server.rows(f"SELECT details FROM child WHERE child_id = {child_id}")
        known_as = msgspec.json.decode(bytes(details), type=Details)
        road.registry_says(child_id, known_as, restricted=now_so)
        self.oracle.life.lent.in_doubt.add(known_as.given_names or "")
        (restricted.add if now_so else restricted.remove)(child_id)

    def publish(self, number: int) -> None:
        """A new release has other words, and the force other boroughs."""
        words: dict[str, dict[str, object]] = {CATEGORIES: {"labels": {"neglect": f"Neglect ({number})"}}}
        if number % 2:
            words["phrases"] = {"advice": {"streetwise": "what happened"}}
        areas: dict[str, dict[str, object]] = {
            BOROUGH: {"name": f"Lambeth ({number})", "unit": "Central South", "contact": None}
        }
        self._say(f"words number {number} are sent out")
        for bucket, rows in ((VOCABULARY, words), (AREAS, areas)):
            self._publish(bucket, rows)

    def _publish(self, bucket: str, rows: dict[str, dict[str, object]]) -> None:
        def work(tx: Transaction) -> None:
            published.publish(tx, bucket, rows)

        self.server.store.write_now(work)
        self.oracle.life.lent.published[bucket] = {**rows}

    def release(self, which: int) -> None:
        """Somebody sends a line that was set aside down the road."""
        waiting = self.server.rows(
            "SELECT q.quarantine_id, q.device_id, q.code, COALESCE(q.line, o.line), o.op_id FROM quarantine q"
            " LEFT JOIN op o ON o.op_id = q.op_id WHERE q.decision IS NULL ORDER BY q.quarantine_id"
        )
        if not waiting:
            return
        number, device, code, line, op_id = waiting[which % len(waiting)]
        wanted = self.oracle.life.release(
            device, bytes(line), code, number, self.now, has_key=op_id is not None
        )
        try:
            verdict = self.server.store.write_now(
                lambda tx: releasing.release(
                    tx, Actor("person", GAFFER.username), number, now=self.now,
                    world=self.server.worlds.current(tx),
                )
            )  # fmt: skip
            became: str | None = verdict.v.value
        except releasing.NotReleased as refused:
            became = None
            code = refused.code
        self._say(f"line {number} that was set aside ({code}) is {became or 'not'} released")
        if became != wanted:
            raise Violation(4, f"a line that was released ended {became} and should be {wanted}")
        if became is not None:
            self._decided(number, device, bytes(line), "released")
        elif which % 2:
            self._refuse(number, device, bytes(line))

    def _refuse(self, number: int, device: str, line: bytes) -> None:
        """Somebody says why a line that cannot be released is not."""
        self._say(f"line {number} that was set aside is refused")
        self.server.store.write_now(
            lambda tx: releasing.refuse(
                tx, Actor("person", GAFFER.username), number, "Written again", now=self.now
            )
        )
        self._decided(number, device, line, "refused")

    def _decided(self, number: int, device: str, line: bytes, decision: str) -> None:
        """The officer's phones must hear of it."""
        ((author,),) = self.server.rows(
            "SELECT p.username FROM device d JOIN person p ON p.id = d.person WHERE d.device_id = :device",
            device=device,
        )
        self.oracle.life.decided[f"aside:{number}"] = (author, sha(line), decision)

    def revoke(self, phone: Phone) -> None:
        """An administrator revokes the phone (and every clone of it)."""
        self._say(f"{phone.name} is revoked")
        self.server.revoke(phone.enrolled_as)
        self.oracle.life.revoked.add(phone.enrolled_as)
        self.oracle.wanted_gone.add(phone.enrolled_as)

    def order_wipe(self, phone: Phone) -> None:
        """An administrator tells the phone (and every clone of it) to wipe itself once it has sent all it had."""
        self._say(f"{phone.name} is to be wiped")
        device = phone.enrolled_as
        self.server.store.write_now(lambda tx: devices.order_wipe(tx, device, actor=REGISTRY, now=self.now))
        self.oracle.wanted_gone.add(device)
