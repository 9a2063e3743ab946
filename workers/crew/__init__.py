"""Those who run tasks: threads, coroutines, processes. Each is handed jobs and gives back outcomes."""

from .base import Crew
from .coroutines import CoroutineCrew
from .elasticity import Bounds
from .groups import GroupCrew
from .processes import ProcessCrew
from .threads import ThreadCrew

__all__ = ["Crew", "ThreadCrew", "CoroutineCrew", "ProcessCrew", "GroupCrew", "Bounds"]
