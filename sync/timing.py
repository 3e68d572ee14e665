"""What time it is, on a device whose clock anybody can set.

A note that a phone dates by a clock which is years behind is counted by no rule, and its child is taken for years older
than the officer said. So a note is dated by what the server last said and how long ago that was.
"""

import msgspec


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What the server's clock said, and this device's own at that moment. Milliseconds; `monotonic` counts from the
    boot that `boot_id` names."""

    server: int
    wall: int
    monotonic: int
    boot_id: str


def time_known(heard: Heard | None, *, wall: int, monotonic: int, boot_id: str) -> int:
    """The server's time, as well as it can be known: ms since the epoch.

    Within the boot in which the server was heard its monotonic clock says how long that is ago. After another boot the
    wall clock may be as wrong as it was, or have been put right, or have been lost with the battery: it is never before
    what the server last said, and of what remains the earliest is taken, for that strays least.
    """
    if heard is None:
        return wall
    if boot_id == heard.boot_id and monotonic >= heard.monotonic:
        return heard.server + monotonic - heard.monotonic
    as_wrong_as_before = wall + heard.server - heard.wall
    return min((at for at in (wall, as_wrong_as_before) if at >= heard.server), default=heard.server)
