"""Whether the server of a listener is away at present, so that an outage is logged once and not with each attempt."""

import threading


class Outage:
    """One outage after the other, as the threads of a listener meet them."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._lasts = False

    def begin(self) -> bool:
        """Note a failure of the network; return whether it is the first one of its outage."""
        return self._set(lasts=True)

    def end(self) -> bool:
        """Note that the server has done what it was asked; return whether that has ended an outage."""
        return self._set(lasts=False)

    def _set(self, *, lasts: bool) -> bool:
        with self._mutex:
            has_changed, self._lasts = self._lasts != lasts, lasts
        return has_changed
