"""A consumer for a topic of one's own, whose responses carry more than events.

The journal holds what happens to jobs. A response of this topic is about one job: its id, its events, and with the one
that submitted it what was asked for. `JobResponses` serves them, `JobConsumer` turns them into `JobEvent` objects.

    python examples/subclass_consumer.py [journal URL]
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import journeyman.journal as jm
from journeyman.consumers import JournalConsumerBase, JournalEventBase, Response


class JobEvent(JournalEventBase):
    """An event of a job; `spec` comes with the event that submitted it only."""

    def __init__(self, entry: Mapping[str, Any], job: str, spec: Mapping[str, Any] | None = None) -> None:
        super().__init__(entry)
        self.job = job
        self.spec = spec if entry["name"] == "job.submitted" else None


class JobResponses:
    """Serves the topic `job`: one response for each run of events of one job."""

    def request(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Remember which events were asked for; `{"only": […]}` in the payload names them, without it all are."""
        self._only = frozenset(f"{topic}.{event}" for event in payload.get("only", ()))

    def respond(self, events: Sequence[jm.Event]) -> Iterator[Response]:
        """Responses with `job`, `events` and, where the job was submitted, `spec`."""
        for job, group in groupby(events, key=lambda event: event.key or ""):
            of_job = list(group)
            response: dict[str, Any] = {"job": job, "events": [each for each in of_job if self._wanted(each)]}
            for event in of_job:
                if event.name == "job.submitted":
                    response["spec"] = event.context["spec"]
            yield response

    def cancel(self, cancel_topic: str) -> None:
        """Nothing to let go of."""

    def _wanted(self, event: jm.Event) -> bool:
        return not self._only or event.name in self._only


class JobConsumer(JournalConsumerBase):
    """Follows jobs; `only` names the events wanted, such as ``finished``."""

    def __init__(self, journal: jm.Journal, only: Iterable[str] = (), *, include_sentinel: bool = False) -> None:
        super().__init__(journal, "job", include_sentinel=include_sentinel)
        self._only = list(only)

    @property
    def request_payload(self) -> Mapping[str, Any]:
        """What `JobResponses.request` is told."""
        return {"only": self._only}

    def response_source(self) -> JobResponses:
        """A new source for each start."""
        return JobResponses()

    def process_response(self, resp: Response) -> Mapping[str, Any]:
        """What `create_event` needs beside each entry: called once for each response."""
        return {"job": resp["job"], "spec": resp.get("spec")}

    def create_event(self, entry: Mapping[str, Any], **kwargs: Any) -> JobEvent:
        """An event of the job that the response is about."""
        return JobEvent(entry, **kwargs)


def main(url: str) -> None:
    """Let two jobs run, replay what happened to them, then follow a third that is submitted meanwhile."""
    with jm.Journal(url) as journal:
        for job, command in (("a", "make"), ("b", "ls")):
            journal.append("job.submitted", {"spec": {"command": command}}, key=job)
            journal.append("job.started", key=job)
            journal.append("job.finished", {"status": 0}, key=job)

        with JobConsumer(journal, only=("submitted", "finished"), include_sentinel=True) as consumer:
            for event in consumer:
                if event == consumer.SENTINEL_EVENT:
                    print("-- the end of history; now something happens")
                    journal.append("job.submitted", {"spec": {"command": "date"}}, key="c")
                    consumer.stop()  # what is in the journal by now is still delivered
                elif isinstance(event, JobEvent):
                    print(event.job, event.name, event.spec or event.context_string)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
