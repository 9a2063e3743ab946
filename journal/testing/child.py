"""The child process of the suite's tests: `python -m journeyman.journal.testing.child ROLE URL …`.

It prints one line per observation, unbuffered, so that its parent can wait for it instead of sleeping.
"""

import sys

from ..errors import EventConflict
from ..event import draft
from ..event_decoding import decode
from ..journal import Journal


def append(url: str, name: str, count: int, batch: int) -> None:
    """Append `count` times `batch` events under `name`; print the offsets of each append once it is acknowledged."""
    with Journal(url) as journal:
        say("ready")
        for number in range(count):
            drafted = [draft(name, {"number": number, "part": part}, name) for part in range(batch)]
            events = journal.append_drafts(drafted)
            say(number, events[0].partition, *(event.offset for event in events))


def follow(url: str, count: int) -> None:
    """Read history, print "waiting", wait for `count` more events and print the position and name of each."""
    with Journal(url) as journal:
        log = journal.asynchronous.log
        tail = journal.run(log.tail(journal.bounds().first))
        while journal.run(tail.page(timeout=0.0)) is not None:
            pass
        say("waiting")
        seen = 0
        while seen < count:
            page = journal.run(tail.page())
            if page is None:
                continue
            for offset, row in zip(page.offsets, page.rows, strict=True):
                say(page.partition, offset, decode(row, page.partition, offset).name)
                seen += 1
        journal.run(tail.aclose())


def count(url: str, key: str, up_to: int) -> None:
    """Increment a counter shared with other processes: read it, and append the next number if no other process has.

    Print each number with its offset once it is acknowledged, and at the end how many attempts were refused.
    """
    refusals = 0
    with Journal(url) as journal:
        cursor, number = journal.bounds().first, 0
        say("ready")
        while True:
            while (reading := journal.read(cursor)).events:
                cursor = reading.cursor
                number = max([number, *(event.context["number"] for event in reading.events if event.key == key)])
            if number >= up_to:
                break
            try:
                event = journal.append("counter.raised", {"number": number + 1}, key, expected=cursor)
            except EventConflict:
                refusals += 1
            else:
                say(number + 1, event.partition, event.offset)
    say("refused", refusals)


def say(*words: object) -> None:
    """Write one line to the parent."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Run the role given by the arguments."""
    role, url, *rest = arguments
    if role == "append":
        append(url, rest[0], int(rest[1]), int(rest[2]))
    elif role == "count":
        count(url, rest[0], int(rest[1]))
    else:
        follow(url, int(rest[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
