"""Responses: what the source of a topic sends a consumer.

A response is a mapping with an `events` list and whatever else its source has to say. A consumer calls
`process_response` once for each and hands its answer to `create_event` for each entry of `events`. The end of history
is a response of its own that says so (`HISTORY_END`); a response that merely has no events ends nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from ..journal.event import Event

Response = Mapping[str, Any]

EVENTS: Final = "events"
HISTORY_END: Final = "history_end"
END_OF_HISTORY: Final[Response] = {EVENTS: [], HISTORY_END: True}


class ResponseSource(Protocol):
    """Serves a topic: makes responses of what the journal holds.

    A consumer makes one for each `start()`. It sees the events of the consumer's topic only, from where the consumer
    begins, in the order of each partition; what it knows of earlier ones it has to look up itself.
    """

    def request(self, topic: str, payload: Mapping[str, Any]) -> None:
        """A consumer starts: `payload` is its `request_payload`. An exception here is what `start()` raises."""
        ...

    def respond(self, events: Sequence[Event]) -> Iterable[Response]:
        """The responses to the next events of one partition: any number, none too.

        Entries that are events, or mappings with their `partition` and `offset`, let a consumer resume exactly at each
        of them; after other entries it resumes at the stretch they were made of. The hooks of the consumer get a
        dictionary for each entry that is an event.
        """
        ...

    def cancel(self, cancel_topic: str) -> None:
        """The consumer is stopped, started anew or closed: nothing more will be asked."""
        ...


class JournalResponses:
    """The journal's own source: each stretch of events is a response, and says no more than they do."""

    def request(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Nothing to prepare."""

    def respond(self, events: Sequence[Event]) -> Iterable[Response]:
        """One response with the events themselves as entries."""
        return ({EVENTS: events},)

    def cancel(self, cancel_topic: str) -> None:
        """Nothing to let go of."""
