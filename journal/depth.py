"""How deep the lists and objects of a JSON text lie in one another, told from its bytes alone.

Decoders give up where the interpreter's stack ends, which differs by version and by caller. Readers of one log must
agree on which records they can read, so the depth is compared with a limit before anything is decoded.
"""

import re
import threading
from collections.abc import Callable
from itertools import accumulate
from typing import Final, TypeVar

from .limits import RECORD_DEPTH_MAX

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
_PLACE_PARTS_MAX: Final = 6


def is_deeper(text: bytes, most: int) -> bool:
    """Whether lists and objects in `text` lie in one another deeper than `most`.

    Exact for JSON; a text that is none may be called deeper than a decoder gets before it gives up.
    """
    if text.count(b"[") + text.count(b"{") <= most:
        return False
    brackets = text if b"\\" not in text else _ESCAPED.sub(b"", text)
    brackets = _STRING.sub(b"", brackets.translate(_ALIKE, _NO_BRACKETS)).replace(b'"', b"")
    passed = 0
    while passed < _PASSES:  # what is wide shrinks to little here, and what is left is walked through
        inner = brackets.replace(b"[]", b"")
        if len(inner) == len(brackets):
            break
        brackets, passed = inner, passed + 1
    return passed + max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > most


def place_of_depth(text: bytes, most: int) -> str:
    """Where in the JSON `text` it becomes deeper than `most`, such as ``args[0][3].x…``; empty if it does not."""
    path: list[str] = []  # for each open list or object, which part of it we are in
    index: list[int] = []  # the place in a list; -1 in an object
    key = b""
    for token in _TOKEN.findall(text):
        if token in b"[{":
            if len(path) == most:
                parts = path[:_PLACE_PARTS_MAX]
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
    """What `work` returns or raises, called in a thread of its own: a caller deep in the stack has it all there."""
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
