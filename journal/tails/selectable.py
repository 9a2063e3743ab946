"""The protocol of a tail that an event loop can wait for beside other file descriptors."""

import socket
from typing import Protocol, runtime_checkable


@runtime_checkable
class Selectable(Protocol):
    """A tail that offers a socket which becomes readable when there may be another page."""

    def wakeup_socket(self) -> socket.socket | None:
        """Return the socket, which the caller closes; None if the tail has no wake-ups and has to be polled.

        A wake-up may be lost, so the caller also calls `page` with a timeout of 0 once its last call is
        `NOTIFIER_POLL_SECONDS` old. `page` drains the socket.
        """
        ...
