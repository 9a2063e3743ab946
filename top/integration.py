"""Make the tracker that a URL names."""

import os
from typing import Any, Final, TypeVar

from .errors import NoTrackerAvailableException
from .journal_tracker import JournalTracker
from .task import Task
from .tracker import Tracker

T = TypeVar("T", bound=Task)
URL_VARIABLE: Final = "TOP_TRACKER_URL"
_JOURNALS: Final = ("sqlite", "kafka", "memory")
# Builders of documentation import modules that make trackers: there is nothing to track.
_DOCUMENTATION: Final = ("READTHEDOCS", "SPHINX_BUILD")


def get_tracker_by_url_config(
    task_type: type[T], url: str | None = None, api_key: str | None = None, **options: Any
) -> Tracker[T] | None:
    """Return the tracker at `url`, by default that of the environment variable `TOP_TRACKER_URL`.

    A journal's URL gives a `JournalTracker`, which takes the further `options`; `http://` and `https://` a
    `RESTAPITracker`. Anything else raises `NoTrackerAvailableException`. Returns None while documentation is built.
    """
    if any(os.environ.get(name) for name in _DOCUMENTATION):
        return None
    url = url or os.environ.get(URL_VARIABLE)
    if not url:
        raise NoTrackerAvailableException(
            f"no tracker: set {URL_VARIABLE} to a journal such as sqlite:///requests.db, or to a server's /tracker"
        )
    scheme = url.partition("://")[0]
    if scheme in _JOURNALS:
        return JournalTracker(url, task_type, **options)
    if scheme in ("http", "https"):
        from .rest_tracker import RESTAPITracker  # it needs the HTTP client of the extra `http`

        return RESTAPITracker(url, task_type, api_key)
    raise NoTrackerAvailableException(
        f"expected a tracker's URL, sqlite://, kafka://, http:// or https://, got one that begins with {scheme!r:.20}"
    )
