"""Invariants of the task view for any order of the events of producers, workers and failure detectors."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from journeyman.journal.event_decoding import decode
from journeyman.journal.log import Page
from journeyman.tasks import State, TaskState, TaskView, Verdict
from journeyman.tasks.limits import TASK_ID_CHARS_MAX
from journeyman.tasks.state import dead_letters, ended, names
from journeyman.tasks.state.decoding import FactContext, dead_letter_context
from journeyman.tasks.state.part_facts import read_context
from journeyman.tasks.state.remembering import RememberingView
from support.ledger import Ledger, picture

TASKS = [f"task-{number}" for number in range(6)]
WORKERS = [f"worker-{number}" for number in range(4)]

tasks, workers = st.sampled_from(TASKS), st.sampled_from(WORKERS)


class Queue(RuleBasedStateMachine):
    """Producers, workers that come, hold, finish, freeze and return, watchers with old knowledge, and strangers."""

    KEPT = 3  # dead letters
    REFUSED = 12  # offsets after the end of a task, for which its id is refused

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(ended, "ENDED_TASK_EVENTS", self.REFUSED)
        self.patch.setattr(dead_letters, "DEAD_LETTERS_KEPT", self.KEPT)
        self.ready: list[TaskState] = []
        self.log = Ledger(RememberingView(on_ready=self.ready.append))
        self.tokens: list[tuple[str, str, int]] = []
        self.accepted: dict[tuple[str, int], str] = {}
        self.successes: dict[tuple[str, int, int], int] = {}
        self.lives: dict[str, int] = {}
        self.added: dict[str, int] = {}  # attempts that a program that is no worker has counted, or permitted
        self.alive: set[str] = set()
        self.ends: dict[str, int] = {}

    def teardown(self) -> None:
        self.same_however_it_is_replayed()
        self.patch.undo()

    def submission_of(self, task: str) -> int:
        state = self.log.view.find(task)
        return state.submitted if state is not None else -1

    @initialize()
    def begin(self) -> None:
        for worker in WORKERS[:2]:
            self.log.join(worker)

    @rule(
        task=tasks,
        retries=st.none() | st.integers(-1, 2),
        priority=st.integers(0, 2),
        due=st.sampled_from([0, 9.5]),
        expires=st.sampled_from([0, 0, 11.5]),
    )
    def submit(self, task: str, retries: int | None, priority: int, due: float, expires: float) -> None:
        known = self.knows(task)
        verdict = self.log.write(
            names.SUBMITTED,
            task=task,
            task_name="work",
            max_retries=retries,
            priority=priority,
            due=due,
            expires=expires,
        )
        assert (verdict is Verdict.REFUSED) == known

    def knows(self, task: str) -> bool:
        """Whether an event that would begin the task anew is to be refused, by the log alone."""
        seen = self.log.view
        ended = self.log.end - self.ends.get(task, -1_000_000) <= self.REFUSED
        return task in seen.live or task in seen.dead or ended

    @rule(task=tasks, retries=st.none() | st.integers(0, 2), behind=st.integers(-1, 3))
    def requeue_what_may_be_forgotten(self, task: str, retries: int | None, behind: int) -> None:
        known, dead, failed = self.knows(task), task in self.log.view.dead, self.log.view.failed
        offset = self.log.end - behind
        carried = {"offset": offset, "at": 1.5, "task_name": "work", "max_retries": retries}
        verdict = self.log.write(names.REQUEUED, task=task, submission=carried)
        legal = dead or (not known and behind > 0 and offset >= 0)
        assert (verdict is Verdict.ACCEPTED) == legal
        if legal:
            state = self.log.task(task)
            assert (state.state, state.attempts, state.due) == (State.READY, 0, 0.0)
            assert self.log.view.failed in (failed, failed - 1)
            if not dead:
                self.lives[task] = self.lives.get(task, 0) + 1
                assert (state.submitted, state.submitted_at) == (offset, 1.5)

    @invariant()
    def note_ends(self) -> None:
        """Each rule writes one event at most, so what is no longer alive has ended with the last one."""
        seen = self.log.view
        for task in self.alive - seen.live.keys() - seen.dead.keys():
            self.ends[task] = self.log.end - 1
        self.alive = set(seen.live)
        known = seen._ended[0].ends if 0 in seen._ended else {}
        assert {task: seen.last_change(0, task) for task in known} == {task: self.ends[task] for task in known}

    @rule(worker=workers)
    def join(self, worker: str) -> None:
        self.log.join(worker)

    @rule(worker=workers)
    def beat(self, worker: str) -> None:
        self.log.write(names.BEAT, worker=worker)

    @rule(worker=workers)
    def leave(self, worker: str) -> None:
        self.log.write(names.LEFT, worker=worker)

    @rule(task=tasks, worker=workers)
    def claim(self, task: str, worker: str) -> None:
        free = self.log.view.find(task)
        legal = free is not None and free.state is State.READY and self.log.view.session(0, worker) is not None
        verdict = self.log.write(names.CLAIMED, task=task, worker=worker)
        assert (verdict is Verdict.ACCEPTED) == legal
        if legal:
            token = self.log.end - 1
            assert all(token > earlier for _, _, earlier in self.tokens), "tokens rise"
            self.tokens.append((task, worker, token))

    @rule(data=st.data(), name=st.sampled_from(sorted(names.OUTCOMES)), due=st.sampled_from([0, 7.25]))
    def outcome(self, data: st.DataObject, name: str, due: float) -> None:
        """An outcome of any claim there ever was, as late as it likes."""
        if not self.tokens:
            return
        task, worker, token = data.draw(st.sampled_from(self.tokens))
        state = self.log.view.find(task)
        if name == names.RETRIED and state is not None and state.exhausted:
            name = names.FAILED  # as a worker does
        stale = self.log.view.stale_outcomes
        verdict = self.log.write(name, task=task, worker=worker, claim=token, due=due)
        if verdict is Verdict.REFUSED:
            assert self.log.view.stale_outcomes == stale + 1, "a refused outcome is visible"
            return
        assert state is not None
        assert (task, token) not in self.accepted, "at most one accepted outcome for each claim"
        self.accepted[task, token] = name
        if name == names.SUCCEEDED:
            self.note_success(task, state)

    @rule(data=st.data())
    def progress(self, data: st.DataObject) -> None:
        if self.tokens:
            task, worker, token = data.draw(st.sampled_from(self.tokens))
            self.log.write(names.PROGRESSED, task=task, worker=worker, claim=token)

    @rule(worker=workers, by=workers, behind=st.integers(0, 2))
    def expire(self, worker: str, by: str, behind: int) -> None:
        """A watcher that may have missed the last events of the session."""
        session = self.log.view.session(0, worker)
        last = session.last - behind if session is not None else 5
        verdict = self.log.write(names.EXPIRED, worker=worker, last=last, by=by)
        assert (verdict is Verdict.ACCEPTED) == (session is not None and behind == 0 and worker != by)

    @rule(task=tasks, name=st.sampled_from([names.REVOKED, names.REQUEUED, names.COLLECTED, names.LAPSED, names.NOTED]))
    def by_hand(self, task: str, name: str) -> None:
        self.log.write(name, task=task)

    @rule(data=st.data())
    def amend(self, data: st.DataObject) -> None:
        """By the holder of any claim there ever was, or by a program that holds none."""
        task = data.draw(tasks)
        before = self.log.view.find(task)
        token = data.draw(st.sampled_from([-1, *(token for of, _, token in self.tokens if of == task)]))
        verdict = self.log.write(names.AMENDED, task=task, claim=token)
        legal = before is not None and before.state in (State.READY, State.CLAIMED) and token == before.claim
        assert (verdict is Verdict.ACCEPTED) == legal
        assert (self.log.view.amendments.get(task) == self.log.end - 1) == legal

    @rule(data=st.data(), name=st.sampled_from(sorted(names.BY_HAND)), due=st.sampled_from([0, 7.25]))
    def outcome_by_hand(self, data: st.DataObject, name: str, due: float) -> None:
        """By a program that is no worker: if it names a claim that is not the current one, it is refused."""
        task = data.draw(tasks)
        before = self.log.view.find(task)
        state = before.state if before is not None else State.UNKNOWN
        token = data.draw(st.sampled_from([-1, *(token for of, _, token in self.tokens if of == task)]))
        current = before.claim if before is not None else -1
        verdict = self.log.write(name, task=task, due=due, claim=token)
        legal = state in (State.READY, State.CLAIMED) and token in (-1, current)
        assert (verdict is Verdict.ACCEPTED) == legal
        if legal and name == names.ACKNOWLEDGED:
            self.note_success(task, before)
        if legal and name == names.RESCHEDULED:
            self.added[task] = self.added.get(task, 0) + 1

    def note_success(self, task: str, state: TaskState | None) -> None:
        """Count the success of a task's present life; two forgotten dead letters may name one submission."""
        assert state is not None
        life = (task, state.submitted, self.lives.get(task, 0))
        self.successes[life] = self.successes.get(life, 0) + 1

    @rule(
        name=st.sampled_from([*names.TASK_EVENTS, *names.WORKER_EVENTS, "order.paid"]),
        context=st.dictionaries(
            st.sampled_from(["task", "worker", "claim", "last", "by", "priority", "due", "unknown"]),
            st.sampled_from(["", "x", -1, 0, 2**40, None, [], {"task": "task-1"}, True, 1.5]),
        ),
    )
    def strange(self, name: str, context: dict[str, Any]) -> None:
        self.log.write(name, **{**context, "task": context.get("task") or "x" * (TASK_ID_CHARS_MAX + 1)})

    @invariant()
    def one_owner_for_each_token(self) -> None:
        claimed = [task for task in self.log.view.live.values() if task.state is State.CLAIMED]
        assert len({task.claim for task in claimed}) == len(claimed)
        held = {id_: session.worker for session in self.log.view.all_sessions() for id_ in session.claims}
        assert held == {task.id: task.worker for task in claimed}
        assert sum(len(session.claims) for session in self.log.view.all_sessions()) == len(claimed)

    @invariant()
    def each_task_is_in_one_room(self) -> None:
        seen = self.log.view
        assert all(task.state in (State.READY, State.CLAIMED) for task in seen.live.values())
        assert all(task.state is State.FAILED for task in seen.dead.values())
        known = seen._ended[0].ends if 0 in seen._ended else {}
        rooms = (set(seen.live), set(known), set(seen.dead))
        assert len(set.union(*rooms)) == sum(map(len, rooms))
        assert len(known) <= self.REFUSED + 1
        assert len(seen.dead) <= self.KEPT

    @invariant()
    def totals_add_up_to_all_that_was_submitted(self) -> None:
        seen = self.log.view
        assert seen.submitted == len(seen.live) + seen.succeeded + seen.failed + seen.revoked
        assert seen.succeeded == sum(self.successes.values())
        assert seen.failed >= len(seen.dead)

    @invariant()
    def attempts_are_within_bounds(self) -> None:
        for room in (self.log.view.live, self.log.view.dead):
            for task in room.values():
                assert task.attempts >= 0
                bound = max(task.max_retries or 0, 0) + 1 + self.added.get(task.id, 0)
                assert task.max_retries is None or task.attempts <= bound
                assert task.state is not State.CLAIMED or task.attempts >= 1

    @invariant()
    def only_live_tasks_may_lapse(self) -> None:
        assert self.log.view.expiries.keys() <= self.log.view.live.keys()

    @invariant()
    def at_most_one_final_success(self) -> None:
        assert all(count == 1 for count in self.successes.values())

    @invariant()
    def what_is_ready_was_announced(self) -> None:
        announced = {id(task) for task in self.ready}
        assert all(id(task) in announced for task in self.log.view.live.values() if task.state is State.READY)

    def same_however_it_is_replayed(self) -> None:
        expected = picture(self.log.view)
        assert picture(by_pages(self.log)) == expected
        assert picture(by_facts(self.log)) == expected


