"""Trends: counts and spans over time agree with the state of the tasks, and windows add up."""

import math
import time
import uuid
from typing import Any

import journeyman as jm
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.consumers.views.replica import Replica
from journeyman.journal.event import Draft, encode_context, record
from journeyman.journal.log import Page
from journeyman.tasks import State, TaskView, Verdict
from journeyman.tasks.answers.trends import trends_answer
from journeyman.tasks.errors import ValidationError
from journeyman.tasks.limits import (
    HISTOGRAM_ERROR_FRACTION,
    HISTOGRAM_SECONDS_MIN,
    SLOWEST_RUNS_KEPT,
    TREND_BUCKETS_MAX,
)
from journeyman.tasks.retention import compact, plan
from journeyman.tasks.state import names
from journeyman.tasks.state.routing import routing_key
from journeyman.tasks.trends.histogram import CLASSES_MAX, Histogram
from journeyman.tasks.trends.reading import read_trends
from journeyman.tasks.trends.trends import Trends
from journeyman.tasks.trends.view import TrendView
from journeyman.tasks.trends.window import Window
from support.ledger import Ledger, picture
from support.shop import Shop, named

BEGIN = 1_800_000_000.0  # of a ledger; its events are a second apart
SINCE = BEGIN - 1  # so that a window's first bucket begins with the first event
QUEUES = ("mail", "bulk")
TASKS = [f"task-{number}" for number in range(5)]
WORKERS = ["ada", "bob"]
BY_HAND = sorted(names.BY_HAND | {names.REVOKED, names.LAPSED, names.REQUEUED, names.PURGED, names.NOTED})

steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["submit", "submit", "join", "claim", "claim", "claim", "end", "end", "late", "hand", "expire", "leave"]
        ),
        st.sampled_from(TASKS),
        st.sampled_from(WORKERS),
        st.integers(0, 6),
    ),
    min_size=30,
    max_size=70,
)


def told(events: list[tuple[str, str, str, int]]) -> Ledger:
    """A log of tasks that wait, run, fail, are lost and are acted on, with refused claims and outcomes in it."""
    log = Ledger(TaskView())
    log.join("ada")
    outcomes = sorted(names.OUTCOMES)
    for step, task, worker, number in events:
        state = log.view.find(task)
        if step == "submit":
            log.write(names.SUBMITTED, task=task, task_name="work", queue=QUEUES[number % 2], max_retries=number % 3)
        elif step == "join":
            log.join(worker)
        elif step == "claim":
            log.write(names.CLAIMED, task=task, worker=worker)
        elif step in ("end", "late"):
            claim = -1 if state is None else state.claim if step == "end" else state.claim - 1
            error = {"name": f"Error{number % 2}", "text": "no\nluck"}
            more = {"ran_ms": 10.0 * number, "exception": error} if number else {}
            log.write(outcomes[number % 4], task=task, worker=worker, claim=claim, **more)
        elif step == "hand":
            log.write(BY_HAND[number], task=task)
        elif step == "expire":
            log.expire(worker)
        else:
            log.write(names.LEFT, worker=worker)
    return log


def seen_by(log: Ledger, window: Window, begin: int = 0) -> TrendView:
    """The trends of the events from `begin` on, from the snapshot of the state before them on."""
    before, standing = TaskView(), TaskView()
    if begin:
        before.apply_page(Page(0, range(begin), log.rows[:begin]))
    standing.restore(before.snapshot())
    view = TrendView(window, standing)
    if log.rows[begin:]:
        view.apply_page(Page(0, range(begin, log.end), log.rows[begin:]))
    return view


def plain(trends: Trends) -> Any:
    return rounded(msgspec.to_builtins(trends_answer(trends)))


