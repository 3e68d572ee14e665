"""Escalation: an alert that nobody answers is told to one level after the other, each when its time has come."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from server.access.policy import Permission, Policy
from server.audit import Actor
from server.casework.clocks import steps_from
from server.casework.pack import Pack, PackError
from server.records import escalations
from server.records.alerts import Alert, State
from server.storage.port import Transaction
from server.world import World

ACTOR = Actor("system", "escalation")


def run(tx: Transaction, now: int, world: World) -> int:
    """Tell every level whose time has come; how many were told.

    After a time when no server ran it catches up: each level that was missed is told, in order and once. The
    steps after one that was late keep their own times.
    """
    return sum(_climb(tx, alert, now, world.pack, world.channels) for alert in escalations.due(tx, now=now))


def _climb(tx: Transaction, alert: Alert, now: int, pack: Pack, channels: Sequence[str]) -> int:
    assert alert.escalates_at is not None, "only alerts with a time are due"
    if alert.state is not State.OPEN:
        return _warn(tx, alert, now, pack, channels)
    preset, ends_at = pack.preset_of(alert.borough), alert.deadline_at
    steps = steps_from(alert.grade, preset, alert.level, alert.escalates_at, ends_at, pack)
    if not steps:
        # Everybody was told and then it grew, or the pack has become shorter: whoever is last hears again.
        steps = steps_from(alert.grade, preset, max(0, alert.level - 1), alert.escalates_at, ends_at, pack)[
            -1:
        ]
    if not steps:
        escalations.end_escalation(tx, alert)
        return 0
    told = 0
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if step.at > now:
            break
        moved = escalations.escalate(
            tx,
            ACTOR,
            alert,
            level=step.level,
            told=step.role,
            next_at=following.at if following else _warning_after(alert, now),
            now=now,
            channels=channels,
        )
        if not moved:
            break
        alert, told = msgspec.structs.replace(alert, rev=alert.rev + 1), told + 1
    return told


def _warning_after(alert: Alert, now: int) -> int | None:
    """When the last of a chain hears once more, because a clock of the alert's own ends soon after."""
    return alert.warns_at if alert.warns_at is not None and alert.warns_at > now else None


def _warn(tx: Transaction, alert: Alert, now: int, pack: Pack, channels: Sequence[str]) -> int:
    """An alert that was answered has a clock of its own that ends soon: the first of the chain hears of it."""
    chain = pack.escalations.chain(alert.grade)
    if not chain:
        escalations.end_escalation(tx, alert)
        return 0
    moved = escalations.escalate(
        tx,
        ACTOR,
        alert,
        level=alert.level,
        told=chain[0].role,
        next_at=None,
        now=now,
        detail=alert.due_words,
        channels=channels,
    )
    return int(moved)


def check_roles(pack: Pack, policy: Policy) -> None:
    """Raise `PackError` where a chain names a role that the policy does not have, or that may not answer."""
    for name in pack.escalations.roles():
        role = policy.roles.get(name)
        if role is None or Permission.ACKNOWLEDGE_ALERTS not in role.permissions:
            able = ", ".join(
                other
                for other, found in policy.roles.items()
                if Permission.ACKNOWLEDGE_ALERTS in found.permissions
            )
            raise PackError(
                f"escalations: `{name}` is not a role that may acknowledge alerts. Those that may: {able}."
            )