def all_of_them(_task_name: str, _queue: str) -> bool:
    """Keep the submissions of all tasks."""
    return True


def by_pages(log: Ledger, size: int = 3) -> TaskView:
    """The log replayed in pages."""
    fresh = TaskView(keeps=all_of_them)
    whole = log.page()
    for start in range(0, len(log.rows), size):
        part = slice(start, start + size)
        fresh.apply_page(Page(whole.partition, whole.offsets[part], whole.rows[part]))
    return fresh


class Head(msgspec.Struct):
    timestamp: float
    name: str
    context: msgspec.Raw = msgspec.Raw(b"{}")


def by_facts(log: Ledger) -> TaskView:
    """The log replayed fact by fact, as a worker applies its own events."""
    fresh = TaskView()
    for event, row in zip(log.events, log.rows, strict=True):
        try:
            head = msgspec.json.decode(row, type=Head)
            context = read_context(head.name, head.context)
        except msgspec.MsgspecError:
            fresh.unreadable += 1
            continue
        fresh.apply_fact(head.name, context, event.partition, event.offset, event.timestamp)
    return fresh


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


# -- rows that no worker wrote ---------------------------------------------------------------------------------------


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
field_names = st.sampled_from([field.name for field in msgspec.structs.fields(FactContext)])
transformed_rows = st.fixed_dictionaries(
    {"name": st.sampled_from([*names.TASK_EVENTS, *names.WORKER_EVENTS, "x"])},
    optional={
        "timestamp": st.floats(0, 2e9) | st.none(),
        "context": st.dictionaries(field_names, json_values, max_size=5) | json_values,
    },
).map(msgspec.json.encode)


