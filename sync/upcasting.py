"""Bodies of every schema that was ever shipped, brought up to the newest before they are read.

A step takes a body of schema n and gives one of n + 1: plain JSON values in, plain JSON values out. Lines are stored as
they arrived, so a body is brought up each time it is read, and a step is for ever. To ship schema n + 1: raise
`SCHEMA_NEWEST` in `operations`, put the step from n into `STEPS`, and keep an old line of schema n among the vectors.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

Step = Callable[[str, dict[str, Any]], dict[str, Any]]
"""(kind of op, body) to the body of the next schema."""

STEPS: Mapping[int, Step] = {}
"""By the schema that each step starts from. Schema 1 is the first that was shipped and still the newest."""


def upcast(kind: str, schema: int, raw: bytes, newest: int, steps: Mapping[int, Step] = STEPS) -> bytes:
    """The body as JSON of schema `newest`. Raises msgspec.DecodeError where it is none of its schema."""
    if schema >= newest:
        return raw
    body = msgspec.json.decode(raw, type=dict[str, Any])
    for step in range(schema, newest):
        try:
            body = steps[step](kind, body)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise msgspec.ValidationError(f"not a body of schema {schema}") from error
    return msgspec.json.encode(body)
