"""Identify the set of processes that share process ids, so that ids of two machines are not confused.

A host name does not suffice: two containers may have the same one, and each sees its own processes only. On Linux the
identity is the kernel's boot id and the process namespace.
"""

import functools
import os
import socket
from pathlib import Path


@functools.lru_cache(1)
def machine() -> str:
    """A text that is the same for all processes that can see each other's ids, and for no others; never empty."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - follows the link to no file
    except OSError:
        return socket.gethostname()
    return f"{boot}:{namespace}"
