"""Computes the nesting depth of a JSON text from its bytes alone.

Decoders fail at the end of the interpreter's stack, which differs by version and by caller. All readers of a log must
agree on which records are readable, so the depth is compared with a limit before a record is decoded.
"""

import re
import threading
from collections.abc import Callable
from itertools import accumulate
from typing import Final, TypeVar

from .limits import DEPTH_PLACE_PARTS_SHOWN, RECORD_DEPTH_MAX

T = TypeVar("T")

# Each list or object opens and closes: a shorter record cannot be too deep.
SHALLOW_BYTES: Final = 2 * RECORD_DEPTH_MAX

_ESCAPED: Final = re.compile(rb"\\.", re.DOTALL)
_STRING: Final = re.compile(rb'"[^"]*"')
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b'"[]{}'))
_ALIKE: Final = bytes.maketrans(b"{}", b"[]")
_PASSES: Final = 8
_STEPS: Final = {ord("["): 1, ord("]"): -1}
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{}:,]', re.DOTALL)


def is_deeper(text: bytes, most: int) -> bool:
    """Whether lists and objects in `text` are nested deeper than `most`.

    Exact for JSON; of another text it may report a greater depth than a decoder reaches before it fails.
    """
    if text.count(b"[") + text.count(b"{") <= most:
        return False
    brackets = text if b"\\" not in text else _ESCAPED.sub(b"", text)
    brackets = _STRING.sub(b"", brackets.translate(_ALIKE, _NO_BRACKETS)).replace(b'"', b"")
    passed = 0
    while passed < _PASSES:  # removes innermost pairs: a wide text shrinks quickly, and the rest is walked through
        inner = brackets.replace(b"[]", b"")
        if len(inner) == len(brackets):
            break
        brackets, passed = inner, passed + 1
    return passed + max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > most


def place_of_depth(text: bytes, most: int) -> str:
    """The path at which the JSON `text` becomes deeper than `most`, such as ``args[0][3].x…``; empty if it does not."""
    path: list[str] = []  # for each open list or object, its current part
    index: list[int] = []  # the index in a list; -1 in an object
    key = b""
    for token in _TOKEN.findall(text):
        if token in b"[{":
            if len(path) == most:
                parts = path[:DEPTH_PLACE_PARTS_SHOWN]
                return "".join(parts).lstrip(".") + ("…" if len(path) > len(parts) else "")
            index.append(0 if token == b"[" else -1)
            path.append("[0]" if token == b"[" else "")
        elif token in b"]}":
            if path:
                path.pop()
                index.pop()
        elif token == b"," and index and index[-1] >= 0:
            index[-1] += 1
            path[-1] = f"[{index[-1]}]"
        elif token == b":" and path:
            path[-1] = "." + key[1:-1].decode(errors="replace")[:40]
        else:
            key = token
    return ""


def on_empty_stack(work: Callable[[], T]) -> T:
    """Return or raise the outcome of `work`, called in a new thread, which has an empty stack."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="journeyman-decode", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
