"""The composition root: `create_app(settings) -> Litestar`. Only this file knows every concrete class."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from litestar import Litestar
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import CacheControlHeader, State
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler

from server.access import sessions
from server.access.crypto import derive, load_secret
from server.access.passwords import Passwords
from server.access.policy import load_policy
from server.access.sessions import SessionRules
from server.access.signing import SigningKey
from server.access.throttle import Limits
from server.ahead import Ahead
from server.alerts.channels import Channel
from server.alerts.presets import load_presets
from server.alerts.push import VapidKey
from server.alerts.stream import Hub
from server.alerts.ways import channels_of, open_ways
from server.casework.boroughs import Force, default_force, load_force
from server.casework.pack import Pack, default_pack_text, load_pack
from server.checkpoints import Totals
from server.clock import now_ms
from server.console import pages
from server.http import (
    administration,
    alerts,
    attachments,
    children,
    devices,
    health,
    incidents,
    merging,
    noticing,
    overview,
    problems,
    reviews,
    scrutiny,
    search,
    shown_attachments,
    sign_in,
    sync,
    telling,
    transfers,
)
from server.http.answered import Answered
from server.http.at_once import AtOnce
from server.http.auth import OPEN, authenticate, provide_device, provide_person, provide_services
from server.http.csrf import COOKIE, HEADER, CSRFCheck
from server.http.docs import StrictStructSchemaPlugin, openapi_config
from server.http.live import Streams
from server.http.media import CheckedRequest, no_options, read_expected_type
from server.http.metrics import Metrics
from server.http.notes_first import NotesFirst, OnePush
from server.http.observe import Observe
from server.http.services import Services
from server.http.turns import Turns
from server.jobs import escalation
from server.jobs.scheduler import Jobs
from server.records import published, reference, steps
from server.settings import MEGABYTE, Settings
from server.storage import DEFAULTS, StorageSettings, Store, Transaction, open_store
from server.storage.blobs import Blobs
from server.world import Worlds

STATIC = Path(__file__).parent / "console" / "static"
# Ten minutes: a page asks for its style sheet once, and an upgrade is seen soon after.
STATIC_CACHE = CacheControlHeader(max_age=600, public=True)
BODY_BYTES_MAX = 1024 * 1024  # doors that take more (sync, attachments) say so themselves

# Every door. A room adds its handlers here and nowhere else.
HANDLERS: list[ControllerRouterHandler] = [
    *devices.HANDLERS,
    *sign_in.HANDLERS,
    *health.HANDLERS,
    *incidents.HANDLERS,
    *sync.HANDLERS,
    *attachments.HANDLERS,
    *shown_attachments.HANDLERS,
    *pages.HANDLERS,
    *alerts.HANDLERS,
    *children.HANDLERS,
    *reviews.HANDLERS,
    *merging.HANDLERS,
    *search.HANDLERS,
    *administration.HANDLERS,
    *telling.HANDLERS,
    *transfers.HANDLERS,
    *overview.HANDLERS,
    *noticing.HANDLERS,
    *scrutiny.HANDLERS,
    problems.problem_page,
]


def server_version() -> str:
    """The installed version, or `0` in a checkout that was never installed."""
    try:
        return installed_version("earlysign")
    except PackageNotFoundError:
        return "0"


def publish(tx: Transaction, force: Force) -> None:
    """Let phones have this release's words and this force's boroughs. Writes nothing where they have them."""
    published.publish(tx, published.VOCABULARY, published.vocabulary_rows())
    published.publish(tx, published.AREAS, published.area_rows(force))


def make_store(settings: Settings, storage: StorageSettings = DEFAULTS) -> Store:
    """Open the database that the settings name; the data folder is made, for its owner only."""
    make_data_folder(settings)
    return open_store(settings.sqlite_path if settings.uses_sqlite else settings.database, storage)


def make_data_folder(settings: Settings) -> None:
    """Make the data folder, readable by the server's account only."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_services(
    settings: Settings, store: Store, metrics: Metrics, pack: Pack, ahead: Ahead | None = None
) -> Services:
    """Put together what the doors use. Raises `PolicyError`, `TellingError`, `WebhooksError`, and `PackError` for
    rules that do not fit the policy."""
    make_data_folder(settings)
    secret = load_secret(settings.data, settings.secret)
    policy = load_policy(settings.policy, settings.boroughs)
    session_rules = SessionRules(settings.session_idle_minutes * 60_000, settings.session_hours * 3_600_000)
    escalation.check_roles(pack, policy)
    worlds = Worlds(pack)
    store.write_now(lambda tx: publish(tx, policy.force))
    store.read_now(worlds.current)  # loaded now, so that the first push does not wait for it
    worlds.load_beside(store)
    return Services(
        settings=settings,
        store=store,
        policy=policy,
        passwords=Passwords(settings.password_hashes_at_once),
        session_rules=session_rules,
        limits=Limits(
            settings.sign_in_attempts,
            settings.sign_in_attempts_per_address,
            settings.sign_in_window_minutes * 60_000,
            derive(secret, "attempts"),
        ),
        secret=secret,
        receipt_key=SigningKey(secret),
        metrics=metrics,
        worlds=worlds,
        presets=load_presets(settings.telling),
        vapid_public=VapidKey(secret).public,
        ways=open_ways(settings),
        incarnation=store.write_now(reference.incarnation),
        cursor_key=derive(secret, "cursor"),
        pass_key=derive(secret, "pass"),
        blobs=Blobs(settings.attachments, settings.attachment_reserve_megabytes * MEGABYTE),
        turns=Turns(),
        notes_first=NotesFirst(),
        one_push=OnePush(),
        totals=Totals(),
        answered=Answered(),
        ahead=ahead,
        hub=Hub(
            store,
            steps.TOPIC,
            steps.steps_after,
            steps.newest_event,
            alerts.encode_step,
            signed_in=lambda tx, some: sessions.standing(tx, policy, session_rules, some, now_ms()),
            still_here=alerts.still_here,
        ),
    )


