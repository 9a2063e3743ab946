"""The application: the routers of all subjects, with authentication, problem documents and the OpenAPI document."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio
from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler

from ..journal.async_journal import AsyncJournal
from .authentication import middleware
from .backend import Backend
from .commands.routes import list_commands, show_command, start_command, stop_command
from .commands.running import Commands
from .description import document_problems, paths_of
from .events.appending import EventAppender
from .events.hub import Hub
from .events.latest import read_latest
from .events.routes import append_events, read_events
from .json_request import JsonRequest
from .limits import BODY_BYTES_MAX
from .log.direct import DirectAppends
from .log.routes import ROUTER as LOG
from .mounts import refuse_taken
from .openapi_page import PageRenderPlugin
from .operation.operation import Operation
from .operation.routes import export_metrics, probe_health, probe_readiness
from .page.routes import send_page_file
from .problems import handle
from .remote.routes import router as remote_workers
from .remote.workers import RemoteWorkers
from .root import describe_key, describe_service
from .segments import DecodedSegments, restored_slashes
from .settings import Settings
from .tasks.parameters import see, task_filter
from .tasks.routes import TASK_ROUTES
from .tasks.summaries import Summaries
from .topchef.errors import handler as topchef_errors
from .topchef.mounting import HEADERS as TOPCHEF_HEADERS
from .topchef.mounting import OverriddenMethods
from .topchef.mounting import router as services_and_jobs
from .topchef.parts import TopChef
from .tracker.listing import list_requests
from .tracker.requests import TrackedRequests
from .tracker.routes import track
from .trends.recent import RecentTrends
from .trends.routes import show_trends
from .version import VERSION

# The routers of the subjects; a new subject is one more line.
ROUTES: Final[Sequence[ControllerRouterHandler]] = (
    describe_service,
    describe_key,
    send_page_file,
    LOG,
    export_metrics,
    probe_health,
    probe_readiness,
    append_events,
    read_events,
    read_latest,
    remote_workers,
    track,
    list_requests,
    show_trends,
    start_command,
    list_commands,
    show_command,
    stop_command,
    *TASK_ROUTES,
)
_DESCRIPTION: Final = (
    "A journal of events, the task queue that is derived from it, and its history. Errors are problem documents "
    "(RFC 9457). An answer about state names the position up to which it speaks in the header `Journal-Cursor`; "
    "`at_least` waits for a position."
)


def create_app(journal: AsyncJournal, settings: Settings | None = None) -> Litestar:
    """Return the ASGI application that serves `journal`, which it opens at start-up and closes at shutdown.

    `app.state.backend` is the `Backend`, for the server that runs the application.
    """
    settings = Settings() if settings is None else settings
    backend = Backend(journal)
    remote, commands = RemoteWorkers(backend), Commands(backend)
    operation = Operation(backend, remote.counts)
    hub, tracked, recent = Hub(backend), TrackedRequests(backend, settings.keyring), RecentTrends(backend)
    parts = {
        "backend": backend,
        "appender": EventAppender(backend, hub),
        "commands": commands,
        "hub": hub,
        "operation": operation,
        "recent": recent,
        "remote": remote,
        "tracked": tracked,
        "summaries": Summaries(backend),
    }
    path = settings.topchef
    topchef = None if path is None else TopChef(backend, remote, path)
    if path is not None and topchef is not None:
        refuse_taken(path, paths_of(ROUTES))
        parts["topchef"] = topchef

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        bells = () if topchef is None else (topchef.bells.run,)
        async with backend.running(), hub.running(), anyio.create_task_group() as tasks:
            for run in (remote.run, tracked.run, recent.run, commands.run, *bells):
                tasks.start_soon(run)
            yield
            tasks.cancel_scope.cancel()

    checked = middleware(settings.keyring, settings.origins)
    app = Litestar(
        route_handlers=ROUTES if path is None else (*ROUTES, services_and_jobs(path)),
        request_class=JsonRequest,
        lifespan=[lifespan],
        dependencies={
            "seen": Provide(see),
            "wanted": Provide(task_filter),
            **{name: _provided(part) for name, part in parts.items()},
        },
        middleware=[checked, restored_slashes],
        exception_handlers={Exception: handle if path is None else topchef_errors(path)},
        cors_config=_cors(settings.origins),
        openapi_config=_described(),
        request_max_body_size=BODY_BYTES_MAX,
        logging_config=None,
        debug=False,
        on_app_init=[document_problems],
    )
    app.state.backend, app.state.hub, app.state.places = backend, hub, (journal.url, journal.location)
    inner = DecodedSegments(app.asgi_handler)
    app.asgi_handler = operation.observed(
        DirectAppends(inner if path is None else OverriddenMethods(inner, path), checked)
    )
    return app


def _described() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Journeyman",
        version=VERSION,
        description=_DESCRIPTION,
        use_handler_docstrings=True,
        render_plugins=[PageRenderPlugin(), JsonRenderPlugin()],
        openapi_router=Router("/schema", route_handlers=(), opt={"scope": None}, include_in_schema=False),
        components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
    )


def _provided(part: object) -> Provide:
    return Provide(lambda: part, sync_to_thread=False)


def _cors(origins: Sequence[str]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", *TOPCHEF_HEADERS],
        expose_headers=["Journal-Cursor", "Location"],
    )
