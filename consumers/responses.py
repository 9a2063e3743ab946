"""Define responses, in which the source of a topic sends its events to a consumer.

A response is a mapping with an `events` list and any additional items of its source. A consumer calls
`process_response` once per response and passes the result to `create_event` for each entry of `events`. The end of
history is a separate response, marked with `HISTORY_END`; without that mark, an empty response does not end history.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from ..journal.event import Event

Response = Mapping[str, Any]

EVENTS: Final = "events"
HISTORY_END: Final = "history_end"
END_OF_HISTORY: Final[Response] = {EVENTS: [], HISTORY_END: True}


class ResponseSource(Protocol):
    """Serves a topic: builds responses from the journal's events.

    A consumer creates one for each `start()`. It gets the events of the consumer's topic only, from the consumer's
    start position on, in the order of each partition; earlier events it has to look up itself.
    """

    def request(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Handle the start of a consumer; `payload` is its `request_payload`. `start()` raises any exception."""
        ...

    def respond(self, events: Sequence[Event]) -> Iterable[Response]:
        """Return the responses to the next events of one partition: any number, including none.

        If entries are events, or mappings with their `partition` and `offset`, a consumer can resume exactly at each of
        them; otherwise it resumes at the start of the events passed in this call. The consumer's hooks get a dictionary
        for each entry that is an event.
        """
        ...

    def cancel(self, cancel_topic: str) -> None:
        """Handle the end of a consumer (stopped, restarted or closed): this source gets no more calls."""
        ...


class JournalResponses:
    """The journal's own source: it returns each sequence of events as one response without additional items."""

    def request(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Do nothing: there is nothing to prepare."""

    def respond(self, events: Sequence[Event]) -> Iterable[Response]:
        """Return one response with the events themselves as entries."""
        return ({EVENTS: events},)

    def cancel(self, cancel_topic: str) -> None:
        """Do nothing: there is nothing to release."""