@given(st.lists(st.binary(max_size=30) | json_values.map(msgspec.json.encode) | transformed_rows, max_size=12))
@settings(max_examples=200, deadline=None)
def test_no_row_is_fatal(rows: list[bytes]) -> None:
    log = Ledger()
    log.join("worker")
    log.submit("task")
    log.claim("task", "worker")
    strangers = Page(0, range(log.end, log.end + len(rows)), rows)
    if rows:
        log.view.apply_page(strangers)
    assert all(0 < len(id_) <= TASK_ID_CHARS_MAX for id_ in log.view.live)
    assert all(session.worker for session in log.view.all_sessions())


def test_unreadable_events_are_counted_and_skipped() -> None:
    log = Ledger()
    log.submit("before")
    log.view.apply_page(Page(0, [1, 2, 3], [b"not json", b'{"name":"task.submitted","context":{"task":5}}', b"[]"]))
    assert log.view.unreadable == 3
    assert list(log.view.live) == ["before"]


@pytest.mark.parametrize("name", [*names.TASK_EVENTS, *names.WORKER_EVENTS])
def test_event_without_subject_is_unreadable_in_every_reader(name: str) -> None:
    row = b'{"timestamp":1.0,"name":"%b"}' % name.encode()
    by_page, by_event = TaskView(), TaskView()
    by_page.apply_page(Page(0, [0], [row]))
    assert by_event.apply(decode(row, 0, 0)) is Verdict.FOREIGN
    for seen in (by_page, by_event):
        assert (seen.unreadable, seen.stale_outcomes, seen.lost_claims) == (1, 0, 0)


