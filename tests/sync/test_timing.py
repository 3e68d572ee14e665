"""A note is dated by the server's time, as well as a phone can know it, whatever its clock says."""

import pytest

from sync.timing import Heard, time_known

YEAR = 365 * 86_400_000
HEARD_AT = 1_795_000_000_000
HOUR = 3_600_000


def heard(behind: int) -> Heard:
    """From a phone whose clock was `behind` at that moment, five minutes after it was switched on."""
    return Heard(server=HEARD_AT, wall=HEARD_AT - behind, monotonic=300_000, boot_id="one")


@pytest.mark.parametrize("behind", [3 * YEAR, -3 * YEAR, 0, 61_000])
@pytest.mark.parametrize("set_to", [0, HEARD_AT - 9 * YEAR, HEARD_AT + 9 * YEAR])
def test_within_one_boot_no_wall_clock_is_believed(behind: int, set_to: int) -> None:
    assert time_known(heard(behind), wall=set_to, monotonic=300_000 + HOUR, boot_id="one") == HEARD_AT + HOUR


@pytest.mark.parametrize(
    ("behind", "wall", "known"),
    [
        pytest.param(3 * YEAR, HEARD_AT - 3 * YEAR + HOUR, HEARD_AT + HOUR, id="as far behind as before"),
        pytest.param(-3 * YEAR, HEARD_AT + 3 * YEAR + HOUR, HEARD_AT + HOUR, id="as far ahead as before"),
        pytest.param(3 * YEAR, HEARD_AT + HOUR, HEARD_AT + HOUR, id="behind, and put right since"),
        pytest.param(-3 * YEAR, HEARD_AT + HOUR, HEARD_AT + HOUR, id="ahead, and put right since"),
        pytest.param(0, HEARD_AT + HOUR, HEARD_AT + HOUR, id="right all along"),
        pytest.param(0, 0, HEARD_AT, id="lost with the battery: not before what the server said"),
    ],
)
def test_after_another_boot_the_least_that_can_be(behind: int, wall: int, known: int) -> None:
    assert time_known(heard(behind), wall=wall, monotonic=60_000, boot_id="two") == known


def test_a_monotonic_clock_that_went_back_is_another_boot() -> None:
    assert time_known(heard(0), wall=HEARD_AT + HOUR, monotonic=1, boot_id="one") == HEARD_AT + HOUR


def test_before_the_server_was_ever_heard_the_clock_is_all_there_is() -> None:
    assert time_known(None, wall=17, monotonic=4, boot_id="one") == 17
