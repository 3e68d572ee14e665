"""Logs: one JSON object a line on standard error, which never holds personal data.

Every line, ours and the libraries', passes the same steps. Exceptions are written as their type and the
places they passed, without their text and without local values, because both may quote a record.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

FRAMES_MAX = 30  # deep enough for any path through this server and the framework
ROOT = Path(__file__).resolve().parent.parent
QUIET = {"uvicorn.access": logging.CRITICAL, "apscheduler": logging.ERROR, "httpx": logging.WARNING}


def without_values(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog step: replace `exc_info` by the exception's type and the files and lines it passed."""
    found = event.pop("exc_info", None)
    if not found:
        return event
    error = (
        found
        if isinstance(found, BaseException)
        else found[1]
        if isinstance(found, tuple)
        else sys.exc_info()[1]
    )
    if error is not None:
        event["exception"] = describe_exception(error)
    return event


def describe_exception(error: BaseException) -> list[str]:
    """`["ValueError", "server/intake.py:41 receive", ...]`: the innermost place last, causes after it."""
    lines: list[str] = []
    current: BaseException | None = error
    while current is not None and len(lines) < FRAMES_MAX:
        lines.append(type(current).__qualname__)
        frames = traceback.extract_tb(current.__traceback__)[-FRAMES_MAX:]
        lines.extend(f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return lines[: 2 * FRAMES_MAX]


def _short(filename: str) -> str:
    path = Path(filename)
    if path.is_relative_to(ROOT):
        return str(path.relative_to(ROOT))
    return "/".join(path.parts[-3:])


def configure(level: str = "info", form: str = "json") -> None:
    """Send structlog's and the standard library's lines through the same steps. Safe to call again."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_values,
    ]
    structlog.configure(
        # What is not logged at this level takes none of the steps: the line of each request, where only warnings are.
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    last: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if form == "console"
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(least)