def rounded(value: Any) -> Any:
    """The same with sums of fractions as they would be without the order in which they were added."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return round(value, 6) if isinstance(value, float) else value


@settings(max_examples=40)
@given(steps)
def test_trends_agree_with_the_totals_of_the_state(events: list[tuple[str, str, str, int]]) -> None:
    log = told(events)
    view = seen_by(log, Window.between(SINCE, BEGIN + log.end, 7))
    assert picture(view.state) == picture(log.view)
    answer, state = trends_answer(view.trends), log.view
    counts = answer.total.counts
    assert counts.submitted == state.submitted
    assert counts.succeeded == state.succeeded == answer.total.latency.count
    assert counts.revoked + counts.purged == state.revoked
    assert counts.failed - counts.requeued - counts.purged == state.failed
    assert (counts.stale_outcomes, counts.lost_claims) == (state.stale_outcomes, state.lost_claims)
    running = sum(task.state is State.CLAIMED for task in state.live.values())
    assert answer.total.over_time.running[-1] == running
    assert answer.total.over_time.waiting[-1] == len(state.live) - running
    assert sum(failure.failed for failure in answer.failures) == counts.failed
    assert sum(failure.retried for failure in answer.failures) == counts.retried
    assert counts.started == answer.total.waited.count


@settings(max_examples=40)
@given(steps)
def test_every_start_has_one_end(events: list[tuple[str, str, str, int]]) -> None:
    log = told([each for each in events if each[0] != "hand"])
    answer = trends_answer(seen_by(log, Window.between(SINCE, BEGIN + log.end, 7)).trends)
    counts, running = answer.total.counts, answer.total.over_time.running[-1]
    ends = counts.succeeded + counts.failed + counts.retried + counts.interrupted + counts.returned
    assert counts.started == ends + running


@settings(max_examples=40)
@given(steps, st.integers(0, 12))
def test_two_windows_that_meet_are_one(events: list[tuple[str, str, str, int]], place: int) -> None:
    log = told(events)
    split = min(7 * place, log.end // 7 * 7 - 7)
    if split <= 0:
        split = 7
    whole = seen_by(log, Window.between(SINCE, SINCE + 14 * 7, 7)).trends
    later = seen_by(log, Window.between(SINCE + split, SINCE + 14 * 7, 7), begin=split).trends
    earlier = TrendView(Window.between(SINCE, SINCE + split, 7))
    earlier.apply_page(Page(0, range(split), log.rows[:split]))
    assert plain(earlier.trends.merged(later)) == plain(whole)


@settings(max_examples=40)
@given(steps, st.integers(1, 5))
def test_sliding_window_equals_a_window_of_its_own(events: list[tuple[str, str, str, int]], buckets: int) -> None:
    log = told(events)
    view = TrendView(Window.between(SINCE, SINCE + 7 * buckets, 7))
    for event in log.events:
        view.slide(event.timestamp)
        view.apply(event)
    end = view.trends.window.begin_of(view.trends.window.last + 1)
    view.slide(end)
    begin = max(0, int(view.trends.window.since - SINCE))
    own = seen_by(log, Window.between(view.trends.window.since, end, 7), begin=begin)
    assert plain(view.trends) == plain(own.trends)


def test_merge_refuses_windows_that_do_not_meet() -> None:
    one = Trends(Window.between(0, 60, 10))
    for other in (Window.between(70, 130, 10), Window.between(60, 120, 20), Window.between(50, 110, 10)):
        with pytest.raises(ValidationError, match="trends merge with those of the next window"):
            one.merged(Trends(other))
    with pytest.raises(ValidationError, match="one since 70"):  # its last bucket is not whole
        Trends(Window.between(0, 65, 10)).merged(Trends(Window.between(65, 125, 10)))


def test_window_refuses_what_is_no_window() -> None:
    for since, until in ((10, 10), (10, 5), (0, math.inf), (math.nan, 5)):
        with pytest.raises(ValidationError, match="ends after it begins"):
            Window.between(since, until, 1)
    with pytest.raises(ValidationError, match="above 0, got 0"):
        Window.between(0, 10, 0)
    with pytest.raises(ValidationError, match=f"at most {TREND_BUCKETS_MAX:,} are kept: choose a width of 50 s"):
        Window.between(0, 50 * TREND_BUCKETS_MAX, 1)


def test_event_at_the_end_of_a_bucket_belongs_to_it() -> None:
    window = Window.between(100, 130, 10)
    assert [window.number_of(at) for at in (100.5, 110, 110.5, 130)] == [0, 0, 1, 2]
    assert [window.number_of(at) for at in (5, 100, 131, 9_999)] == [0, 0, 2, 2]
    assert [window.end_of(number) for number in window.numbers()] == [110, 120, 130]
    assert Window.between(100, 125, 10).end_of(2) == 125


spans = st.floats(0, 1e8, allow_nan=False)


@given(st.lists(spans, min_size=1), st.lists(spans), st.floats(0.01, 1))
def test_percentiles_are_within_the_stated_error(some: list[float], more: list[float], fraction: float) -> None:
    merged, other = Histogram(), Histogram()
    for span in some:
        merged.add(span)
    for span in more:
        other.add(span)
    merged.merge(other)
    everything = sorted(some + more)
    exact = everything[max(1, math.ceil(fraction * len(everything))) - 1]
    (found,) = merged.percentiles((fraction,))
    assert abs(found - exact) <= max(1.001 * HISTOGRAM_ERROR_FRACTION * exact, HISTOGRAM_SECONDS_MIN)
    assert (merged.count, merged.least, merged.greatest) == (len(everything), everything[0], everything[-1])
    assert math.isclose(merged.total, math.fsum(everything), abs_tol=1e-6)


def test_histogram_is_bounded_for_any_spans() -> None:
    histogram = Histogram()
    for exponent in range(-4_000, 4_001):
        histogram.add(2.0 ** (exponent / 4))
    histogram.add(-3)
    assert 0 in histogram.classes
    assert len(histogram.classes) <= CLASSES_MAX
    assert max(histogram.classes) < CLASSES_MAX
    assert histogram.least == 0.0


def test_spans_are_those_of_waiting_running_and_both() -> None:
    log = Ledger(TaskView())
    log.join("ada")  # at 0 s
    log.write(names.SUBMITTED, task="a", task_name="send", queue="mail", due=BEGIN + 2.5)
    log.write("other")
    log.claim("a", "ada")  # at 3 s
    log.end_attempt(names.RETRIED, "a", "ada", due=BEGIN + 4.25, ran_ms=250.0)
    log.claim("a", "ada")  # at 5 s
    log.end_attempt(names.SUCCEEDED, "a", "ada")  # at 6 s; does not say how long it ran
    trend = trends_answer(seen_by(log, Window.between(SINCE, BEGIN + 60, 60)).trends).queues[0]
    assert trend.queue == "mail"
    assert (trend.waited.count, trend.waited.max) == (2, 0.75)
    assert trend.waited.mean == pytest.approx((0.5 + 0.75) / 2)
    assert (trend.ran.count, trend.ran.max, trend.ran.mean) == (2, 1.0, 0.625)
    assert (trend.latency.count, trend.latency.max) == (1, 5.0)


def test_failures_are_told_apart_by_task_and_reason() -> None:
    log = Ledger(TaskView())
    for worker in ("ada", "bob"):
        log.join(worker)
    for number in range(3):
        log.submit(f"t{number}", queue="mail", max_retries=0)
        log.claim(f"t{number}", "ada")
        log.end_attempt(
            names.FAILED, f"t{number}", "ada", exception={"name": "OSError", "text": f"disk {number}\nfull"}
        )
    log.submit("odd", queue="mail")
    log.claim("odd", "ada")
    log.end_attempt(names.RETRIED, "odd", "ada", exception=["no", "object"], ran_ms="soon")
    log.submit("lost", queue="bulk", max_retries=0)
    log.submit("kept", queue="bulk", max_retries=5)
    for task in ("lost", "kept"):
        log.claim(task, "bob")
    assert log.expire("bob") is Verdict.ACCEPTED
    answer = trends_answer(seen_by(log, Window.between(SINCE, SINCE + 60, 60)).trends)
    said = [(each.queue, each.reason, each.failed, each.retried, each.newest_task) for each in answer.failures]
    assert said == [
        ("mail", "OSError", 3, 0, "t2"),
        ("bulk", "worker lost", 1, 0, "lost"),
        ("mail", "no exception", 0, 1, "odd"),
    ]
    assert answer.failures[0].newest_text == "disk 2 full"
    (expired,) = answer.expired
    assert (expired.worker, expired.host, expired.returned, expired.failed) == ("bob", "host", 1, 1)
    assert answer.expired_over_time == [1]
    assert answer.total.over_time.waiting == [2]


def test_slowest_runs_are_the_slowest_of_the_window() -> None:
    log = Ledger(TaskView())
    log.join("ada")
    for number in range(3 * SLOWEST_RUNS_KEPT):
        log.submit(f"t{number}")
        log.claim(f"t{number}", "ada")
        log.end_attempt(names.SUCCEEDED, f"t{number}", "ada", ran_ms=(number * 37 % 60) * 1_000)
    for width in (5, 1_000):
        slowest = trends_answer(seen_by(log, Window.between(SINCE, BEGIN + 1_000, width)).trends).slowest
        assert [run.seconds for run in slowest] == [59.0 - place for place in range(SLOWEST_RUNS_KEPT)]


def test_queues_beyond_the_limit_share_a_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.tasks.trends.trends.TREND_QUEUES_MAX", 2)
    log = Ledger(TaskView())
    for number in range(5):
        log.submit(f"t{number}", queue=f"queue-{number}")
    answer = trends_answer(seen_by(log, Window.between(SINCE, BEGIN + 60, 60)).trends)
    assert [(trend.queue, trend.counts.submitted) for trend in answer.queues] == [
        ("(others)", 3),
        ("queue-0", 1),
        ("queue-1", 1),
    ]
    assert answer.total.counts.submitted == 5


class Past:
    """A journal whose events are a minute apart, from BEGIN on."""

    def __init__(self, journal: jm.AsyncJournal) -> None:
        self.journal = journal
        self.at = 1_700_000_000.0

    async def write(self, name: str, key: str, /, **context: Any) -> int:
        self.at += 60
        drafted = Draft(name, msgspec.json.encode(context), key, timestamp=self.at)
        return (await self.journal.append_drafts([drafted]))[0].offset

    async def run(self, task: str) -> None:
        await self.write(names.SUBMITTED, task, task=task, task_name="work", queue="mail")
        claim = await self.write(names.CLAIMED, task, task=task, worker="ada")
        await self.write(names.SUCCEEDED, task, task=task, worker="ada", claim=claim)


@pytest.mark.anyio
async def test_window_knows_tasks_submitted_before_it() -> None:
    async with jm.AsyncJournal("memory://") as journal:
        past = Past(journal)
        await past.write(names.JOINED, "ada", worker="ada", lease_ms=1_000)
        await past.write(names.SUBMITTED, "a", task="a", task_name="work", queue="mail")
        claim = await past.write(names.CLAIMED, "a", task="a", worker="ada")
        since = past.at
        await past.write(names.SUBMITTED, "b", task="b", task_name="work", queue="mail")
        await past.write(names.SUCCEEDED, "a", task="a", worker="ada", claim=claim)
        steps: list[tuple[int, int]] = []
        seen = await read_trends(journal, since, past.at, 60, progress=lambda *step: steps.append(step))
        answer = trends_answer(seen.view.trends)
        assert steps == [(3, 5), (5, 5)]  # those before the window first
        assert answer.ends == [since + 60, since + 120]
        assert answer.total.over_time.running == [1, 0]
        assert answer.total.over_time.waiting == [1, 1]
        assert answer.total.over_time.succeeded == [0, 1]
        assert answer.total.latency.max == 180.0
        follower = Replica(journal, seen.view, seen.cursor)
        seen.view.slide(past.at + 60)
        claim = await past.write(names.CLAIMED, "b", task="b", worker="ada")
        await follower.catch_up()
        assert trends_answer(seen.view.trends).total.over_time.running == [0, 1]
        await follower.aclose()


@pytest.mark.anyio
async def test_depth_at_a_bucket_end_is_that_of_the_past() -> None:
    async with jm.AsyncJournal("memory://") as journal:
        past = Past(journal)
        begin = past.at
        await past.write(names.JOINED, "ada", worker="ada", lease_ms=1_000)
        for number in range(6):
            await past.write(names.SUBMITTED, f"w{number}", task=f"w{number}", task_name="work", queue="bulk")
            await past.run(f"t{number}")
        seen = await read_trends(journal, begin, past.at, 300)
        answer = trends_answer(seen.view.trends)
        depths = list(zip(answer.ends, answer.total.over_time.waiting, answer.total.over_time.running, strict=True))
        assert len(depths) == 5
        for end, waiting, running in depths:
            state = (await read_trends(journal, begin, end, 300)).view.state
            claimed = sum(task.state is State.CLAIMED for task in state.live.values())
            assert (waiting, running) == (len(state.live) - claimed, claimed)


@pytest.mark.anyio
async def test_window_before_retention_counts_what_is_left() -> None:
    async with jm.AsyncJournal("memory://") as journal:
        past = Past(journal)
        begin = past.at
        await past.write(names.JOINED, "ada", worker="ada", lease_ms=1_000)
        for number in range(4):
            await past.run(f"t{number}")
        planned = await plan(journal, begin + 7.5 * 60)
        assert planned.events == 7
        await compact(journal, planned)
        seen = await read_trends(journal, begin, past.at, 60)
        answer = trends_answer(seen.view.trends)
        assert seen.begun == begin + 8 * 60
        assert (answer.total.counts.submitted, answer.total.counts.succeeded) == (2, 2)


@pytest.mark.anyio
async def test_real_workers_over_partitions_are_counted_once() -> None:
    shop = Shop(partitions=3)

    def work(number: int) -> int:
        if number % 4 == 3:
            raise ValueError(f"no {number}")
        return number

    tasks = named(work=work)
    begun = time.time()
    async with shop.worker(tasks):
        for number in range(12):
            message = tasks["work"].generate(args=[number], submit=False, queue=QUEUES[number % 2])
            message.max_retries = 1
            await shop.submit_message(message)
        await shop.finished(names.FAILED, 3)
        await shop.succeeded(9)
    seen = await read_trends(shop.journal, begun - 1, time.time() + 1, 60)
    answer, state = trends_answer(seen.view.trends), shop.view()
    counts = answer.total.counts
    assert (counts.submitted, counts.succeeded, counts.failed, counts.retried) == (12, 9, 3, 3)
    assert (counts.started, counts.succeeded) == (15, state.succeeded)
    assert (answer.total.over_time.waiting[-1], answer.total.over_time.running[-1]) == (0, 0)
    assert [(each.reason, each.failed, each.retried) for each in answer.failures] == [("ValueError", 3, 3)]
    assert answer.expired == []
    assert sum(trend.counts.submitted for trend in answer.queues) == 12


@pytest.mark.kafka
@pytest.mark.anyio
async def test_trends_read_every_partition_of_kafka(kafka_bootstrap: str) -> None:
    async with jm.AsyncJournal(f"kafka://{kafka_bootstrap}/test-{uuid.uuid4()}?partitions=3") as journal:
        begun = time.time()
        for number in range(20):
            task = f"task-{number}"
            said = {"task": task, "task_name": "work", "queue": QUEUES[number % 2]}
            await journal.append(names.SUBMITTED, said, routing_key(task))
        seen = await read_trends(journal, begun - 1, time.time() + 1, 60)
        answer = trends_answer(seen.view.trends)
        assert [(trend.queue, trend.counts.submitted) for trend in answer.queues] == [("bulk", 10), ("mail", 10)]
        assert answer.total.over_time.waiting[-1] == 20
        bounds = await journal.bounds()
        assert sum(end > 0 for end in bounds.end.values()) > 1


def one_bucket(log: Ledger) -> Any:
    """The trends of a whole log, as one bucket."""
    return trends_answer(seen_by(log, Window.between(SINCE, SINCE + 10_000, 10_000)).trends)


def test_events_out_of_time_order_count_by_their_times() -> None:
    view = TrendView(Window.between(100, 130, 10))
    for number, at in enumerate([105, 125, 115, 126, 104, 999, 3, 130, 110]):
        drafted = Draft(names.SUBMITTED, encode_context(names.SUBMITTED, {"task": f"t{number}", "task_name": "work"}))
        view.apply_page(Page(0, [number], [record(drafted, float(at))[1]]))
    # Those outside the window are in its first or last bucket.
    assert trends_answer(view.trends).total.over_time.submitted == [4, 1, 4]


def test_unreadable_records_are_counted_and_passed_over() -> None:
    log = Ledger(TaskView())
    log.submit("a", queue="mail")
    odd = [
        b"no event",
        b'{"timestamp":1800000001,"name":"worker.joined","context":{"worker":7}}',
        b'{"timestamp":1800000001,"name":"task.submitted","context":{"task":7}}',
        b'{"timestamp":1800000001,"name":"other","context":{"task":7,"worker":[]}}',
    ]
    rows = [*odd, *log.rows]
    seen, state = TrendView(Window.between(SINCE, SINCE + 60, 60)), TaskView()
    for view in (seen, state):
        view.apply_page(Page(0, range(len(rows)), rows))
    assert seen.state.unreadable == state.unreadable == 3
    assert trends_answer(seen.trends).total.counts.submitted == 1
    log.write(names.SUBMITTED, task=7)
    assert seen.apply(log.events[-1]) is Verdict.FOREIGN
    assert seen.state.unreadable == 4


def test_each_move_of_a_task_is_counted_once_as_what_it_is() -> None:
    log = Ledger(TaskView())
    log.join("ada")
    log.submit("a", queue="mail", max_retries=1)
    for outcome in (names.RETRIED, names.FAILED, names.REQUEUED, names.INTERRUPTED, names.SUCCEEDED):
        if outcome != names.REQUEUED:
            log.claim("a", "ada")
        assert log.end_attempt(outcome, "a", "ada") is Verdict.ACCEPTED
        assert log.write(names.LAPSED, task="a") is Verdict.REFUSED
    (mail,) = one_bucket(log).queues
    counts = mail.counts
    assert (counts.submitted, counts.started, counts.succeeded) == (1, 4, 1)
    assert (counts.retried, counts.failed, counts.requeued, counts.interrupted) == (1, 1, 1, 1)
    assert (counts.revoked, counts.stale_outcomes, counts.lost_claims) == (0, 0, 0)


def test_greatest_span_is_exact() -> None:
    spans = Histogram()
    for seconds in (0.5, 1.0, 1.001):
        spans.add(seconds)
    assert spans.percentiles((1.0,)) == [1.001]


def test_forgotten_dead_letters_are_counted_when_they_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.tasks.state.dead_letters.DEAD_LETTERS_KEPT", 1)
    monkeypatch.setattr("journeyman.tasks.state.ended.ENDED_TASK_EVENTS", 1)
    log = Ledger(TaskView())
    log.join("ada")
    for task in ("a", "b", "c"):
        log.submit(task, queue="mail", max_retries=0)
        log.claim(task, "ada")
        log.end_attempt(names.FAILED, task, "ada")
    for name, task, offset in ((names.REQUEUED, "a", 1), (names.PURGED, "b", 4)):
        carried = {"offset": offset, "at": BEGIN + offset, "task_name": "work", "queue": "mail"}
        assert log.view.find(task) is None
        assert log.write(name, task=task, submission=carried) is Verdict.ACCEPTED
    answer = one_bucket(log)
    (mail,) = answer.queues
    counts = mail.counts
    assert (counts.failed, counts.requeued, counts.purged, counts.revoked) == (3, 1, 1, 0)
    assert mail.over_time.waiting == [1]
    assert log.view.failed == 1


def test_kinds_of_failures_beyond_the_limit_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.tasks.trends.bucket.FAILURE_KINDS_KEPT", 2)
    log = Ledger(TaskView())
    log.join("ada")
    for number, name in enumerate(["A", "B", "C", "A", "D", "", "B"]):
        log.submit(f"t{number}", max_retries=0)
        log.claim(f"t{number}", "ada")
        log.end_attempt(names.FAILED, f"t{number}", "ada", exception={"name": name, "text": "why"})
    failures = {each.reason: each.failed for each in one_bucket(log).failures}
    assert failures == {"A": 2, "B": 2, "(others)": 3}


def test_exception_without_a_name_is_no_reason() -> None:
    log = Ledger(TaskView())
    log.join("ada")
    log.submit("a", max_retries=0)
    log.claim("a", "ada")
    log.end_attempt(names.FAILED, "a", "ada", exception={"name": "", "text": "why"})
    assert [(each.reason, each.newest_text) for each in one_bucket(log).failures] == [("no exception", "")]


@pytest.mark.parametrize("hosts", [("", "host"), ("host", "")])
def test_expired_sessions_of_one_worker_are_one_worker(hosts: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    view = TrendView(Window.between(SINCE, SINCE + 60, 60))
    for partition in range(2):
        log = Ledger(TaskView(), partition)
        log.write(names.JOINED, worker="ada", host=hosts[partition], pid=1, lease_ms=1_000)
        log.submit("a", queue="mail", max_retries=3)
        log.submit("final", queue="mail", max_retries=0)
        for task in ("a", "final"):
            log.claim(task, "ada")
        log.expire("ada")
        rows = log.rows if partition else [row.replace(b'"a"', b'"b"').replace(b"final", b"other") for row in log.rows]
        view.apply_page(Page(partition, range(log.end), rows))
    (expired,) = trends_answer(view.trends).expired
    assert (expired.worker, expired.host, expired.returned, expired.failed) == ("ada", "host", 2, 2)
    assert expired.at == BEGIN + 5
    monkeypatch.setattr("journeyman.tasks.trends.bucket.EXPIRED_WORKERS_KEPT", 1)
    crowd = Ledger(TaskView())
    for worker in ("ada", "bob", "eve"):
        crowd.join(worker)
        crowd.expire(worker)
    answer = one_bucket(crowd)
    assert (len(answer.expired), answer.expired_beyond, answer.expired_over_time) == (1, 2, [3])


def test_task_ended_by_hand_while_it_waits_has_not_run() -> None:
    log = Ledger(TaskView())
    log.join("ada")
    for task in ("waits", "runs"):
        log.submit(task, queue="mail")
    log.claim("runs", "ada")
    for task in ("waits", "runs"):
        assert log.write(names.ACKNOWLEDGED, task=task) is Verdict.ACCEPTED
    (mail,) = one_bucket(log).queues
    assert (mail.counts.succeeded, mail.ran.count, mail.latency.count) == (2, 1, 2)
    assert (mail.over_time.waiting, mail.over_time.running) == ([0], [0])


def test_refused_events_count_for_the_queue_of_their_task() -> None:
    log = Ledger(TaskView())
    for worker in ("ada", "bob"):
        log.join(worker)
    log.submit("a", queue="mail")
    claim = log.claim("a", "ada")
    log.claim("a", "bob")
    log.write(names.SUCCEEDED, task="a", worker="bob", claim=claim + 1)
    log.end_attempt(names.SUCCEEDED, "a", "ada")
    log.write(names.SUCCEEDED, task="a", worker="bob", claim=claim + 1)  # its queue is not known any more
    answer = one_bucket(log)
    (mail,) = answer.queues
    assert (mail.counts.lost_claims, mail.counts.stale_outcomes) == (1, 1)
    assert (answer.total.counts.lost_claims, answer.total.counts.stale_outcomes) == (1, 2)


def test_revoked_lapsed_and_returned_tasks_are_told_apart() -> None:
    log = Ledger(TaskView())
    log.join("ada")
    for task in ("revoked", "lapsed", "failed", "left"):
        log.submit(task, queue="mail", max_retries=0, expires=BEGIN + 1)
    log.write(names.REVOKED, task="revoked")
    log.write(names.LAPSED, task="lapsed")
    log.claim("failed", "ada")
    log.end_attempt(names.FAILED, "failed", "ada")
    log.write(names.PURGED, task="failed")
    log.claim("left", "ada")
    log.write(names.LEFT, worker="ada")
    answer = one_bucket(log)
    counts = answer.total.counts
    assert (counts.revoked, counts.purged, counts.interrupted, counts.returned) == (2, 1, 1, 0)
    assert (answer.total.over_time.waiting, answer.expired) == ([1], [])


def test_window_that_slides_drops_its_first_buckets_at_once() -> None:
    log = Ledger(TaskView())
    for number in range(20):
        log.submit(f"t{number}", queue="mail")
    view = seen_by(log, Window.between(SINCE, SINCE + 20, 5))
    view.slide(SINCE + 21)
    assert trends_answer(view.trends).total.over_time.submitted == [5, 5, 5, 0]
    assert trends_answer(view.trends).total.over_time.waiting == [10, 15, 20, 20]
    view.slide(SINCE + 10)
    assert view.trends.window.until == SINCE + 21
    view.slide(SINCE + 1_000)
    assert trends_answer(view.trends).total.over_time.waiting == [20] * 4


@pytest.mark.anyio
async def test_events_behind_the_window_are_not_read() -> None:
    async with jm.AsyncJournal("memory://") as journal:
        past = Past(journal)
        await past.write(names.JOINED, "ada", worker="ada", lease_ms=1_000)
        for number in range(6):
            await past.run(f"t{number}")
        begin = 1_700_000_000.0
        seen = await read_trends(journal, begin + 7 * 60, begin + 13 * 60, 60)
        counts = trends_answer(seen.view.trends).total.counts
        assert (counts.submitted, counts.started, counts.succeeded) == (2, 2, 2)
        assert seen.cursor[0] == 13


def test_newest_failure_is_the_latest_and_not_the_last_read() -> None:
    events: list[tuple[float, str, dict[str, Any]]] = [
        (101.0, names.JOINED, {"worker": "ada", "lease_ms": 1_000}),
        *((102.0, names.SUBMITTED, {"task": task, "task_name": "work", "max_retries": 0}) for task in "ab"),
        *((103.0, names.CLAIMED, {"task": task, "worker": "ada"}) for task in "ab"),
        (150.0, names.FAILED, {"task": "a", "worker": "ada", "claim": 3}),
        (120.0, names.FAILED, {"task": "b", "worker": "ada", "claim": 4}),
    ]
    rows = [record(Draft(name, encode_context(name, said)), at)[1] for at, name, said in events]
    view = TrendView(Window.between(100, 200, 100))
    view.apply_page(Page(0, range(len(rows)), rows))
    (failure,) = trends_answer(view.trends).failures
    assert (failure.failed, failure.newest_at, failure.newest_task) == (2, 150.0, "a")


def test_queue_without_tasks_is_forgotten_by_a_sliding_window() -> None:
    log = Ledger(TaskView())
    log.submit("waits", queue="mail")
    log.submit("gone", queue="bulk")
    log.write(names.REVOKED, task="gone")
    view = seen_by(log, Window.between(SINCE, SINCE + 20, 5))
    view.slide(SINCE + 100)
    assert list(view.trends.queues) == ["mail"]
