"""Back-pressure: a hint while many phones push, and a refusal that takes nothing when too many do."""

from __future__ import annotations

import contextlib

import pytest

from server.http.notes_first import (
    BACKOFF_MS_EACH,
    BACKOFF_MS_MAX,
    COME_BACK_SECONDS,
    PUSHES_AT_ONCE_MAX,
    PUSHES_AT_ONCE_MIN,
    PUSHES_WITH_ROOM,
    SECONDS_EACH_AT_FIRST,
    WAIT_SECONDS_MAX,
    NotesFirst,
)
from server.storage.port import StorageBusy
from tests.http.kit import Client, Phone, assert_problem, services_of
from tests.http.test_at_once import no_layer
from tests.http.test_sync import Sender, counted


def test_the_hint_grows_with_those_who_wait_and_is_bounded() -> None:
    pushes = NotesFirst()
    with contextlib.ExitStack() as under_way:
        hints = []
        for _ in range(PUSHES_AT_ONCE_MAX):
            under_way.enter_context(pushes.pushing())
            hints.append(pushes.backoff_ms())
    assert hints[PUSHES_WITH_ROOM - 1] == 0 and hints[PUSHES_WITH_ROOM] == BACKOFF_MS_EACH
    assert hints == sorted(hints) and hints[-1] == BACKOFF_MS_MAX
    assert pushes.backoff_ms() == 0 and pushes.under_way == 0


def let_in_until_full(pushes: NotesFirst, others: contextlib.ExitStack) -> int:
    """How many come in before one is turned away."""
    count = 0
    while not pushes.is_full:
        others.enter_context(pushes.let_in())
        count += 1
    with pytest.raises(StorageBusy), pushes.let_in():
        pass
    return count


@pytest.mark.parametrize(
    ("seconds_each", "let_in"),
    [(0.02, 300), (0.5, PUSHES_AT_ONCE_MIN), (0.001, PUSHES_AT_ONCE_MAX)],
)
def test_as_many_are_let_in_as_are_answered_while_one_may_wait(seconds_each: float, let_in: int) -> None:
    now = 0.0
    pushes = NotesFirst(lambda: now)
    with contextlib.ExitStack() as others:
        others.enter_context(pushes.let_in())  # somebody is always behind
        for _ in range(400):
            with pushes.let_in():
                now += seconds_each
    with contextlib.ExitStack() as others:
        assert let_in_until_full(pushes, others) == pytest.approx(let_in, rel=0.05)
    assert not pushes.is_full


def test_neither_an_idle_server_nor_a_refused_push_says_how_fast_it_goes() -> None:
    now = 0.0
    pushes = NotesFirst(lambda: now)
    at_first = round(WAIT_SECONDS_MAX / SECONDS_EACH_AT_FIRST)
    for _ in range(400):
        with pushes.let_in():
            now += 60.0
        with contextlib.suppress(ValueError), pushes.let_in():
            raise ValueError
    with contextlib.ExitStack() as others:
        assert let_in_until_full(pushes, others) == at_first


def test_a_push_that_succeeds_under_pressure_carries_the_hint(client: Client, phone: Phone) -> None:
    sender = Sender(client, phone)
    assert sender.push(sender.line()).backoff_ms == 0
    with contextlib.ExitStack() as others:
        for _ in range(PUSHES_WITH_ROOM + 4):
            others.enter_context(services_of(client).notes_first.pushing())
        assert sender.push(sender.line()).backoff_ms == 4 * BACKOFF_MS_EACH


def test_invariant_4_too_many_at_once_are_told_to_come_back_and_nothing_of_theirs_is_taken(
    client: Client, phone: Phone
) -> None:
    sender = Sender(client, phone)
    line = sender.line()
    with contextlib.ExitStack() as others:
        let_in_until_full(services_of(client).notes_first, others)
        quick = sender.send(line)
        with no_layer():  # and so says the door
            answers = [quick, sender.send(line)]
        for answer in answers:
            assert_problem(answer, 503, "unavailable")
            assert answer.headers["retry-after"] == str(COME_BACK_SECONDS)
            assert answer.headers["cache-control"] == "no-store"
        differs = {"instance"}
        said, same = ({k: v for k, v in answer.json().items() if k not in differs} for answer in answers)
        assert said == same
        assert counted(client, "op") == 0
    assert sender.push(line).verdicts[0].v == "applied"
