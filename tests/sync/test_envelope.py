"""The messages: every one survives the wire, bounds are kept, a newer server's fields are let pass."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import limits
from sync.envelope import CUSTODY, Change, Hello, Outcome, PullAnswer, PullRequest, PushAnswer, Verdict
from tests.sync.strategies import changes, verdicts


@given(st.lists(verdicts, max_size=5), st.integers(0, 99), st.none() | st.text(max_size=9))
def test_a_push_answer_survives_the_wire(said: list[Verdict], through: int, receipt: str | None) -> None:
    answer = PushAnswer(verdicts=tuple(said), durable_through=through, receipt=receipt, backoff_ms=through)
    assert msgspec.json.decode(msgspec.json.encode(answer), type=PushAnswer) == answer


@given(st.lists(changes, max_size=5))
def test_a_page_survives_the_wire(some: list[Change]) -> None:
    answer = PullAnswer(changes=tuple(some), cursor="c", more=True, checkpoint={"b": (1, "0" * 16)})
    assert msgspec.json.decode(msgspec.json.encode(answer), type=PullAnswer) == answer


def test_hello_needs_only_what_every_server_says_and_lets_news_pass() -> None:
    hello = msgspec.json.decode(b'{"server_time": 1, "incarnation": "i", "motto": "x"}', type=Hello)
    assert hello.limits == limits.Limits() and hello.durable_through == {} and not hello.wipe


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": 0},
        {"limit": limits.PULL_CHANGES_MAX + 1},
        {"schema": 0},
        {"cursor": "x" * 1001},
        {"cursor": 5},
        {"colour": "red"},
    ],
)
def test_a_pull_that_asks_for_too_much_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(asked), type=PullRequest)


def test_only_retry_leaves_an_op_with_the_phone() -> None:
    assert set(Outcome) - CUSTODY == {Outcome.RETRY}


def test_the_announced_limits_are_the_ones_that_are_held() -> None:
    announced = limits.Limits()
    assert announced.ops_per_push == limits.OPS_PER_PUSH_MAX == limits.RECEIPT_HASHES_MAX
    assert announced.op_bytes < announced.push_wire_bytes < announced.push_unpacked_bytes
