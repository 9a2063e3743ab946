"""Hooks of gunicorn: in its configuration file, `from journeyman.top.gunicorn_hooks import *`.

`TOP_TRACKER_URL` names the journal. `when_ready` sweeps what a former run has left behind.
"""

from functools import cache
from typing import Any, Final

from .http_task import HTTPTask
from .integration import get_tracker_by_url_config
from .journal_tracker import JournalTracker
from .recording import Exchange

__all__ = ["post_request", "pre_request", "when_ready"]

_EXCHANGE: Final = "tracked_exchange"


@cache
def _tracker() -> JournalTracker[HTTPTask]:
    tracker = get_tracker_by_url_config(HTTPTask)
    if not isinstance(tracker, JournalTracker):
        raise TypeError("expected TOP_TRACKER_URL to name a journal, such as sqlite:////var/lib/shop.db")
    return tracker


def when_ready(_server: Any) -> None:
    """Sweep the requests that a former run of this server has left behind."""
    _tracker().clear()


def pre_request(worker: Any, req: Any) -> None:
    """Record the start of a request."""
    exchange = Exchange(_tracker().recorder, lambda: _request(req), str(worker))
    setattr(req, _EXCHANGE, exchange)


def post_request(_worker: Any, req: Any, _environ: Any, resp: Any) -> None:
    """Record the end of a request; gunicorn calls it without a response if there was none."""
    exchange = getattr(req, _EXCHANGE, None)
    if exchange is None:
        return
    status = getattr(resp, "status_code", None)
    if status is not None:
        exchange.status = int(status)
        exchange.headers = lambda: [(str(name), str(value)) for name, value in getattr(resp, "headers", ())]
        exchange.is_complete = True
    exchange.end()


def _request(req: Any) -> dict[str, Any]:
    peer = getattr(req, "peer_addr", None)
    return {
        "protocol": getattr(req, "scheme", "http"),
        "method": req.method,
        "path": req.path,
        "query": req.query or "",
        "client": peer[0] if isinstance(peer, tuple) else None,
        "headers": [(str(name), str(value)) for name, value in req.headers],
    }
