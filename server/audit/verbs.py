"""The six things one can do to personal data, in the words of the Data Protection Act 2018, s.62."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

ActorKind = Literal["person", "device", "system"]


class Verb(StrEnum):
    """What was done. Section 62(1) of the Act names these six, and a log must tell them apart."""

    COLLECTION = "collection"  # a record came in
    ALTERATION = "alteration"  # a record was changed
    CONSULTATION = "consultation"  # a record was shown
    DISCLOSURE = "disclosure"  # a record was sent to somebody
    COMBINATION = "combination"  # records were joined, as when a subject is linked to a child
    ERASURE = "erasure"  # a record was erased


SHOWING = frozenset({Verb.CONSULTATION, Verb.DISCLOSURE})
"""Verbs of functions that answer with records; the other four change them."""


class Actor(msgspec.Struct, frozen=True):
    """Who did it: a person's or a device's id, or the name of the part of the server that did."""

    kind: ActorKind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


def person(person_id: int) -> Actor:
    return Actor("person", str(person_id))


def device(device_id: int | str) -> Actor:
    return Actor("device", str(device_id))


def system(part: str) -> Actor:
    """A job or a command acting by itself, by its name: `system("escalation")`."""
    return Actor("system", part)