def test_foreign_events_with_our_names_are_skipped() -> None:
    seen = TaskView()
    rows = [b'{"timestamp":1.0,"name":"order.paid","context":{"task":5,"worker":["x"]}}', b'{"timestamp":1,"name":"a"}']
    seen.apply_page(Page(0, [0, 1], rows))
    assert [seen.apply(decode(row, 0, offset)) for offset, row in enumerate(rows, 2)] == [Verdict.FOREIGN] * 2
    assert seen.unreadable == 0


def test_incomplete_submission_gets_message_defaults() -> None:
    view_ = TaskView()
    row = b'{"timestamp":1.0,"name":"task.submitted","context":{"task":"t","task_name":"work"}}'
    view_.apply_page(Page(0, [0], [row]))
    task = view_.live["t"]
    assert (task.queue, task.priority, task.max_retries, task.due) == ("default", 0, 3, 0.0)


def test_id_that_is_no_valid_key_is_refused() -> None:
    log = Ledger()
    id_ = "x" * (TASK_ID_CHARS_MAX + 1)
    assert log.write(names.SUBMITTED, task=id_, task_name="work") is Verdict.REFUSED
    assert not log.view.live


# -- rooms -----------------------------------------------------------------------------------------------------------


def test_id_is_refused_for_some_offsets_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended, "ENDED_TASK_EVENTS", 4)
    log = Ledger()
    log.submit("a")
    log.write(names.REVOKED, task="a")
    for _ in range(4):
        assert log.write(names.SUBMITTED, task="a", task_name="work") is Verdict.REFUSED
    assert log.write(names.SUBMITTED, task="a", task_name="work") is Verdict.ACCEPTED
    assert (log.view.submitted, log.view.revoked) == (2, 1)
    log.write(names.REVOKED, task="a")
    assert log.write(names.SUBMITTED, task="a", task_name="work") is Verdict.REFUSED


