"""Configures the C library to return the memory of large temporary objects, such as snapshots."""

import ctypes
from typing import Final

from ..limits import HEAP_MAPPED_BYTES_MIN, HEAP_SPARE_BYTES_MAX

# The parameters of glibc's `mallopt`.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3


def return_large_blocks() -> None:
    """Make this process return large blocks to the system as soon as they are free.

    By default glibc raises the size from which it does so up to 32 MiB, and keeps smaller blocks in the arena of each
    thread: the freed blocks of a snapshot of a million waiting tasks would be a tenth of a worker's memory. Other C
    libraries are not configured.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, HEAP_MAPPED_BYTES_MIN)
        mallopt(_TRIM_THRESHOLD, HEAP_SPARE_BYTES_MAX)
