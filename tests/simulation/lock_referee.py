"""The referee of locks: sees every record in the moment in which it lands, and keeps books of its own."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from journeyman.journal.event_decoding import decode
from journeyman.tasks import TaskView, Verdict
from journeyman.tasks.state import names

from .stage import Judge

if TYPE_CHECKING:
    from .lock_world import LockWorld, Visitor

# By how much the time of a landing may differ from that of an observation, in parts of a lease.
_MARGIN: Final = 0.01


@dataclass
class Request:
    """The referee's state of a live request; times are those of the world."""

    token: int
    owner: str
    capacity: int
    ttl: float | None
    last: int
    seen_at: float
    asked_at: float
    granted_at: float | None = None


class LockReferee(Judge):
    """Compares what the product does with the rules, written down once more."""

    world: "LockWorld"

    def __init__(self, world: "LockWorld") -> None:
        super().__init__(world)
        self.view = TaskView()
        self.books: dict[tuple[int, str], list[Request]] = {}
        self.grants: dict[tuple[str, int], float] = {}  # of each token: when it was granted
        self.ended: dict[tuple[str, int], str] = {}  # of each token: the event that has ended it
        self.known: set[tuple[str, int]] = set()  # the tokens that their processes keep
        self._newest: dict[str, int] = {}  # of each lock: the token of the last grant
        self.refused = self.expiries = 0

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            self.note(what)

    # -- what lands --------------------------------------------------------------------------------------------------

    def landed(self, partition: int, offset: int, row: bytes) -> None:
        """A record has become part of the log."""
        event = decode(row, partition, offset)
        context = event.context
        lock = context["lock"]
        requests = self.books.setdefault((partition, lock), [])
        expected = self._moved(event.name, context, offset, lock, requests)
        verdict = self.view.apply(event)
        self.refused += verdict is Verdict.REFUSED
        self._require(verdict is expected, f"{event.name} {orjson.dumps(context).decode()} is {verdict.name}")
        self._grant(lock, requests)
        found = [(each.token, each.holds) for each in self.view.locks.requests(partition, lock)]
        known = [(each.token, each.granted_at is not None) for each in requests]
        self._require(found == known, f"the requests of {lock} are {known}, the fold says {found}")
        for each in requests:
            self._check_ttl(lock, each)

    def _moved(self, name: str, context: dict[str, Any], offset: int, lock: str, requests: list[Request]) -> Verdict:
        now = self.world.now
        if name == names.LOCK_REQUESTED:
            ttl = context.get("ttl_ms")
            seconds = None if ttl is None else ttl / 1_000
            capacity = context.get("capacity", 1)
            requests.append(Request(offset, context["owner"], capacity, seconds, offset, now, now))
            return Verdict.ACCEPTED
        request = next((each for each in requests if each.token == context["token"]), None)
        if request is None:
            return Verdict.REFUSED
        if name == names.LOCK_RENEWED:
            request.last, request.seen_at = offset, now
            return Verdict.ACCEPTED
        if name == names.LOCK_RELEASED and request.granted_at is None:
            return Verdict.REFUSED
        if name == names.LOCK_EXPIRED:
            if context["last"] != request.last:
                return Verdict.REFUSED
            self.expiries += 1
            if context["reason"] == "silent":
                self._check_silence(lock, request)
        requests.remove(request)
        self.ended[lock, request.token] = name
        return Verdict.ACCEPTED

    def _grant(self, lock: str, requests: list[Request]) -> None:
        while True:
            waiting = [each for each in requests if each.granted_at is None]
            held = len(requests) - len(waiting)
            if not waiting or held >= min(each.capacity for each in requests):
                return
            waiting[0].granted_at = self.world.now
            token = waiting[0].token
            self._require(token > self._newest.get(lock, -1), f"the token {token} of {lock} is not greater than before")
            self._newest[lock] = token
            self.grants[lock, token] = self.world.now

    # -- what must not be --------------------------------------------------------------------------------------------

    def _visitor(self, owner: str) -> "Visitor":
        return self.world.workers[int(owner[1:].partition(".")[0])]

    def _check_silence(self, lock: str, request: Request) -> None:
        """The owner was silent for a lease; and it was dead, or had no chance to show that it lives."""
        world, who = self.world, self._visitor(request.owner)
        silent = world.now - request.seen_at
        self._require(
            silent > (1 - _MARGIN) * world.lease, f"{request.owner} lost {lock} after {silent:.3f} s of silence"
        )
        if who.gone or who.loop.stopped:
            return
        # One whose append was in doubt, or whose release has failed, is kept by no process.
        kept = (lock, request.token) in self.known or request.last != request.token
        peaceful = world.now > world.peace_at + 2 * world.lease and request.asked_at > world.peace_at
        self._require(not (kept and peaceful), f"{request.owner} lives, nothing is wrong, and it lost {lock}")
        was_well = (
            who.awake_since < world.away_began - world.lease and request.asked_at < world.away_began - world.lease
        )
        calm = world.log.slow_until < world.away_began - world.lease
        back = world.now - world.away_ended
        if was_well and calm and back >= 0 and request.seen_at > world.away_began - 0.4 * world.lease:
            self._require(back > 0.05 * world.lease, f"{request.owner} lost {lock} as soon as the journal was back")

    def _check_ttl(self, lock: str, request: Request) -> None:
        if request.ttl is None or request.granted_at is None or (lock, request.token) not in self.known:
            return  # one whose append was in doubt is kept by no process, and ends when another asks for the lock
        if self.world.now < self.world.peace_at + self.world.lease or self._visitor(request.owner).gone:
            return
        held = self.world.now - max(request.granted_at, self.world.peace_at)
        self._require(held < request.ttl + 2 * self.world.lease, f"{request.owner} holds {lock} for {held:.3f} s")

    # -- what processes believe --------------------------------------------------------------------------------------

    def believed(self, who: "Visitor", lock: str, owner: str, token: int) -> None:
        """A process was told that it was granted the lock."""
        self.known.add((lock, token))
        granted = (lock, token) in self.grants
        self._require(granted, f"process {who.number} is told that {owner} holds {lock}, which was not granted to it")

    def releasing(self, lock: str, owner: str) -> None:
        """A process is about to release a lock; if that fails, its lease ends the hold."""
        for (_, name), requests in self.books.items():
            self.known -= {(lock, each.token) for each in requests if name == lock and each.owner == owner}

    def released(self, lock: str, token: int, released: bool) -> None:
        """A process was told whether its release took effect."""
        ended = self.ended.get((lock, token))
        self._require(ended is not None, f"{lock} was released and is held")
        self._require(released == (ended == names.LOCK_RELEASED), f"the release of {lock} is told to be {released}")

    def close(self) -> None:
        """All visits are over: no request that was made in peace is left, except those of a hold without a ttl."""
        for (_, lock), requests in self.books.items():
            for each in requests:
                who = self._visitor(each.owner)
                late = each.asked_at > self.world.peace_at + self.world.lease and not who.gone
                self.check(
                    not late or each.granted_at is not None, f"the request of {each.owner} for {lock} is left over"
                )
                self.check(not late or each.ttl is None, f"the hold of {each.owner} on {lock} has outlived its ttl")