def test_history_of_one_task_reaches_the_same_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended, "ENDED_TASK_EVENTS", 4)
    log, verdicts = Ledger(), list[Verdict]()
    for task in "abacadaebaafaga":
        verdicts.append(log.write(names.SUBMITTED, task=task, task_name="work"))
        verdicts.append(log.write(names.REVOKED, task=task))
    alone = TaskView()
    own = [
        (event, verdict) for event, verdict in zip(log.events, verdicts, strict=True) if event.context["task"] == "a"
    ]
    assert {verdict for event, verdict in own if event.name == names.SUBMITTED} == set(Verdict) - {Verdict.FOREIGN}
    assert [alone.apply(event) for event, _ in own] == [verdict for _, verdict in own]


def test_memory_of_ended_tasks_goes_by_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended, "ENDED_TASK_EVENTS", 10)
    log = Ledger()
    for number in range(50):
        log.submit(f"t{number}")
        log.write(names.REVOKED, task=f"t{number}")
    assert len(log.view._ended[0].ends) == 6
    assert (log.view.submitted, log.view.revoked) == (50, 50)


def test_end_in_another_partition_refuses_nothing() -> None:
    log = Ledger()
    log.submit("a")
    log.write(names.REVOKED, task="a")
    elsewhere = Ledger(log.view, partition=1)
    assert elsewhere.write(names.SUBMITTED, task="a", task_name="work") is Verdict.ACCEPTED


def test_late_outcome_of_a_forgotten_task_is_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended, "ENDED_TASK_EVENTS", 1)
    log = Ledger()
    log.join("w")
    for task in ("a", "b"):
        log.submit(task)
        claim = log.claim(task, "w")
        log.write(names.REVOKED, task=task)
    assert log.view.state_of(0, "a") is State.UNKNOWN
    assert log.write(names.SUCCEEDED, task="a", worker="w", claim=claim) is Verdict.REFUSED
    assert log.view.stale_outcomes == 1


def test_ended_tasks_are_passed_to_the_subscriber() -> None:
    ends: list[tuple[str, State]] = []
    log = Ledger(TaskView(on_ended=lambda task: ends.append((task.id, task.state))))
    log.join("w")
    for task, name in (("a", names.SUCCEEDED), ("b", names.FAILED), ("c", names.REVOKED)):
        log.submit(task)
        log.claim(task, "w")
        log.end_attempt(name, task, "w")
    assert ends == [("a", State.SUCCEEDED), ("c", State.REVOKED)]
    assert [log.view.state_of(0, task) for task in "abcd"] == [
        State.SUCCEEDED,
        State.FAILED,
        State.REVOKED,
        State.UNKNOWN,
    ]
    assert [log.view.last_change(0, task) for task in "abcd"] == [3, 6, 9, -1]


# -- dead letters that the view has forgotten ------------------------------------------------------------------------


def forgotten_letter(monkeypatch: pytest.MonkeyPatch) -> tuple[Ledger, dict[str, Any]]:
    """A log with a dead letter `a` that its view has forgotten, and what its `task.requeued` says."""
    monkeypatch.setattr(dead_letters, "DEAD_LETTERS_KEPT", 1)
    log = Ledger()
    log.join("w")
    for task in ("a", "b"):
        log.submit(task, queue="mail", priority=2, max_retries=0)
        log.claim(task, "w")
        log.end_attempt(names.FAILED, task, "w")
    assert list(log.view.dead) == ["b"]
    return log, dead_letter_context(log.rows[1], 1)


def test_forgotten_dead_letter_is_restored_by_requeue(monkeypatch: pytest.MonkeyPatch) -> None:
    log, context = forgotten_letter(monkeypatch)
    assert log.write(names.REQUEUED, task="a") is Verdict.REFUSED, "nothing says where its submission stands"
    assert log.write(names.REQUEUED, **context) is Verdict.ACCEPTED
    task = log.task("a")
    assert (task.name, task.queue, task.priority, task.max_retries) == ("work", "mail", 2, 0)
    assert (task.submitted, task.submitted_at) == (1, log.events[1].timestamp)
    assert (log.view.submitted, log.view.failed) == (2, 1)
    assert log.write(names.REQUEUED, **context) is Verdict.REFUSED, "it is alive"
    log.claim("a", "w")
    assert log.end_attempt(names.SUCCEEDED, "a", "w") is Verdict.ACCEPTED
    assert log.write(names.REQUEUED, **context) is Verdict.REFUSED, "it has succeeded"
    assert picture(by_pages(log)) == picture(log.view)


