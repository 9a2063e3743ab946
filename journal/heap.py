"""The memory of this process that the C library holds free: what large transient objects have left behind."""

import ctypes
from typing import Final

# What came and went in blocks smaller than this, in bytes, is not worth a call.
WORTH_BYTES_MIN: Final = 8 * 1024 * 1024


def give_back(size: int) -> None:
    """Return free memory to the system after an object of `size` bytes has gone, where it is worth it.

    The C library keeps freed blocks of up to 32 MiB for later, in each thread's arena. A snapshot of a million waiting
    tasks comes and goes in such blocks, and what it leaves would be a tenth of the worker's memory. Only glibc can be
    asked; elsewhere this does nothing.
    """
    if size >= WORTH_BYTES_MIN:
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
