"""The content of a report: the trends of its window, the URL of the journal, and where its history begins."""

from typing import Final, NamedTuple

from ...journal.journal import Journal
from ...tasks.answers.trends import TrendAnswer, TrendsAnswer, trends_answer
from ...tasks.trends.reading import history_begins, read_trends
from ..shared.failures import BadInput
from ..shared.progress import bar
from .scale import bucket_width

# So much before the first event of a journal its report begins, in seconds, so that the event is in it.
_BEFORE: Final = 0.001


class Report(NamedTuple):
    """A report on the journal at `url`; `begun` is where its history begins, if that is within the window."""

    url: str
    trends: TrendsAnswer
    begun: float | None

    @property
    def seconds(self) -> float:
        """The length of the window."""
        return self.trends.until - self.trends.since

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened, and no task waits."""
        total = self.trends.total
        happened = any(getattr(total.counts, name) for name in total.counts.__struct_fields__)
        return not (happened or any(total.over_time.waiting) or any(total.over_time.running) or self.trends.expired)


def read_report(journal: Journal, url: str, since: float, until: float, width: float | None) -> Report:
    """Read the report of what happened after `since` and up to `until`, with a progress bar for a long history.

    It begins where the journal's history begins, if that is later. `BadInput` if `since` is not before `until`.
    """
    if since >= until:
        raise BadInput("--since takes a moment before --until, such as --since 24h --until 1h; got one that is not")
    log = journal.run(journal.asynchronous.open())
    begun = journal.run(history_begins(log))
    begins_within = begun is not None and since < begun - _BEFORE < until
    if begun is not None and begins_within:
        since = begun - _BEFORE
    width = bucket_width(until - since) if width is None else width
    with bar("reading", "events") as progress:
        seen = journal.run(read_trends(journal.asynchronous, since, until, width, progress=progress))
    return Report(url, trends_answer(seen.view.trends), begun if begins_within else None)


def with_total(trends: TrendsAnswer) -> list[TrendAnswer]:
    """Return the trends of the queues, and behind them that of all together if there are several."""
    refused_elsewhere = sum(trend.counts.stale_outcomes + trend.counts.lost_claims for trend in trends.queues)
    refused = trends.total.counts.stale_outcomes + trends.total.counts.lost_claims
    return [*trends.queues, *([trends.total] if len(trends.queues) != 1 or refused != refused_elsewhere else [])]