def test_forgotten_dead_letter_is_restored_with_its_amendment(monkeypatch: pytest.MonkeyPatch) -> None:
    log, _ = forgotten_letter(monkeypatch)
    assert log.write(names.REQUEUED, **dead_letter_context(log.rows[1], 1, 2)) is Verdict.ACCEPTED
    assert log.view.amendments == {"a": 2}
    assert picture(by_pages(log)) == picture(log.view)


def test_known_dead_letter_is_requeued_without_submission(monkeypatch: pytest.MonkeyPatch) -> None:
    log, context = forgotten_letter(monkeypatch)
    assert log.write(names.REQUEUED, task="b", submission=context["submission"]) is Verdict.ACCEPTED
    assert log.task("b").submitted == 4, "the view knows better"


@pytest.mark.parametrize("offset", [7, 8, -1])
def test_requeue_with_a_wrong_submission_offset_is_refused(offset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    log, context = forgotten_letter(monkeypatch)
    context["submission"]["offset"] = offset
    assert log.write(names.REQUEUED, **context) is Verdict.REFUSED


def test_requeue_of_an_uncounted_task_counts_it() -> None:
    log = Ledger(first=100)
    carried = {"offset": 3, "at": 2.0, "task_name": "work"}
    assert log.write(names.REQUEUED, task="old", submission=carried) is Verdict.ACCEPTED
    assert (log.view.submitted, log.view.failed, len(log.view.live)) == (1, 0, 1)


@pytest.mark.parametrize("row", [b"", b'{"timestamp":1.0,"name":"order.paid","context":{"task":"t"}}'])
def test_dead_letter_context_requires_a_submission(row: bytes) -> None:
    with pytest.raises(ValueError, match=r"at offset 5 was expected to be a task\.submitted"):
        dead_letter_context(row, 5)


def test_requeued_dead_letter_ages_from_its_last_death(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "DEAD_LETTERS_KEPT", 2)
    log = Ledger()
    log.join("w")

    def fail(task: str) -> None:
        log.claim(task, "w")
        log.end_attempt(names.FAILED, task, "w")

    for task in ("a", "b", "c"):
        log.submit(task)
    fail("a")
    fail("b")
    log.write(names.REQUEUED, task="a")
    fail("a")
    fail("c")
    assert list(log.view.dead) == ["a", "c"]


@given(st.lists(st.sampled_from([0, 1]), min_size=8, max_size=24), st.randoms())
@settings(max_examples=60, deadline=None)
def test_forgetting_does_not_depend_on_partition_order(places: list[int], order: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ended, "ENDED_TASK_EVENTS", 6)
        patch.setattr(dead_letters, "DEAD_LETTERS_KEPT", 2)
        written = TaskView()
        logs = [Ledger(written, partition) for partition in (0, 1)]
        for log in logs:
            log.join("w")
        for number, place in enumerate(places):
            log, task = logs[place], f"{place}-{number}"
            log.submit(task)
            log.claim(task, "w")
            log.end_attempt(order.choice([names.SUCCEEDED, names.FAILED]), task, "w")
        replayed = TaskView()
        queues = [list(zip(log.page().offsets, log.rows, strict=True)) for log in logs]
        while any(queues):
            place = order.choice([place for place in (0, 1) if queues[place]])
            offset, row = queues[place].pop(0)
            replayed.apply_page(Page(place, [offset], [row]))
        assert picture(replayed) == picture(written)


def test_rows_of_live_tasks_are_kept_on_request() -> None:
    log = Ledger()
    log.submit("a")
    log.submit("b")
    keeping = TaskView(keeps=all_of_them)
    keeping.apply_page(log.page())
    assert keeping.rows.get("a") == log.rows[0]
    log.write(names.REVOKED, task="a")
    keeping.apply_page(Page(0, [2], log.rows[2:]))
    assert "a" not in keeping.rows
    assert by_pages(log).rows.get("b") == log.rows[1]
    assert "b" not in log.view.rows


def test_session_watcher_is_notified_of_every_change() -> None:
    changes: list[set[str]] = []
    log = Ledger()
    log.view.sessions.on_change = lambda: changes.append({session.worker for session in log.view.all_sessions()})
    log.join("a")
    log.join("b")
    log.write(names.BEAT, worker="a")
    log.expire("a", by="b")
    log.write(names.LEFT, worker="b")
    assert changes == [{"a"}, {"a", "b"}, {"b"}, set()]
    assert not list(log.view.all_sessions())
