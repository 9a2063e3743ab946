"""GET /metrics, /healthz and /readyz."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.di import NamedDependency

from ...tasks.metrics.exposition import expose
from ..keys import Scope
from ..problems import Problem, answer
from .operation import Operation


class ProbeAnswer(msgspec.Struct):
    """The answer to a probe that finds nothing wrong."""

    ok: bool = True


@get("/metrics", opt={"scope": Scope.READ}, media_type=MediaType.TEXT)
async def export_metrics(request: Request[Any, Any, Any], operation: NamedDependency[Operation]) -> Response[str]:
    """Export the metrics of the journal and of this process, in the text format of Prometheus or of OpenMetrics.

    The metrics of the journal are left out while this process has not read up to the journal's end.
    """
    body, content_type = expose(await operation.scraper.samples(), request.headers.get("accept", ""))
    return Response(body.decode(), media_type=content_type, headers={"Cache-Control": "no-store"})


@get("/healthz", opt={"scope": None})
async def probe_health(operation: NamedDependency[Operation]) -> Response[ProbeAnswer]:
    """Say whether this process makes progress; 503 if it should be started again."""
    return _answer("no-progress", await operation.progress.standing_still())


@get("/readyz", opt={"scope": None})
async def probe_readiness(operation: NamedDependency[Operation]) -> Response[ProbeAnswer]:
    """Say whether requests should come to this process; 503 while it starts, stops, or lacks its journal."""
    return _answer("not-ready", await operation.progress.not_ready())


def _answer(kind: str, reasons: Sequence[str]) -> Response[ProbeAnswer]:
    """Return the answer to a probe; not as an exception, since that would be a line in the log for each probe."""
    if reasons:
        return cast("Response[ProbeAnswer]", answer(Problem(503, kind, "; ".join(reasons), retry_after=1)))
    return Response(ProbeAnswer(), headers={"Cache-Control": "no-store"})
