"""Passwords: argon2id in threads of their own, few at once, and as long for unknown people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from server.access.errors import Busy, PasswordTooWeak

PASSWORD_LENGTH_MIN = 12  # three random words; no rules on capitals and digits, which make passwords worse
PASSWORD_LENGTH_MAX = 256  # a longer one only costs us time
WAITING_MAX = 64  # at 0.1 s each and two at once, the last of 64 waits about 3 s; more would wait for nothing
BUSY_RETRY_S = 5
TOO_COMMON = frozenset({"password1234", "passwordpassword", "123456789012", "qwertyuiop12", "letmeinletmein"})

# argon2id with the parameters of RFC 9106 for little memory, of random bytes that nobody kept: checked when
# the username is unknown, so that both cost the same. A test holds its parameters to those in use.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$0KqXK2tYXBc1SxSllCXEmA$3SXnho4Du6Mm9Bw070d4F+zWf26bPWI1VGdGsnSqQ2Y"

T = TypeVar("T")


def check_new_password(password: str, username: str) -> None:
    """Raise `PasswordTooWeak` for a password that is too short, too long, or easy to guess."""
    if len(password) < PASSWORD_LENGTH_MIN:
        raise PasswordTooWeak(f"A password needs at least {PASSWORD_LENGTH_MIN} characters.")
    if len(password) > PASSWORD_LENGTH_MAX:
        raise PasswordTooWeak(f"A password may have at most {PASSWORD_LENGTH_MAX} characters.")
    lowered = password.lower()
    if lowered in TOO_COMMON or len(set(lowered)) < 4 or (username and username.lower() in lowered):
        raise PasswordTooWeak("That password is too easy to guess.")


class Passwords:
    """Hashes and checks passwords off the event loop. `at_once` bounds processor and memory (64 MiB each)."""

    def __init__(self, at_once: int = 2) -> None:
        self._hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="password")
        self._waiting = 0

    def hash_now(self, password: str) -> str:
        """The argon2id hash, blocking (commands and tests)."""
        return self._hasher.hash(password.encode("utf-8", "surrogatepass"))

    def verify_now(self, stored: str | None, password: str) -> bool:
        """Whether the password matches; with `stored=None` (unknown person) it takes as long and says no."""
        try:
            matches = self._hasher.verify(stored or NOBODY, password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
        return matches and stored is not None

    async def hash(self, password: str) -> str:
        """The argon2id hash. Raises `Busy` when too many are waiting."""
        return await self._run(self.hash_now, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Like `verify_now`, in a thread. Raises `Busy` when too many are waiting."""
        return await self._run(self.verify_now, stored, password)

    async def _run(self, work: Callable[..., T], *args: str | None) -> T:
        if self._waiting >= WAITING_MAX:
            raise Busy(BUSY_RETRY_S)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
