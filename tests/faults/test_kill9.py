"""The server and the phones are killed with SIGKILL while notes are written and pushed."""

import pytest

from tests.faults import kill9, kill_phones


@pytest.mark.invariant(1, 2, 3)
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice_after_sigkill() -> None:
    seed = 7
    print(f"seed {seed}")
    result = kill9.run(rounds=3, notes=4_000, children=2_000, seed=seed)
    assert result.kills >= 1, "the server was never killed: the run was too short to prove anything"
    assert result.acknowledged == result.written
    assert result.pullable == result.written
    assert result.in_ledger == result.written
    assert result.notes == result.written


@pytest.mark.invariant(1, 2, 12, 15)
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_that_a_phone_said_to_have_kept_is_lost_or_doubled_wherever_it_is_killed() -> None:
    seed = 11
    print(f"seed {seed}")
    found = kill_phones.run(rounds=4, phones=3, seed=seed)
    print(found)
    assert found.kills >= 5, "hardly a phone was killed: the run proves nothing"
    assert found.acknowledged >= 6
    assert found.whole, found
