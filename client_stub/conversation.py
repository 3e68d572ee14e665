"""Talking with the server through failures: the token, the clock, polite waits, and when to stop for now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from client_stub import keys
from client_stub.device import Device
from client_stub.lending import children
from client_stub.transport import (
    VERSION,
    Busy,
    ClockWrong,
    NoSignal,
    ServerFault,
    TokenOver,
    Transport,
    TransportError,
)
from sync import limits
from sync.envelope import Condition, Wipe
from sync.outbox import retry_delay_ms, sync_state

T = TypeVar("T")


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How hard one sync tries. `tries_max` failures in a row end it; waits are drawn with full jitter."""

    tries_max: int = 6
    base_ms: int = 1_000
    cap_ms: int = 60_000
    wait_max_ms: int = 120_000
    """A server that asks for longer (Retry-After) is taken at its word, and the sync ends."""
    ops_per_push: int = limits.OPS_PER_PUSH_MAX
    """The most ops that this phone puts into one push; the server may allow fewer."""


class Report(msgspec.Struct, kw_only=True):
    """What one sync did. Counts of ops, requests and rows."""

    pushes: int = 0
    sent: int = 0
    receipted: int = 0
    retries: int = 0
    pulled: int = 0
    forgotten: int = 0
    wiped: bool = False
    set_aside: int = 0
    """Of what was on a device that is wiped now: how many entries a person at the server has to decide about."""
    attachments: int = 0
    """Photographs and recordings that the server signed for."""
    all_sent: bool = False
    problems: list[str] = msgspec.field(default_factory=list)


def condition_of(device: Device, wipe: Wipe | None = None) -> Condition:
    """What the server is told of this device."""
    store, around = device.store, device.surroundings
    return Condition(
        wall=around.now_ms(),
        monotonic=around.monotonic_ms(),
        boot_id=around.boot_id(),
        offset=int(store.get("clock_offset_ms") or 0),
        round_trip=int(store.get("round_trip_ms") or 0),
        version=VERSION,
        waiting=sync_state(store.all_entries()).waiting,
        holds=len(children(store.holdings())),
        wipe=wipe,
    )


class Stopped(Exception):
    """This sync ends here; the reason is in its report."""


class Conversation:
    """One sync's talk with one server. It counts failures in a row; a success forgets them."""

    def __init__(self, device: Device, transport: Transport, patience: Patience, report: Report) -> None:
        self._device = device
        self._around = device.surroundings
        self._transport = transport
        self._identity = device.enrolled()
        self._pem = device.private_key()
        self._patience = patience
        self._report = report
        self._token: str | None = None
        self._failures = 0

    def persistently(self, ask: Callable[[str], T]) -> T:
        """`ask(token)`, again after failures that may pass. Raises Stopped, Refused, NotUnderstood."""
        while True:
            try:
                answer = ask(self._access_token())
            except (NoSignal, Busy, ServerFault, TokenOver) as error:
                self._after_failure(error)
            else:
                self._failures = 0
                return answer

    def once(self, ask: Callable[[str], T]) -> T:
        """`ask(token)` a single time. Raises TransportError."""
        return ask(self._access_token())

    def last_word(self, ask: Callable[[str], T]) -> T:
        """`ask(token)` a single time with the token there is: nothing is left from which to make another.

        Raises TransportError.
        """
        if self._token is None:
            raise NoSignal("The token is over.")
        return ask(self._token)

    def _access_token(self) -> str:
        if self._token is None:
            try:
                token = self._transport.token(self._assertion())
            except ClockWrong as wrong:
                self._device.correct_clock(wrong.server_time, self._around.now_ms())
                token = self._transport.token(self._assertion())
            self._token = token.access_token
        return self._token

    def _assertion(self) -> str:
        return keys.assertion(
            self._pem,
            device_id=self._identity.device_id,
            audience=self._identity.audience,
            now_ms=self._device.corrected_now_ms(),
            jti=self._around.new_id(),
        )

    def _after_failure(self, error: TransportError) -> None:
        """Wait as long as is polite, or raise Stopped."""
        self._failures += 1
        self._report.retries += 1
        if self._failures >= self._patience.tries_max:
            raise Stopped(f"{error} {error.hint}") from error
        if isinstance(error, TokenOver):
            self._token = None
            if self._failures == 1:
                return
        wait_ms = retry_delay_ms(
            self._failures,
            self._around.random(),
            base_ms=self._patience.base_ms,
            cap_ms=self._patience.cap_ms,
        )
        if isinstance(error, Busy) and error.retry_after_ms is not None:
            if error.retry_after_ms > self._patience.wait_max_ms:
                raise Stopped(
                    f"The server asks to wait {error.retry_after_ms // 1000} seconds. Sync again then."
                )
            wait_ms += error.retry_after_ms
        self._around.sleep(wait_ms / 1000)
