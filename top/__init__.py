"""Request tracking: which HTTP requests a server answers now, and which it has answered, in a journal.

`HTTPTask`, the trackers and their functions have the names of the Top Framework. `TrackASGI`, `TrackWSGI` and
`gunicorn_hooks` each add the recording to a server in one line.
"""

from typing import TYPE_CHECKING

from ..lazy import searching

if TYPE_CHECKING:
    from .asgi import TrackASGI
    from .errors import InvalidTask, NoTrackerAvailableException, RESTResponseException
    from .http_task import HTTPTask
    from .integration import get_tracker_by_url_config
    from .journal_tracker import JournalTracker
    from .rest_tracker import RESTAPITracker
    from .task import Task
    from .tracker import Tracker
    from .wsgi import TrackWSGI

__all__ = [
    "HTTPTask",
    "Task",
    "Tracker",
    "JournalTracker",
    "RESTAPITracker",
    "get_tracker_by_url_config",
    "TrackASGI",
    "TrackWSGI",
    "InvalidTask",
    "NoTrackerAvailableException",
    "RESTResponseException",
]

_MODULES = ("errors", "task", "http_task", "tracker", "journal_tracker", "integration", "asgi", "wsgi", "rest_tracker")

if not TYPE_CHECKING:  # a type checker would take every name for a public one
    __getattr__, __dir__ = searching(__name__, __all__, _MODULES)
