"""How a repository function declares what it does to personal data.

    @audited(Verb.CONSULTATION)
    def timeline(tx, actor, child_id, *, now): ...

    @impersonal("counts rows, and shows or changes none")
    def how_many(tx): ...

Every public function in `server/records/` carries one of the two; a test proves it. `audited` also
looks, at each call, whether an entry of its verb was recorded.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

import msgspec

from server.audit.trail import verbs_recorded
from server.audit.verbs import SHOWING, Verb
from server.storage.port import Transaction

P = ParamSpec("P")
R = TypeVar("R")

_MARK: Final = "__audit_declaration__"


class AuditMissing(AssertionError):
    """A function showed or changed personal data and recorded no entry: a mistake in the program.

    It undoes the transaction, so that nothing is shown or changed without a trace.
    """


class Declaration(msgspec.Struct, frozen=True):
    """What a function declares: a verb, or why it needs none."""

    verb: Verb | None = None
    impersonal_because: str | None = None


def audited(verb: Verb) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare that a function does `verb`, and check at each call that it recorded so.

    A function that shows (consultation, disclosure) needs an entry when its answer is not empty.
    One that changes needs an entry always, unless it answers False, 0 or an empty collection, which
    says that nothing was changed. The function takes the transaction as a parameter named `tx`.
    """

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        index = _index_of_tx(function)
        name = f"{function.__module__}.{function.__qualname__}"
        shows = verb in SHOWING

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            found: Any = kwargs["tx"] if "tx" in kwargs else args[index]
            tx: Transaction = found
            before = len(verbs_recorded(tx))
            answer = function(*args, **kwargs)
            if verb not in verbs_recorded(tx)[before:] and _needs_entry(answer, shows):
                raise AuditMissing(
                    f"{name} declares {verb.value} and recorded no such entry. "
                    "Call audit.record with the ids it shows or changes."
                )
            return answer

        setattr(checked, _MARK, Declaration(verb=verb))
        return checked

    return declare


def impersonal(because: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare that a function shows and changes no personal data, and why that is so."""
    if not because.strip():
        raise TypeError("impersonal needs a sentence that says why no entry is needed.")

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        setattr(function, _MARK, Declaration(impersonal_because=because))
        return function

    return declare


def declaration(function: object) -> Declaration | None:
    """What a function declares, or None where it declares nothing."""
    found = getattr(function, _MARK, None)
    return found if isinstance(found, Declaration) else None


def declared_verb(function: object) -> Verb | None:
    """The verb a function declares; None for an impersonal one and for one that declares nothing."""
    found = declaration(function)
    return None if found is None else found.verb


def _needs_entry(answer: object, shows: bool) -> bool:
    if answer is None:
        return not shows  # a change that answers nothing was made; a look that finds nothing was not
    return bool(answer)


def _index_of_tx(function: Callable[..., object]) -> int:
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__qualname__} is audited and must return its answer whole.")
    parameters = list(inspect.signature(function).parameters)
    if "tx" not in parameters:
        raise TypeError(f"{function.__qualname__} is audited and needs a parameter named tx.")
    return parameters.index("tx")
