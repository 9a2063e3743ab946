"""Moments as people type them: the text that consumers take, and a `BadInput` where it is none."""

from ...consumers import moments
from ...tasks.inspection.wording import span
from .failures import BadInput


def parse_moment(text: str, now: float, option: str = "--since") -> float:
    """A moment in seconds since the epoch: ISO 8601, epoch seconds, or a span before `now` such as `10m` or `1h30m`.

    A time without a zone is local. `BadInput` says what `option` takes.
    """
    try:
        return moments.parse_moment(text, option, now)
    except ValueError as error:
        raise BadInput(str(error)) from None


def parse_past(text: str | None, now: float) -> float | None:
    """What `--as-of` names, as `parse_moment` reads it; None for None. `BadInput` for what lies in the future."""
    if text is None:
        return None
    moment = parse_moment(text, now, "--as-of")
    if moment > now:
        raise BadInput(f"--as-of looks back, and {text!r} lies {span(moment - now)} ahead by this machine's clock")
    return moment
