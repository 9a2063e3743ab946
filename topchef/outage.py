"""Remembers whether a listener's server is unreachable, so that an outage is logged once and not with each attempt."""

import threading


class Outage:
    """Whether an outage lasts now, noted by all threads of a listener; one object serves for any number of outages."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._lasts = False

    def begin(self) -> bool:
        """Note a failure of the network; return whether an outage begins with it."""
        return self._set(lasts=True)

    def end(self) -> bool:
        """Note that the server has done what it was asked; return whether an outage ends with it."""
        return self._set(lasts=False)

    def _set(self, *, lasts: bool) -> bool:
        with self._mutex:
            has_changed, self._lasts = self._lasts != lasts, lasts
        return has_changed
