"""Dip samples: of closed work alone, by stratum, that nobody can steer and anybody can draw again."""

from __future__ import annotations

import hashlib

import pytest

from server import duty
from server.access.errors import NotAllowed
from server.records import likeness, sampling
from tests.road import AMARA, CAMDEN, JONAS, TWIN, Road, somebody

SCRUTINY = somebody("quill", "scrutiny", None)
GAFFER = somebody("gaffer", "force_duty_officer", None)
SECRET = "ab" * 32


def closed(road: Road, subject=AMARA, home: str = "E09000022") -> int:  # type: ignore[no-untyped-def]
    child = road.child(subject, home)
    road.officer("okafor", home).writes(subject)
    alert = road.alerts_of(child, "open")[-1].alert_id
    road.store.write_now(lambda tx: duty.close(tx, GAFFER, alert, "Spoken to the school", now=road.now))
    return alert


def announce(road: Road, before: int) -> int:
    return road.store.write_now(
        lambda tx: sampling.announce(
            tx, SCRUTINY, secret=SECRET, closed_from=0, closed_before=before, per_stratum=1,
            public_source="The lottery of 5 December", now=road.now,
        )
    )  # fmt: skip


def test_a_sample_is_of_closed_work_and_one_of_each_stratum_and_is_drawn_once(road: Road) -> None:
    mine, other = closed(road), closed(road, JONAS, CAMDEN)
    road.child(TWIN, CAMDEN)
    road.officer("lee", CAMDEN).writes(TWIN)
    number = announce(road, road.now + 1)
    hidden = road.store.read_now(lambda tx: sampling.sample(tx, SCRUTINY, number))
    assert hidden.secret is None and hidden.commitment == hashlib.sha256(
        f"earlysign-dip-1:{SECRET}".encode()
    ).hexdigest()  # fmt: skip

    def draw(at: int) -> list[int]:
        return road.store.write_now(lambda tx: sampling.draw(tx, SCRUTINY, number, "7 11 13", now=at))

    assert draw(road.now) == [], "the window has not ended"
    assert sorted(draw(road.now + 1)) == [mine, other]
    assert draw(road.now + 2) == [], "a sample is drawn once"
    shown = road.store.read_now(lambda tx: sampling.sample(tx, SCRUTINY, number))
    assert (shown.secret, shown.public_value) == (SECRET, "7 11 13")
    assert road.store.write_now(
        lambda tx: sampling.judge(tx, SCRUTINY, number, mine, "good", "Seen at once", now=road.now)
    )
    assert not road.store.write_now(
        lambda tx: sampling.judge(tx, SCRUTINY, number, 999, "good", "Not in it", now=road.now)
    )
    with pytest.raises(NotAllowed):
        road.store.read_now(lambda tx: sampling.items(tx, GAFFER, number, now=road.now))


def test_the_draw_is_what_its_description_says(road: Road) -> None:
    pool = [(number, f"B{number % 3}", "red" if number % 2 else "green") for number in range(1, 200)]
    seed = hashlib.sha256(f"earlysign-dip-1:{SECRET}:42".encode()).hexdigest()
    wanted = set()
    for stratum in {(borough, grade) for _, borough, grade in pool}:
        ids = [number for number, *rest in pool if tuple(rest) == stratum]
        ids.sort(key=lambda number: hashlib.sha256(f"{seed}:{number}".encode()).hexdigest())
        wanted |= set(ids[:2])
    assert {number for number, _, _ in sampling.drawn_from(pool, SECRET, "42", 2)} == wanted
    assert {number for number, _, _ in sampling.drawn_from(pool[::-1], SECRET, "42", 2)} == wanted
    assert {number for number, _, _ in sampling.drawn_from(pool, SECRET, "43", 2)} != wanted


def test_cases_like_one_say_what_they_share(road: Road) -> None:
    mine, other = closed(road), closed(road, JONAS, CAMDEN)
    (found,) = road.store.read_now(lambda tx: likeness.like(tx, SCRUTINY, mine, now=road.now))
    assert found.alert_id == other and "neglect" in found.shared and "graded green" in found.shared
    assert road.store.read_now(lambda tx: likeness.like(tx, GAFFER, mine, now=road.now)) == []
