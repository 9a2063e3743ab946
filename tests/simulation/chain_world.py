"""One simulated world of chains: a `World` whose tasks are followed by links, and a referee that knows their rule."""

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import pytest
from journeyman.tasks import Message, chains
from journeyman.tasks.limits import DEAD_LETTERS_KEPT, ENDED_TASK_EVENTS
from journeyman.tasks.state import names
from journeyman.tasks.state.routing import link_id, routing_key
from journeyman.workers.executors.next_link import link_after
from journeyman.workers.executors.pipeline import Job, Outcome, read_message

from .referee import Book, Referee
from .stage import EPOCH
from .world import Script, World

LINKS_MAX: Final = 4
_RESULT: Final = b',"result":1'


class ChainStory(NamedTuple):
    """What happened in a world."""

    seed: int
    chains: int
    links: int
    refused: int
    stopped: int
    expiries: int


class ChainReferee(Referee):
    """Knows beside the other rules: a link is submitted right behind the accepted success of the task before it."""

    def __init__(self, world: "ChainWorld") -> None:
        super().__init__(world)
        self.chains: dict[str, int] = {}  # of each root: how many links follow it
        self.successes: dict[str, int] = {}  # of each task: the token of its accepted success
        self.failures: set[tuple[str, int]] = set()  # the tasks and tokens of other accepted outcomes
        self.links = self.refused_links = 0
        self._owed: dict[int, tuple[str, int]] = {}  # of a partition: the link that must come next, and where

    def landed(self, partition: int, offset: int, row: bytes) -> None:
        """See `Referee`."""
        owed = self._owed.get(partition)
        super().landed(partition, offset, row)
        if owed is not None:
            self.check(self._owed.get(partition) != owed, f"{owed[0]} does not come right behind the success before it")

    def _submitted(self, task: str, context: dict[str, Any], partition: int, offset: int) -> bool:
        root, number = _place_of(task)
        if not number:
            return super()._submitted(task, context, partition, offset)
        before = root if number == 1 else link_id(root, number - 1)
        self.check("after" in context, f"the link {task} comes without the token of a success")
        self.check(context["previous_message_uuid"] == before, f"{task} does not follow {before}")
        if self._owed.get(partition) != (task, offset):
            self.check((before, context["after"]) not in self.failures, f"{task} comes with a failure of {before}")
            self.refused_links += 1
            return False
        del self._owed[partition]
        self.check(task not in self.books, f"{task} is submitted twice")
        self.check(context["after"] == self.successes[before], f"{task} has the token of another success")
        self.check(context["previous_result"] == 1, f"{task} is not given the result before it")
        self.links += 1
        return super()._submitted(task, context, partition, offset)

    def _ended(self, name: str, book: Book, task: str, worker: str, context: dict[str, Any], offset: int) -> bool:
        accepted = super()._ended(name, book, task, worker, context, offset)
        if accepted and name != names.SUCCEEDED:
            self.failures.add((task, context["claim"]))
        elif accepted:
            self.successes[task] = context["claim"]
            root, number = _place_of(task)
            following = link_id(root, number + 1) if number < self.chains[root] else None
            self.check(context.get("next") == following, f"the success of {task} names {context.get('next')}")
            if following is not None:
                self._owed[book.partition] = (following, offset + 1)
        return accepted

    def started(self, job: Job) -> None:
        """See `Referee`."""
        super().started(job)
        root, number = _place_of(job.state.id)
        before = root if number <= 1 else link_id(root, number - 1)
        self.check(not number or before in self.successes, f"{job.state.id} begins, and {before} has not succeeded")

    def close(self) -> None:
        """See `Referee`."""
        super().close()
        self.check(not self._owed, f"the link {self._owed} is missing")
        for root, count in self.chains.items():
            ids = [root, *(link_id(root, number) for number in range(1, count + 1))]
            for before, link in itertools.pairwise(ids):
                self.check(
                    (link in self.books) == (before in self.successes), f"{link} is there without {before}, or lost"
                )

    @property
    def stopped(self) -> int:
        """How many chains have not come to their end."""
        return sum(link_id(root, count) not in self.successes for root, count in self.chains.items() if count)


class ChainWorld(World):
    """A world whose tasks are roots of chains; the choices of chains are drawn apart."""

    referee: ChainReferee

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.linking = random.Random(f"chains of world {seed}")
        self.forgetful = False  # ids that come again begin other chains, which is told elsewhere
        self.forgets_after, self.letters_kept = ENDED_TASK_EVENTS, DEAD_LETTERS_KEPT
        self.referee = ChainReferee(self)

    def tell(self) -> ChainStory:
        """Run the whole story."""
        with _clock_of(self):
            story = self.run()
        referee = self.referee
        roots = sum(count > 0 for count in referee.chains.values())
        return ChainStory(self.seed, roots, referee.links, referee.refused_links, referee.stopped, story.expiries)

    def success(self, job: Job) -> Outcome:
        """See `World`: with the next link, if there is one, as the product makes it."""
        task = self.tasks[job.state.name]
        message = read_message(job.row, job.prior_attempts, task)
        link = link_after(task, message, 1, _RESULT)
        if link is None:
            return Outcome(job, names.SUCCEEDED, _RESULT)
        return Outcome(job, names.SUCCEEDED, b'%b,"next":"%b"' % (_RESULT, link.id.encode()), link=link.context)

    def _submit(self, message: Message) -> None:
        root = message.uuid
        if root not in self.referee.chains:
            count = self.linking.choice([0, 1, 2, LINKS_MAX])
            self.referee.chains[root] = count
            chains.attach(message, [self._link() for _ in range(count)])
            for number in range(1, count + 1):
                link = link_id(root, number)
                seconds = self.linking.choice([0.000_1, 0.07, 0.3, 1.5]) * self.lease
                self.scripts[link] = Script(seconds, self.linking.choice([0.0, 0.0, 0.3]), self.linking.random() < 0.02)
                if self.linking.random() < 0.1:
                    self._say_later(self.linking.choice([names.REVOKED, names.REQUEUED]), link, 8)
        super()._submit(message)

    def _link(self) -> Message:
        return Message(
            task_name=self.linking.choice(sorted(self.tasks)),
            queue=self.linking.choice(["a", "ab", "b"]),
            priority=self.linking.choice([0, 0, 1]),
            max_retries=self.linking.choice([0, 1, 3]),
            delay=self.linking.choice([0, 0, 700]),
        )

    def _place(self, task: str) -> int:
        return super()._place(routing_key(task))


def _place_of(task: str) -> tuple[str, int]:
    """The root of the chain of a task, and its number in it; 0 for the root."""
    root, _, number = task.partition("@")
    return root, int(number or 0)


@contextmanager
def _clock_of(world: World) -> Iterator[None]:
    """Let links be submitted in the time of the world."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chains, "now_ms", lambda: int((EPOCH + world.now) * 1_000))
        yield


def simulate(seed: int) -> ChainStory:
    """Run the world of that seed."""
    return ChainWorld(seed).tell()
