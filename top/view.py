"""The requests of a journal as a view: which are active, and which have ended last. Pure.

All events of one worker instance have its name as their key, so one partition decides their order: `request.swept` ends
exactly the requests that the instance has begun before it. An end that comes twice, or for a request that was swept, is
refused and changes nothing.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from ..consumers.views.view import View
from ..journal.event import Event
from .limits import ACTIVE_TASKS_MAX, COMPLETED_TASKS_MAX
from .names import REQUEST_EVENTS, STARTED, SWEPT


class Request(msgspec.Struct):
    """A request: the instance that answers it, its id there, and the fields of its task."""

    instance: str
    id: str
    task: dict[str, Any]


class RequestsView(View):
    """The active requests in the order of their starts, and the last ones that have ended, the newest first."""

    snapshot_name: ClassVar[str | None] = "requests"

    def __init__(self) -> None:
        self.active: OrderedDict[tuple[str, str], Request] = OrderedDict()
        self.completed: deque[Request] = deque(maxlen=COMPLETED_TASKS_MAX)
        self.refused = 0

    def apply(self, event: Event) -> bool:
        """Apply an event; return whether it was accepted."""
        if event.name not in REQUEST_EVENTS:
            return False
        context = event.context
        instance, request = context.get("instance"), context.get("request")
        if not isinstance(instance, str):
            return self._refuse()
        if event.name == SWEPT:
            self._sweep(instance, context.get("at"))
            return True
        if not isinstance(request, str):
            return self._refuse()
        fields = context.get("task")
        task = fields if isinstance(fields, dict) else {}
        return self._start(instance, request, task) if event.name == STARTED else self._end(instance, request, task)

    def apply_page(self, page: Any) -> None:
        """Apply a page; pages without requests are passed over at the cost of a search."""
        if any(b'"request.' in row for row in page.rows):
            super().apply_page(page)

    def _start(self, instance: str, request: str, task: dict[str, Any]) -> bool:
        key = instance, request
        if key in self.active:
            return self._refuse()
        self.active[key] = Request(instance, request, task)
        if len(self.active) > ACTIVE_TASKS_MAX:
            self.active.popitem(last=False)
        return True

    def _end(self, instance: str, request: str, task: dict[str, Any]) -> bool:
        found = self.active.pop((instance, request), None)
        if found is None:
            return self._refuse()
        found.task = {**found.task, **task}
        self.completed.appendleft(found)
        return True

    def _sweep(self, instance: str, at: Any) -> None:
        for key in [key for key in self.active if key[0] == instance]:
            found = self.active.pop(key)
            found.task = {**found.task, "recorded_successfully": False, "ended_at": at, "updated_at": at}
            self.completed.appendleft(found)

    def _refuse(self) -> bool:
        self.refused += 1
        return False

    def requests(self) -> Iterator[Request]:
        """Yield the active requests, the oldest first."""
        yield from self.active.values()

    def snapshot(self) -> bytes:
        """See `View.snapshot`."""
        return msgspec.msgpack.encode((list(self.active.values()), list(self.completed), self.refused))

    def restore(self, state: bytes) -> None:
        """See `View.restore`."""
        active, completed, refused = msgspec.msgpack.decode(state, type=tuple[list[Request], list[Request], int])
        self.active = OrderedDict(((each.instance, each.id), each) for each in active)
        self.completed = deque(completed, maxlen=COMPLETED_TASKS_MAX)
        self.refused = refused
