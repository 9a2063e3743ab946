"""Split the encoding of a large result over several events, and join it.

The parts stand before the outcome, in the same append if they all fit into it. Parts and outcome carry the token of
their claim, so the parts of an attempt whose outcome was refused, or never came, belong to no result.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from ..journal.row_decoder import RowDecoder, Whole
from .errors import ValidationError
from .limits import RESULT_PART_BYTES

LargeResults = Literal["refuse", "split"]


class _Part(msgspec.Struct):
    """The context of a `task.result_stored`: the piece number `part` of the encoded result of the claim `claim`."""

    task: str
    text: str
    claim: Whole = -1
    part: Whole = -1


class _PartEvent(msgspec.Struct):
    context: _Part


_parts: Final = RowDecoder(_PartEvent)


def checked_large_results(large_results: object) -> LargeResults:
    """Return the setting; `ValidationError` if it is none."""
    if large_results not in ("refuse", "split"):
        raise ValidationError(f"large_results is 'refuse' or 'split', got {large_results!r:.80}")
    return large_results


def pieces(encoded: bytes) -> Iterator[str]:
    """Yield the encoded result in pieces of at most `RESULT_PART_BYTES` bytes, cut between characters."""
    begin = 0
    while begin < len(encoded):
        end = min(begin + RESULT_PART_BYTES, len(encoded))
        while end < len(encoded) and encoded[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        yield encoded[begin:end].decode()
        begin = end


def piece_count(encoded: bytes) -> int:
    """Return how many pieces there are."""
    return sum(1 for _ in pieces(encoded))


def joined(rows: Iterable[bytes], task_id: str, claim: int, count: int) -> str | None:
    """Return the encoded result from the records of its parts; None if one is missing or cannot be read.

    Records of other claims are left out; of two with one number the first counts.
    """
    found: dict[int, str] = {}
    for row in rows:
        said = _parts.read(row)
        if said is not None and said.context.task == task_id and said.context.claim == claim:
            found.setdefault(said.context.part, said.context.text)
    try:
        return "".join([found[number] for number in range(count)])
    except KeyError:
        return None
