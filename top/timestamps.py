"""Times of tasks as text: ISO 8601 with a zone."""

from datetime import UTC, datetime

from .errors import InvalidTask


def parse_time(value: object, field: str) -> datetime | None:
    """Return the time that ISO 8601 text or a `datetime` names; without a zone it is UTC. None stays None."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidTask(
                f"{field} is a time in ISO 8601, such as 2026-11-30T09:00:00Z, got {value!r:.80}"
            ) from None
    if not isinstance(value, datetime):
        raise InvalidTask(f"{field} is a datetime, or a time in ISO 8601, got {value!r:.80}")
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def now() -> datetime:
    """Return the present time, in UTC."""
    return datetime.now(UTC)
