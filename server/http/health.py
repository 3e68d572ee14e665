"""Is it alive, is it ready, how is it doing: for supervisors, load balancers and Prometheus."""

from __future__ import annotations

import hmac
import shutil
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency

from server.alerts.channels import EVERYBODY
from server.clock import now_ms
from server.http import problems
from server.http.auth import OPEN, client_address
from server.http.metrics import CONTENT_TYPE
from server.http.problems import NOT_ALLOWED, Problem, documented
from server.http.services import Services
from server.records import dead_letters, quarantine, reviewing
from server.settings import LOOPBACK
from server.storage.port import StorageUnavailable, Transaction

WRITABLE_BYTES_MIN = 1024 * 1024
"""With less than that left, one push may already fail."""


class Health(msgspec.Struct, frozen=True):
    """`status` is always `ok`: a problem has another HTTP status."""

    status: Literal["ok"] = "ok"


@get("/health/live", opt=OPEN, tags=["server"], summary="Is the process alive")
async def live() -> Health:
    """Answers as long as the event loop turns; asks nothing of the database."""
    return Health()


@get(
    "/health/ready",
    opt=OPEN,
    responses=documented(problems.UNAVAILABLE),
    tags=["server"],
    summary="Can it take requests",
)
async def ready(services: NamedDependency[Services]) -> Health:
    """Reads from the database, and looks whether it may be written to and whether SQLite's disk has room. 503 means:
    send requests to another process, or wait.

    A channel of alerts that fails is no reason to turn notes away: `/metrics` and `earlysign doctor` say so instead.
    """
    settings = services.settings
    if settings.uses_sqlite and shutil.disk_usage(settings.data).free < WRITABLE_BYTES_MIN:
        raise Problem(
            problems.UNAVAILABLE,
            "The server's disk is full: no note can be taken.",
            hint="Make room on the disk of the data folder.",
        )
    if not await services.store.read(_can_write):
        raise Problem(
            problems.UNAVAILABLE,
            "The database can be read only: no note can be taken.",
            hint="Look whether its disk was remounted to be read only, or to whom the data folder belongs; with"
            " PostgreSQL, whether this is the primary.",
        )
    return Health()


def _can_write(tx: Transaction) -> bool:
    tx.value("SELECT count(*) FROM person WHERE id = 0")
    return tx.may_be_written()


@get(
    "/metrics",
    opt=OPEN,
    media_type=CONTENT_TYPE,
    responses=documented(NOT_ALLOWED),
    tags=["server"],
    summary="Numbers for Prometheus",
    include_in_schema=False,
)
async def metrics(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """Counts and times, without any personal data.

    Asks for the token of the settings, or answers this machine only.
    """
    wanted = services.settings.metrics_token
    if wanted:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        allowed = hmac.compare_digest(sent.encode("utf-8", "surrogatepass"), wanted.encode())
    else:
        allowed = client_address(request) in LOOPBACK
    if not allowed:
        raise Problem(
            NOT_ALLOWED,
            "The metrics are not shown to this address.",
            hint="Set EARLYSIGN_METRICS_TOKEN and send it as a bearer token.",
        )
    now = now_ms()
    try:
        linked, channels, set_aside = await services.store.read(
            lambda tx: (
                reviewing.totals(tx),
                dead_letters.health(tx, (EVERYBODY, *services.ways), now=now),
                quarantine.standing(tx),
            )
        )
    except StorageUnavailable:
        # What this process counts itself is wanted most while the database is away.
        linked, channels, set_aside = [], [], None
    return Response(services.metrics.render(linked, channels, now, set_aside), media_type=CONTENT_TYPE)


HANDLERS = [live, ready, metrics]
