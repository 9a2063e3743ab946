"""Keep in memory the submissions of the tasks that are likely to be claimed next. Pure."""

from ..limits import KEPT_ROWS_BYTES_MAX, NEWEST_ROWS_BYTES_MAX, ROW_OVERHEAD_BYTES


class KeptRows:
    """The submissions that are kept, by the task's id, as far as the limits go; the others are read by position.

    The oldest tasks are claimed first, as a rule, so their submissions fill `KEPT_ROWS_BYTES_MAX`. Beyond it the newest
    ones are kept up to `NEWEST_ROWS_BYTES_MAX`: an urgent task is claimed as soon as it has come, however many wait.

    The fold uses `rows` and `room`, the bytes left for the oldest, directly, which saves it the calls.
    """

    __slots__ = ("_newest", "_newest_bytes", "get", "room", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.room = KEPT_ROWS_BYTES_MAX
        self._newest: dict[str, int] = {}  # the newest in order, with their sizes: these do not count against `room`
        self._newest_bytes = 0
        self.get = self.rows.get

    def __contains__(self, task_id: str) -> bool:
        return task_id in self.rows

    @property
    def size(self) -> int:
        """The memory of the kept submissions, in bytes."""
        return sum(map(len, self.rows.values())) + ROW_OVERHEAD_BYTES * len(self.rows)

    def keep(self, task_id: str, row: bytes) -> None:
        """Keep the submission of a task of which none is kept; others may be dropped for it."""
        self.rows[task_id] = row
        size = len(row) + ROW_OVERHEAD_BYTES
        if self.room > 0:
            self.room -= size
            return
        self._newest[task_id] = size
        self._newest_bytes += size
        while self._newest_bytes > NEWEST_ROWS_BYTES_MAX:
            self.drop(next(iter(self._newest)))

    def drop(self, task_id: str) -> None:
        """Drop the submission of a task, if it is kept."""
        row = self.rows.pop(task_id, None)
        if row is not None:
            self.release(task_id, len(row) + ROW_OVERHEAD_BYTES)

    def release(self, task_id: str, size: int) -> None:
        """Give back the bytes of a submission that was kept and is no longer in `rows`."""
        if self._newest and self._newest.pop(task_id, None) is not None:
            self._newest_bytes -= size
        else:
            self.room += size
