"""The server is killed with SIGKILL while phones push (invariants 1, 2, 3)."""

import pytest

from tests.faults import kill9


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
