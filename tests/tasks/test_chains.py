"""Chains: the ids of their links, and the rule that a link is submitted exactly if its predecessor has succeeded."""

import asyncio
from typing import Any

import journeyman as jm
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journeyman.journal.event import Draft, encode_context
from journeyman.journal.event_decoding import decode
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.tasks import TaskView, Verdict
from journeyman.tasks.limits import CHAIN_LINKS_MAX
from journeyman.tasks.lookup import task_lookup
from journeyman.tasks.state import names
from journeyman.tasks.state.remembering import RememberingView
from journeyman.tasks.state.routing import link_id
from journeyman.tasks.state.transitions import State
from support.ledger import Ledger

BROKER = jm.Broker("memory://")
work = jm.Task(lambda *args, message=None: args, BROKER, "work")


def made(*args: Any, callback: Any = None, **options: Any) -> jm.Message:
    return work.generate(args, callback=callback, submit=False, **options)


# -- making ------------------------------------------------------------------------------------------------------------


def test_ids_of_links_follow_from_the_root() -> None:
    last = made(3)
    middle = made(2, callback=last)
    root = made(1, callback=middle)
    assert root.descendant_uuids == [f"{root.uuid}@1", f"{root.uuid}@2"]
    assert (middle.uuid, last.uuid) == tuple(root.descendant_uuids), "in the caller's objects, too"
    assert middle.descendant_uuids == [last.uuid]
    assert made(1).descendant_uuids is None


def test_tuple_of_callbacks_is_a_chain_in_its_order() -> None:
    first, second, third = made(1), made(2), made(3)
    root = made(0, callback=(first, second, third))
    assert [first.uuid, second.uuid, third.uuid] == root.descendant_uuids
    data = root.callback_message_data
    assert data is not None
    assert data["args"] == [1]
    assert data["callback_message_data"]["callback_message_data"]["args"] == [3]


def test_chosen_id_of_the_root_names_its_links() -> None:
    assert made(callback=made(), uuid="order-7").descendant_uuids == ["order-7@1"]


def test_callbacks_that_make_no_chain_are_refused() -> None:
    with pytest.raises(AttributeError, match="callback of its own"):
        made(callback=(made(callback=made()), made()))
    twice = made()
    with pytest.raises(jm.ValidationError, match="once"):
        made(callback=(twice, twice))
    with pytest.raises(jm.ValidationError, match="Leave its uuid out"):
        made(callback=made(uuid="mine"))
    with pytest.raises(jm.ValidationError, match="a callback is a message"):
        made(callback=["text"])
    with pytest.raises(jm.ValidationError, match="CHAIN_LINKS_MAX"):
        made(callback=tuple(made() for _ in range(CHAIN_LINKS_MAX + 1)))


def test_longest_chain_can_be_submitted() -> None:
    with jm.Journal("memory://") as journal:
        task = jm.Task(lambda: 1, jm.Broker(journal), "work")
        links = tuple(task.generate(submit=False) for _ in range(CHAIN_LINKS_MAX))
        assert len(task.generate(callback=links).descendant_uuids or ()) == CHAIN_LINKS_MAX


def test_submission_with_foreign_link_ids_is_refused() -> None:
    with jm.Journal("memory://") as journal:
        message = made(callback=made())
        message.uuid = "another"
        with pytest.raises(jm.ValidationError, match="another@1"):
            jm.Broker(journal).submit(message)
        with pytest.raises(jm.ValidationError, match="is no message"):
            jm.Broker(journal).submit(made().update(callback_message_data={"uuid": 1}))


def test_arguments_are_submitted_as_the_function_takes_them() -> None:
    async def submitted(task: jm.Task[[int], int]) -> jm.Message:
        return await task.submit_async(3)

    def double(number: int) -> int:
        return 2 * number

    with jm.Journal("memory://") as journal:
        task = jm.task(jm.Broker(journal))(double)
        assert task.submit(number=2).kwargs == {"number": 2}
        assert asyncio.run(submitted(task)).args == (3,)
        with pytest.raises(jm.ValidationError, match="number"):
            task.submit()  # type: ignore[call-arg]
        with pytest.raises(jm.ValidationError):
            task.submit(1, 2)  # type: ignore[call-arg]


# -- the rule ----------------------------------------------------------------------------------------------------------


def ledger() -> Ledger:
    log = Ledger(RememberingView())
    log.join("one")
    log.join("two")
    log.submit("root")
    return log


def succeed(log: Ledger, claim: int, worker: str, task: str = "root", number: int = 1) -> tuple[Verdict, Verdict]:
    """The pair that a worker appends when a task with a callback has succeeded."""
    link = link_id("root", number)
    first = log.write(names.SUCCEEDED, task=task, worker=worker, claim=claim, result=1, next=link)
    second = log.write(names.SUBMITTED, task=link, task_name="work", after=claim, previous_message_uuid=task)
    return first, second


def test_link_is_accepted_behind_the_success_that_names_it() -> None:
    log = ledger()
    assert succeed(log, log.claim("root", "one"), "one") == (Verdict.ACCEPTED, Verdict.ACCEPTED)
    assert log.task("root@1").state is State.READY
    assert not log.view.links, "it is no longer expected"
    assert succeed(log, log.claim("root@1", "two"), "two", "root@1", 2) == (Verdict.ACCEPTED, Verdict.ACCEPTED)


def test_pair_of_a_former_owner_is_refused_as_a_whole() -> None:
    log = ledger()
    stale = log.claim("root", "one")
    log.expire("one")
    assert succeed(log, stale, "one") == (Verdict.REFUSED, Verdict.REFUSED)
    assert log.view.find("root@1") is None
    assert succeed(log, log.claim("root", "two"), "two") == (Verdict.ACCEPTED, Verdict.ACCEPTED)
    assert succeed(log, stale, "one") == (Verdict.REFUSED, Verdict.REFUSED), "also behind the accepted one"


