"""A chain of ten links, from its submission to the last result, beside ten single tasks, one after the other."""

import contextlib
from typing import Final

from journeyman.bench import child, latency
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure
from journeyman.bench.tasks import broker, noop
from journeyman.journal import Journal
from journeyman.tasks import Message, ResultStore

LINKS: Final = 10


def embedded(bench: Bench) -> list[Figure]:
    """The worker waits in its own process; each link is submitted with the success of the one before."""
    with bench.file("chains") as path, contextlib.ExitStack() as stack:
        url = sqlite_url(path)
        journal = stack.enter_context(Journal(url))
        broker.bind(journal)
        results = ResultStore(journal)
        stack.enter_context(child.partner("latency:worker", url=url))

        def wait(message: Message | str) -> None:
            assert results.get(message, timeout=latency.RESULT_MS, keep=True) == 7

        def submit_chain() -> None:
            links = tuple(noop.generate([7], submit=False) for _ in range(LINKS - 1))
            root = noop.generate([7], callback=links)
            assert root.descendant_uuids is not None
            wait(root.descendant_uuids[-1])

        def submit_each() -> None:
            for _ in range(LINKS):
                wait(noop.generate([7]))

        mine, bare = latency.alternate(bench, "chains", latency.timed(submit_chain), latency.timed(submit_each))
    return [
        latency.figure(
            "chain",
            f"a chain of {LINKS} links, to the last result",
            f"{LINKS} single tasks, one after the other",
            mine,
            bare,
            ratio_bar=1.0,
        )
    ]
