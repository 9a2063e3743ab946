"""Watch the sessions of other workers: their silence while they hold tasks, and processes here that have ended."""

from ...tasks.failure_detector import FailureDetector
from ...tasks.limits import WATCH_INTERVAL_SECONDS
from ...tasks.state.view import TaskView
from ..limits import DEAD_PROCESSES_SECONDS
from ..scheduling.decide import Expire
from .dead_processes import departed


class SessionWatch:
    """Watches the sessions in `view` for one worker loop. Times are monotonic seconds."""

    def __init__(self, view: TaskView, detector: FailureDetector) -> None:
        self._view = view
        self._detector = detector
        self._holders_to_watch = False
        self._watched_at = 0.0
        self._processes_at = 0.0

    def is_due(self, monotonic: float) -> bool:
        """Return whether to `observe`: every `WATCH_INTERVAL_SECONDS`."""
        return monotonic - self._watched_at >= WATCH_INTERVAL_SECONDS

    def observe(self, own: frozenset[str], monotonic: float) -> None:
        """Tell the detector of all sessions but the `own`."""
        self._watched_at = monotonic
        self._holders_to_watch = self._detector.observe(self._view, own, monotonic)

    def looks_for_processes(self, monotonic: float) -> bool:
        """Return whether to ask for the `departed`: every `DEAD_PROCESSES_SECONDS`."""
        return monotonic >= self._processes_at

    def departed(self, monotonic: float) -> list[Expire]:
        """Return the expiries of idle sessions here whose process has ended."""
        self._processes_at = monotonic + DEAD_PROCESSES_SECONDS
        return list(departed(self._view.all_sessions()))

    @property
    def is_needed(self) -> bool:
        """Whether any session holds tasks, so that its silence has to be observed."""
        return self._holders_to_watch or any(session.claims for session in self._view.all_sessions())
