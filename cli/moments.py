"""Moments as people type them."""

import re
from datetime import datetime
from typing import Final

from ..workers.inspection.wording import span
from .failures import BadInput

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])")
_SPAN: Final = re.compile(rf"(?:{_PART.pattern}\s*)+")
_EPOCH: Final = re.compile(r"\d+(?:\.\d+)?")


def parse_moment(text: str, now: float, option: str = "--since") -> float:
    """A moment in seconds since the epoch: ISO 8601, epoch seconds, or a span before `now` such as `10m` or `1h30m`.

    A time without a zone is local. `BadInput` says what `option` takes.
    """
    text = text.strip()
    if _EPOCH.fullmatch(text):
        return float(text)
    if _SPAN.fullmatch(text):
        return now - sum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(text))
    try:
        return datetime.fromisoformat(text).timestamp()  # without a zone: local time
    except (ValueError, OverflowError):
        raise BadInput(
            f"{option} takes a time such as 2026-11-21T09:00 (local, or with a zone such as +01:00 or Z), seconds "
            f"since the epoch, or a span such as 30s, 10m, 2h, 3d, 1h30m; got {text!r}"
        ) from None


def parse_past(text: str | None, now: float) -> float | None:
    """What `--as-of` names, as `parse_moment` reads it; None for None. `BadInput` for what lies in the future."""
    if text is None:
        return None
    moment = parse_moment(text, now, "--as-of")
    if moment > now:
        raise BadInput(f"--as-of looks back, and {text!r} lies {span(moment - now)} ahead by this machine's clock")
    return moment
