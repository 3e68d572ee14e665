"""Escalation: an alert that nobody answers is told to one level after the other, each when its time has come, and then
to the last of them again and again, until somebody answers."""

from __future__ import annotations

import heapq

import msgspec

from server.access.policy import Permission, Policy
from server.audit import Actor
from server.casework.clocks import again_at, last_role, steps_from
from server.casework.lines import on_line
from server.casework.pack import Pack, PackError
from server.records import escalations, own_clocks
from server.records.alerts import Alert, State
from server.records.steps import INVESTIGATORS
from server.storage.port import Transaction
from server.world import World
from sync.vocabulary import Grade

ACTOR = Actor("system", "escalation")


class Round(msgspec.Struct, frozen=True):
    """What one round did: how many levels were told, and whether more is due at once."""

    told: int
    more: bool


def run(tx: Transaction, now: int, world: World) -> Round:
    """Tell every level whose time has come, the earliest first, as far as one round goes.

    After a time when no server ran, rounds follow one another until nothing is due: each level that was missed is
    told once, in the order of all the deadlines that were missed, whichever alert they are of. The steps after one
    that was late keep their own times. Of the times at which the last of a chain should have heard again, all that
    were missed are made up for by one.
    """
    found = escalations.due(tx, now=now)
    more = len(found) == escalations.ESCALATIONS_PER_ROUND_MAX
    # Beyond the last one read there may be others that are earlier than the next steps of these.
    until = now if not more else min(now, found[-1].escalates_at or now)
    waiting = [(alert.escalates_at or 0, alert.alert_id, alert) for alert in found]
    heapq.heapify(waiting)
    told = 0
    while waiting:
        _, _, alert = heapq.heappop(waiting)
        moved = _climb(tx, alert, now, world.pack)
        if moved is None:
            continue
        told += 1
        if moved.escalates_at is not None and moved.escalates_at <= now:
            if moved.escalates_at <= until:
                heapq.heappush(waiting, (moved.escalates_at, moved.alert_id, moved))
            else:
                more = True
    return Round(told, more)


def _climb(tx: Transaction, alert: Alert, now: int, pack: Pack) -> Alert | None:
    """Tell the next level of one alert. The alert as it is then, or None where nobody was told."""
    assert alert.escalates_at is not None, "only alerts with a time are due"
    if alert.state is not State.OPEN:
        return _warn(tx, alert, now, pack)
    due_at, preset, ends_at = alert.escalates_at, pack.preset_of(alert.borough), alert.deadline_at
    above = steps_from(alert.grade, preset, alert.level, due_at, ends_at, pack)
    if above:
        level, told = above[0].level, above[0].role
    else:
        role = last_role(alert.grade, preset, alert.started_at, ends_at, pack)
        level, told = alert.level, role or alert.owner or INVESTIGATORS
    if len(above) > 1:
        next_at = above[1].at
    else:
        hears = [again_at(alert.grade, preset, due_at, now, pack), *_warnings_after(tx, alert, now)]
        next_at = min(hears)
    moved = escalations.escalate(tx, ACTOR, alert, level=level, told=told, next_at=next_at, now=now)
    if not moved:
        return None
    return msgspec.structs.replace(
        alert, level=level, escalates_at=next_at, waits_for=told, rev=alert.rev + 1
    )


def _warnings_after(tx: Transaction, alert: Alert, now: int) -> list[int]:
    """When the last of a chain hears all the same, because a clock of the alert's own ends soon after."""
    return [clock.warns_at for clock in own_clocks.of_alert(tx, alert.alert_id) if clock.warns_at > now]


def _warn(tx: Transaction, alert: Alert, now: int, pack: Pack) -> Alert | None:
    """An alert that was answered has clocks of its own: of each that ends soon the first of the chain hears, and the
    alert shows the one that ends next."""
    chain, clocks = pack.escalations.chain(alert.grade), own_clocks.of_alert(tx, alert.alert_id)
    ripe = own_clocks.ripe(clocks, now) if chain else None
    if ripe is None:
        own_clocks.show(tx, alert.alert_id, clocks if chain else (), now, sleeps=True)
        return None
    clocks = [msgspec.structs.replace(one, warned=True) if one == ripe else one for one in clocks]
    next_at = now if own_clocks.ripe(clocks, now) else own_clocks.wakes_at(clocks, now)
    moved = escalations.escalate(
        tx, ACTOR, alert,
        level=alert.level, told=chain[0].role, next_at=next_at, now=now, detail=ripe.due_words,
    )  # fmt: skip
    if not moved:
        return None
    own_clocks.warned(tx, ripe, now=now)
    own_clocks.show(tx, alert.alert_id, clocks, now, sleeps=False)
    return msgspec.structs.replace(alert, escalates_at=next_at, rev=alert.rev + 1)


def check_roles(pack: Pack, policy: Policy, text: str = "") -> None:
    """Raise `PackError` where a chain names a role that the policy does not have, or that may not answer, with the
    line where the pack's text is given."""
    for grade in Grade:
        for index, step in enumerate(pack.escalations.chain(grade)):
            role = policy.roles.get(step.role)
            if role is None or Permission.ACKNOWLEDGE_ALERTS not in role.permissions:
                able = ", ".join(
                    other
                    for other, found in policy.roles.items()
                    if Permission.ACKNOWLEDGE_ALERTS in found.permissions
                )
                where = on_line(text, ("escalations", grade.value, index)) if text else ""
                raise PackError(
                    f"The rule pack is wrong{where}: escalations.{grade.value}: `{step.role}` is not a role that may"
                    f" acknowledge alerts. Those that may: {able}."
                )
