"""Read and write files line by line: plain, compressed (`.gz`), or `-` for standard input and output."""

import gzip
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

from ...journal.limits import LINE_BYTES_MAX
from .encoding import file_name
from .failures import BadInput

STANDARD: Final = "-"
_PACKED: Final = ".gz"
_LEVEL: Final = 6


class Source(NamedTuple):
    """Lines to read; `read()` returns how many bytes of the file were read, of `size` (0 if that is not known)."""

    lines: Iterator[bytes]
    size: int
    read: Callable[[], int]


@contextmanager
def reading(name: str) -> Iterator[Source]:
    """Open the file `name` and yield its lines; `BadInput` names the error and the line where it occurs."""
    with ExitStack() as stack:
        if name == STANDARD:
            yield Source(_lines(name, sys.stdin.buffer), 0, lambda: 0)
            return
        try:
            raw = stack.enter_context(Path(file_name(name)).open("rb"))
        except OSError as error:
            raise BadInput(f"{name} cannot be read: {error.strerror}") from error
        packed = name.endswith(_PACKED)
        stream = cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=raw))) if packed else raw
        yield Source(_lines(name, stream), os.fstat(raw.fileno()).st_size, raw.tell)


def _lines(name: str, stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines without their ends; one that is too long is cut, which bounds memory and has it refused."""
    number = 0
    while True:
        number += 1
        try:
            line = stream.readline(LINE_BYTES_MAX + 2)
            if len(line) > LINE_BYTES_MAX + 1:
                while (rest := stream.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                    pass
        except (OSError, EOFError, zlib.error) as error:
            raise BadInput(f"{name} cannot be read on at line {number:,}: {error or type(error).__name__}") from error
        if not line:
            return
        yield line.removesuffix(b"\n").removesuffix(b"\r")


@contextmanager
def writing(name: str, *, overwrite: bool = False) -> Iterator[Callable[[bytes], object]]:
    """Yield a function that writes to the file `name`, which appears when all is written, and not before.

    The same bytes written give the same file, packed ones included.
    """
    if name == STANDARD:
        yield sys.stdout.buffer.write
        return
    path = Path(file_name(name))
    if path.exists() and not overwrite:
        raise BadInput(f"{name} is there already; name another file, or say --overwrite")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with ExitStack() as stack:
            raw = stack.enter_context(unfinished.open("xb"))
            yield (
                stack.enter_context(gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0)).write
                if name.endswith(_PACKED)
                else raw.write
            )
        unfinished.replace(path)
    except OSError as error:
        raise BadInput(f"{name} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
