"""Completes the OpenAPI description of each route with the problems that it can answer with, and the scope it needs."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from litestar import Router
from litestar.config.app import AppConfig
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from .authentication import scope_of
from .problems import CONTENT_TYPE, TITLES, ProblemDocument

# Each route can be refused for these reasons; a route adds its own by `opt={"problems": (404, …)}`.
_ALWAYS: Final = (400, 401, 403, 412, 413, 421, 429, 500, 503, 504)


def document_problems(config: AppConfig) -> AppConfig:
    """Add the problem documents to the description of each route; Litestar calls it before it registers them."""
    for handler in handlers_of(config.route_handlers):
        statuses: Sequence[int] = (*_ALWAYS, *handler.opt.get("problems", ()))
        specs = {status: _spec(status) for status in sorted(set(statuses))}
        handler.responses = specs | dict(handler.responses or {})
        if (scope := scope_of(handler)) is not None:
            handler.security = [{"key": [scope.value]}]
    return config


def handlers_of(routes: Iterable[object]) -> Iterator[HTTPRouteHandler]:
    """Yield the HTTP handlers among routes and routers, except those that the framework adds for OPTIONS."""
    for each in routes:
        if isinstance(each, HTTPRouteHandler):
            if each.http_methods != {"OPTIONS"}:
                yield each
        elif isinstance(each, Router):
            for route in each.routes:
                yield from handlers_of(getattr(route, "route_handlers", ()))


def paths_of(routes: Iterable[object]) -> Iterator[str]:
    """Yield the paths of routes and routers, and that of the description itself."""
    yield "/schema"
    for each in routes:
        if isinstance(each, Router):
            yield each.path
        elif isinstance(each, HTTPRouteHandler):
            yield from each.paths


def _spec(status: int) -> ResponseSpec:
    return ResponseSpec(ProblemDocument, description=TITLES[status], media_type=CONTENT_TYPE, generate_examples=False)
