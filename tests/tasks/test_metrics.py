"""The samples of the metrics, as tables; their formats, by the parsers of the client library."""

import sys
from typing import Any

import journeyman as jm
import pytest
from journeyman.journal.append_counts import COMMIT_CLASSES, AppendCounts
from journeyman.tasks.inspection.overview import overview
from journeyman.tasks.limits import METRIC_QUEUES_MAX
from journeyman.tasks.metrics.exposition import MetricsMissing, expose
from journeyman.tasks.metrics.samples import OTHERS, KnownQueues, append_samples, journal_samples, schedule_samples
from journeyman.tasks.metrics.table import BY_NAME, METRICS, Distribution, Sample
from journeyman.tasks.state.view import TaskView
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

NOW = 2_000_000_000.0


def _view(*messages: jm.Message) -> TaskView:
    view = TaskView()
    with jm.Journal("memory://") as journal:
        broker = jm.Broker(journal)
        for message in messages:
            broker.submit(message)
        for event in journal.read(limit=10_000).events:
            view.apply(event)
    return view


def _values(view: TaskView, known: KnownQueues | None = None, now: float = NOW) -> dict[tuple[str, ...], float]:
    samples = journal_samples(overview(view, now), known or KnownQueues())
    return {(sample.name.removeprefix("journeyman_"), *sample.labels): sample.value for sample in samples}


def _mail(**fields: Any) -> jm.Message:
    return jm.Message(task_name="send", queue="mail", **fields)


def test_depth_tells_ready_and_delayed_tasks_apart() -> None:
    later = _mail(due=NOW + 60)
    values = _values(_view(_mail(), _mail(), later))
    assert values["queue_depth", "mail", "ready"] == 2
    assert values["queue_depth", "mail", "delayed"] == 1
    assert values["queue_depth", "mail", "claimed"] == values["queue_depth", "mail", "dead"] == 0
    assert values["tasks_submitted_total",] == 3
    assert _values(_view(later), now=NOW + 61)["queue_depth", "mail", "ready"] == 1


def test_oldest_is_the_age_of_the_first_ready_task() -> None:
    view = _view(_mail())
    submitted = next(iter(view.live.values())).submitted_at
    assert _values(view, now=submitted + 90.0)["queue_oldest_seconds", "mail"] == 90.0


def test_emptied_queue_reads_zero_instead_of_vanishing() -> None:
    known = KnownQueues()
    _values(_view(_mail()), known)
    values = _values(_view(), known)
    assert values["queue_depth", "mail", "ready"] == values["queue_oldest_seconds", "mail"] == 0.0


def test_orphans_count_only_where_there_are_workers() -> None:
    view = _view(_mail())
    assert _values(view)["queue_orphans", "mail"] == 0
    with jm.Journal("memory://") as journal:
        journal.append("worker.joined", {"worker": "w", "lease_ms": 1, "tasks": ["other"], "queues": ["mail"]}, "w")
        for event in journal.read().events:
            view.apply(event)
    values = _values(view)
    assert (values["queue_orphans", "mail"], values["queue_workers", "mail"], values["workers",]) == (1, 1, 1)


def test_queues_beyond_the_limit_are_counted_together() -> None:
    names = [f"queue-{number}" for number in range(METRIC_QUEUES_MAX + 2)]
    view = _view(*(jm.Message(task_name="send", queue=name) for name in names), _mail(), _mail())
    values = _values(view)
    assert values["queue_depth", "mail", "ready"] == 2
    assert values["queue_depth", OTHERS, "ready"] == 3
    ready = {key: value for key, value in values.items() if key[0] == "queue_depth" and key[2] == "ready"}
    assert (len(ready), sum(ready.values())) == (METRIC_QUEUES_MAX + 1, len(names) + 2)


def test_schedules_tell_the_longest_overdue_tick() -> None:
    samples = {(s.name, *s.labels): s.value for s in schedule_samples([(False, None), (False, 3.5), (True, None)])}
    assert samples == {
        ("journeyman_schedules", "active"): 2,
        ("journeyman_schedules", "paused"): 1,
        ("journeyman_schedules_overdue_seconds",): 3.5,
    }


def _counted() -> AppendCounts:
    counts = AppendCounts()
    counts.add(1, 2, 300, 0.0001)
    counts.add(3, 4, 500, 99.0)
    return counts


def test_commit_times_are_cumulative_in_the_text() -> None:
    text = expose(append_samples(_counted())).body.decode()
    families = {family.name: family for family in read_text(text)}
    commits = families["journeyman_commit_seconds"]
    at_most = {sample.labels["le"]: sample.value for sample in commits.samples if "le" in sample.labels}
    assert at_most["0.0001"] == at_most["30.0"] == 1
    assert at_most["+Inf"] == 2
    assert len(at_most) == len(COMMIT_CLASSES) + 1
    assert {s.name: s.value for s in commits.samples}["journeyman_commit_seconds_sum"] == 99.0001
    assert families["journeyman_append_bytes"].samples[0].value == 800


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=1.0.0", "text/plain", "", "*/*"])
def test_format_is_the_one_that_the_scraper_accepts(accept: str) -> None:
    body, content_type = expose([*append_samples(_counted()), *journal_samples(*_seen())], accept)
    is_openmetrics = "openmetrics" in accept
    assert content_type.startswith("application/openmetrics-text" if is_openmetrics else "text/plain")
    read = read_openmetrics if is_openmetrics else read_text
    assert {family.name for family in read(body.decode())} >= {"journeyman_queue_depth", "journeyman_appends"}


def _seen() -> tuple[Any, KnownQueues]:
    return overview(_view(_mail()), NOW), KnownQueues()


def test_queue_names_are_escaped_in_the_text() -> None:
    body, _ = expose(journal_samples(overview(_view(jm.Message("send", queue='a"\\\n{}=')), NOW), KnownQueues()))
    (depth,) = [family for family in read_text(body.decode()) if family.name == "journeyman_queue_depth"]
    assert {sample.labels["queue"] for sample in depth.samples} == {'a"\\\n{}='}


def test_missing_library_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MetricsMissing, match=r"pip install 'journeyman\[metrics\]'"):
        expose([])


def test_samples_outside_the_table_are_refused() -> None:
    with pytest.raises(KeyError):
        expose([Sample("journeyman_unheard_of", (), 1)])
    with pytest.raises(AssertionError, match="labels"):
        expose([Sample("journeyman_queue_depth", ("mail",), 1)])
    with pytest.raises(AssertionError, match="histogram"):
        expose([Distribution("journeyman_workers", (), (1.0,), (0, 0), 0.0)])


def test_table_follows_the_rules_of_prometheus() -> None:
    assert len(BY_NAME) == len(METRICS)
    for metric in METRICS:
        assert (metric.kind == "counter") == metric.name.endswith("_total"), metric.name
        assert metric.help.endswith("."), metric.name
        assert metric.name.startswith("journeyman_")
        assert (metric.unit == "s") == ("_seconds" in metric.name), metric.name
