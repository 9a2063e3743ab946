"""Notify systemd by the protocol of sd_notify: one datagram for each message."""

import logging
import os
import socket

from ...journal.numbers import is_number

logger = logging.getLogger("journeyman.worker")


def notify(state: str) -> None:
    """Send `state`, such as ``READY=1``, to the service manager; without one (no ``NOTIFY_SOCKET``) do nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            channel.sendall(state.encode())
    except OSError as error:
        logger.warning("the service manager cannot be notified of %s: %s", state, error)


def watchdog_wanted() -> bool:
    """Return whether the service manager expects watchdog messages from this process."""
    wanted, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    return is_number(wanted) and int(wanted) > 0 and pid in ("", str(os.getpid()))
