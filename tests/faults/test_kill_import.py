"""An import of a registry is killed with SIGKILL at any point and run again."""

import pytest

from tests.faults import kill_import


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_import_that_is_killed_again_and_again_ends_as_one_that_is_not() -> None:
    seed = 7
    print(f"seed {seed}")
    result = kill_import.run(children=55_000, seed=seed)  # enough for the helper processes
    assert result.kills >= 2 and result.interrupted >= 1, "it was never killed while it wrote"
    assert result.killed == result.whole
    assert result.names_alike
    assert result.orphans == 0
