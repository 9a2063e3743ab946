"""Divides lists into pages; an opaque text names an item's place in the order of its list."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from ..problems import Problem

T = TypeVar("T")


def token_of(place: Any) -> str:
    """Return a place as the text that a client sends to get the items behind it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()


def place_in(token: str, form: Any) -> Any:
    """Return the place in a text; `Problem` 400 if it is none of that form."""
    try:
        said = base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
        return msgspec.json.decode(said, type=form)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise Problem(
            400, "bad-cursor", "expected as `cursor` the `next` of the page before, of the same list"
        ) from None


def page_by_name(
    items: Sequence[T], name_of: Callable[[T], str], after: str | None, limit: int
) -> tuple[list[T], str | None]:
    """Return at most `limit` of the items, which are in the order of their names, and the text for the next page."""
    if after is not None:
        last = place_in(after, str)
        items = [item for item in items if name_of(item) > last]
    page = list(items[:limit])
    return page, token_of(name_of(page[-1])) if len(items) > limit else None