@asynccontextmanager
async def background(services: Services, channels: Sequence[Channel]) -> AsyncIterator[None]:
    """The live stream and, where the settings say so, the jobs, for as long as the server runs."""
    jobs = Jobs(
        services.store,
        services.worlds,
        channels,
        services.session_rules,
        services.limits,
        now_ms,
        services.blobs,
        services.policy,
        services.presets,
    )
    await services.hub.start()
    if services.ahead is not None:
        services.ahead.begin()
    try:
        if services.settings.jobs:
            await jobs.start()
        try:
            yield
        finally:
            await jobs.stop()
    finally:
        if services.ahead is not None:
            await services.ahead.stop()
        await services.hub.stop()


def make_pack(settings: Settings) -> Pack:
    """The rules to start with: those that ship, or the file that the settings name, for the force's own boroughs.

    A pack that was put in force in the database (`earlysign rules reload`) holds in its place. Raises
    `PackError` with the line of a mistake, and `BoroughsError`.
    """
    force = load_force(settings.boroughs) if settings.boroughs else default_force()
    return load_pack(settings.rules if settings.rules else default_pack_text(), force)


def create_app(
    settings: Settings, *, store: Store | None = None, handlers: Sequence[ControllerRouterHandler] = ()
) -> Litestar:
    """Build the application. The database is opened when it starts, and closed when it stops.

    `store` (tests, demo) is used instead of the settings' database, and left open. `handlers` are more doors.
    """
    metrics = Metrics()
    make_data_folder(settings)
    csrf = CSRFConfig(
        secret=derive(load_secret(settings.data, settings.secret), "csrf").hex(),
        cookie_name=COOKIE,
        header_name=HEADER,
        cookie_secure=settings.behind_tls,
    )

    @asynccontextmanager
    async def running(app: Litestar) -> AsyncIterator[None]:
        opened = make_store(settings) if store is None else store
        try:
            if settings.migrates_on_start:
                opened.migrate()
            pack = make_pack(settings)
            # A database in memory, which tests have, can be read by no other process.
            ahead = Ahead(str(settings.sqlite_path)) if store is None and settings.decides_ahead else None
            services = make_services(settings, opened, metrics, pack, ahead)
            channels = channels_of(settings, services.secret)
            app.state.store = opened
            app.state.services = services
            app.state.problem_page = pages.problem_page
            try:
                async with background(services, channels):
                    yield
            finally:
                services.passwords.close()
                services.blobs.close()
        finally:
            if store is None:
                await opened.close()

    app = Litestar(
        route_handlers=[
            *HANDLERS,
            *handlers,
            create_static_files_router(
                path="/static",
                directories=[STATIC],
                opt=OPEN,
                include_in_schema=False,
                cache_control=STATIC_CACHE,
            ),
        ],
        guards=[no_options, authenticate, read_expected_type],
        request_class=CheckedRequest,
        middleware=[DefineMiddleware(CSRFCheck, config=csrf)],
        dependencies={
            "services": Provide(provide_services, sync_to_thread=False),
            "person": Provide(provide_person, sync_to_thread=False),
            "device": Provide(provide_device, sync_to_thread=False),
            "desk": Provide(pages.provide_desk, sync_to_thread=False),
        },
        exception_handlers=problems.EXCEPTION_HANDLERS,
        lifespan=[running],
        state=State(),
        openapi_config=openapi_config(server_version()),
        plugins=[StrictStructSchemaPlugin()],
        request_max_body_size=BODY_BYTES_MAX,
        # Litestar's logging writes exceptions with their text; ours (server/logs.py) never does.
        logging_config=None,
        debug=False,
    )
    at_once = AtOnce(app.asgi_handler, app.state)
    observe = Observe(at_once, at_once.first, metrics, behind_tls=settings.behind_tls)
    app.asgi_handler = Streams(observe)
    app.state.first = observe.first  # asked by `http.one_piece`
    return app
