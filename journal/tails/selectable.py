"""A tail whose next page can be waited for beside other file descriptors."""

import socket
from typing import Protocol, runtime_checkable


@runtime_checkable
class Selectable(Protocol):
    """A tail that offers a socket which becomes readable when there may be another page."""

    def wakeup_socket(self) -> socket.socket | None:
        """The socket, which the caller closes; None if the tail cannot be woken and has to be polled.

        A wake-up may be lost: so the caller also calls `page` with no time to wait when its last call is
        `NOTIFIER_POLL_SECONDS` old. `page` consumes the wake-up, so that the socket is not readable any more.
        """
        ...
