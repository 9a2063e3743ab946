"""Parse moments of the command line, in the consumers' formats; raise `BadInput` for invalid ones."""

from ...consumers import moments
from ...tasks.inspection.wording import span
from .failures import BadInput


def parse_moment(text: str, now: float, option: str = "--since") -> float:
    """Parse a moment, in seconds since the epoch: ISO 8601, epoch seconds, or a span before `now` such as `1h30m`.

    A time without a zone is local. `BadInput` names the formats that `option` takes.
    """
    try:
        return moments.parse_moment(text, option, now)
    except ValueError as error:
        raise BadInput(str(error)) from None


def parse_past(text: str | None, now: float) -> float | None:
    """Parse the moment of `--as-of` with `parse_moment`; None for None, `BadInput` for a moment of the future."""
    if text is None:
        return None
    moment = parse_moment(text, now, "--as-of")
    if moment > now:
        raise BadInput(
            f"--as-of takes a moment of the past; {text!r} lies {span(moment - now)} ahead by this machine's clock"
        )
    return moment