def test_link_without_its_success_is_refused() -> None:
    log = ledger()
    claim = log.claim("root", "one")
    submission = {"task": "root@1", "task_name": "work"}
    assert log.write(names.SUBMITTED, **submission, after=claim) is Verdict.REFUSED
    log.write(names.SUCCEEDED, task="root", worker="one", claim=claim, next="root@1")
    assert log.write(names.SUBMITTED, **submission, after=claim + 7) is Verdict.REFUSED, "another token"
    assert log.write(names.SUBMITTED, **submission, after=claim) is Verdict.ACCEPTED
    assert log.write(names.SUBMITTED, **submission, after=claim) is Verdict.REFUSED


def test_failure_names_no_link() -> None:
    log = ledger()
    claim = log.claim("root", "one")
    log.write(names.FAILED, task="root", worker="one", claim=claim, next="root@1")
    assert log.write(names.SUBMITTED, task="root@1", task_name="work", after=claim) is Verdict.REFUSED


def test_expected_link_survives_a_snapshot() -> None:
    log = ledger()
    claim = log.claim("root", "one")
    log.write(names.SUCCEEDED, task="root", worker="one", claim=claim, next="root@1")
    later = TaskView()
    later.restore(log.view.snapshot())
    log.view.links.clear()
    restored = Ledger(later, first=log.end)
    assert restored.write(names.SUBMITTED, task="root@1", task_name="work", after=claim) is Verdict.ACCEPTED


# -- any order ---------------------------------------------------------------------------------------------------------

_STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["claim", "claim", "pair", "pair", "join", "expire", "leave", "fail", "retry", "revoke", "alone"]
        ),
        st.sampled_from(["u", "v"]),
        st.integers(0, 2),
        st.integers(0, 50),
    ),
    max_size=60,
)


class Happening:
    """A log of one chain of three, and workers that do likely and unlikely things; each pair goes in one append."""

    def __init__(self) -> None:
        self.log = MemoryLog(MemoryStore(1))
        self.view = RememberingView()
        self.tokens: list[tuple[str, str, int]] = []

    async def write(self, *events: tuple[str, dict[str, Any]]) -> int:
        """Append these events at once; the offset of the first."""
        drafts = [Draft(name, encode_context(name, context), "root") for name, context in events]
        written = await self.log.append(drafts)
        for event in written:
            self.view.apply(event)
        return written[0].offset

    async def begin(self) -> None:
        await self.write((names.SUBMITTED, {"task": "root", "task_name": "work", "max_retries": 1}))
        for worker in "uv":
            await self.join(worker)

    async def join(self, worker: str) -> None:
        await self.write((names.JOINED, {"worker": worker, "host": "h", "pid": 1, "lease_ms": 600}))

    async def step(self, what: str, worker: str, number: int, pick: int) -> None:
        task = link_id("root", number) if number else "root"
        session = self.view.session(0, worker)
        if what == "join":
            await self.join(worker)
        elif what == "expire":
            await self.write((names.EXPIRED, {"worker": worker, "last": session.last if session else 3, "by": "w"}))
        elif what == "leave":
            await self.write((names.LEFT, {"worker": worker}))
        elif what == "revoke":
            await self.write((names.REVOKED, {"task": task}))
        elif what == "claim":
            self.tokens.append((task, worker, await self.write((names.CLAIMED, {"task": task, "worker": worker}))))
        elif self.tokens:
            await self.end(what, *self.tokens[-1 - pick % min(3, len(self.tokens))])

    async def end(self, what: str, task: str, worker: str, claim: int) -> None:
        """End a claim, perhaps one that was lost long ago; or submit its link without that."""
        outcome = {"task": task, "worker": worker, "claim": claim}
        link = link_id("root", int(task.partition("@")[2] or 0) + 1)
        submission = {"task": link, "task_name": "work", "after": claim, "previous_message_uuid": task}
        if what == "pair":
            await self.write((names.SUCCEEDED, {**outcome, "next": link}), (names.SUBMITTED, submission))
        elif what == "alone":
            await self.write((names.SUBMITTED, submission))
        else:
            await self.write((names.FAILED if what == "fail" else names.RETRIED, {**outcome, "due": 0.0}))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_STEPS)
def test_link_is_there_exactly_if_its_predecessor_succeeded(steps: list[tuple[str, str, int, int]]) -> None:
    async def check() -> None:
        happening = Happening()
        await happening.begin()
        for step in steps:
            await happening.step(*step)
        log = happening.log
        view, accepted = RememberingView(), list[tuple[str, str]]()
        offset = 0
        while pages := await log.read({0: offset}, 1):
            event = decode(pages[0].rows[0], 0, offset)
            if view.apply(event) is Verdict.ACCEPTED:
                accepted.append((event.name, event.context.get("task", "")))
            offset += 1
        for number in range(1, 4):
            link, before = link_id("root", number), link_id("root", number - 1) if number > 1 else "root"
            submitted = accepted.count((names.SUBMITTED, link))
            succeeded = accepted.count((names.SUCCEEDED, before))
            assert submitted == succeeded <= 1
        assert not view.links, "both events of a pair are there"
        journal = jm.AsyncJournal(log)
        for number in range(4):
            task_id = link_id("root", number) if number else "root"
            found, whole = (await task_lookup(journal).find(task_id)).task, view.find(task_id)
            assert (found is None) == (whole is None), f"a look-up of {task_id} agrees with the fold of all events"
            if found is not None and whole is not None:
                assert (found.state, found.attempts, found.claim) == (whole.state, whole.attempts, whole.claim)
        await journal.aclose()

    asyncio.run(check())
