"""The audit trail: the six verbs, the chain of entries, and the proof that nobody touched it."""

from __future__ import annotations

from server.audit.declare import (
    AuditMissing,
    Declaration,
    audited,
    declaration,
    declared_verb,
    impersonal,
)
from server.audit.trail import record
from server.audit.verbs import Actor, Verb, device, person, system

__all__ = [
    "Actor",
    "AuditMissing",
    "Declaration",
    "Verb",
    "audited",
    "declaration",
    "declared_verb",
    "device",
    "impersonal",
    "person",
    "record",
    "system",
]
