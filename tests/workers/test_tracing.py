"""Traces of OpenTelemetry's own SDK, from a submitter, a worker and its child processes, each a real process."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.tasks.tracing import trace_in

# Each process appends the spans that end in it to one file; the exporter is the SDK's own interface.
TASKS = """
import asyncio, json, logging, os, signal
import journeyman as jm

{configuration}
log = logging.getLogger("shop")
broker = jm.Broker()


def work(message):
    log.info("working")
    if message.kwargs.get("fails", 0) > message.retries:
        raise ValueError("not yet")
    if message.kwargs.get("dies"):
        os.kill(os.getpid(), signal.SIGKILL)


@jm.task(broker)
def by_thread(message, **_):
    work(message)


@jm.task(broker, mechanism="process")
def by_process(message, **_):
    work(message)


@jm.task(broker)
async def by_coroutine(message, **_):
    await asyncio.sleep(0)
    work(message)
"""
SDK = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult


class Lines(SpanExporter):
    def export(self, spans):
        with open("spans.jsonl", "a") as file:
            file.writelines(span.to_json(indent=None) + "\\n" for span in spans)
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Lines()))
trace.set_tracer_provider(provider)
"""
SUBMIT = """
import json, sys
import journeyman as jm
from opentelemetry import trace
import shop

ids = []
broker = jm.Broker(sys.argv[1])
for fields in json.loads(sys.argv[2]):
    with trace.get_tracer("program").start_as_current_span("request"):
        message = jm.Message(max_retries=1, backoff_settings=jm.ConstantBackoff(1, floor=0).settings, **fields)
        broker.submit(message)
        ids.append(message.uuid)
print(json.dumps(ids))
"""
UNTRACED = """
import sys, threading
import journeyman as jm
import shop

shop.broker.bind(URL)
message = shop.by_thread.generate()
worker = jm.Worker([shop.by_thread], URL)


def stop_after_the_task():
    jm.ResultStore(shop.broker.journal).get(message, timeout=60_000, keep=True)
    worker.stop()


worker.run(lambda _: threading.Thread(target=stop_after_the_task).start())
print("opentelemetry" in sys.modules, message.trace)
"""
Span = dict[str, Any]


def _run(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "JOURNEYMAN_JOURNAL"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _traced(folder: Path, *messages: dict[str, Any], options: Sequence[str] = ()) -> tuple[list[list[Span]], str]:
    """Submit the messages and run them with a worker; return the spans about each message, and the worker's stderr."""
    (folder / "shop.py").write_text(TASKS.replace("{configuration}", SDK))
    url = f"sqlite:///{folder}/shop.db"
    ids = json.loads(_run(folder, "-c", SUBMIT, url, json.dumps(messages)))
    command = [sys.executable, "-m", "journeyman", "worker", "shop", "--journal", url, *options]
    with (
        jm.Journal(url) as journal,
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker,
    ):
        try:
            for task_id in ids:
                jm.StatusTracker(journal).wait_for(task_id, jm.TERMINAL_TASK_STATUSES, timeout=60.0)
            worker.terminate()
            _, said = worker.communicate(timeout=60)
        finally:
            worker.kill()
    spans = [json.loads(line) for line in (folder / "spans.jsonl").read_text().splitlines()]
    return [_about(task_id, spans) for task_id in ids], said


def _about(task_id: str, spans: list[Span]) -> list[Span]:
    """The spans about a task in the order in which they began, and the commits that belong to its runs."""
    own = [span for span in spans if span["attributes"].get("messaging.message.id") == task_id]
    runs = {span["context"]["span_id"] for span in own}
    own += [span for span in spans if span["name"] == "commit" and span["parent_id"] in runs]
    return sorted(own, key=lambda span: (span["start_time"], span["end_time"]))


def _trace(span: Span) -> str:
    trace: str = span["context"]["trace_id"]
    return trace


MECHANISMS = {"by_thread": (), "by_process": (), "by_coroutine": (), "group": ("--thread-processes", "1")}


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_task_is_one_trace_from_submission_to_commit(tmp_path: Path, mechanism: str) -> None:
    name = "by_thread" if mechanism == "group" else mechanism
    kind = {"by_coroutine": "async", "by_process": "process"}.get(name, "thread")
    message = {"task_name": name, "queue": "mail", "mechanism": kind}
    ((submit, wait, run, commit),), said = _traced(tmp_path, message, options=MECHANISMS[mechanism])
    names = [span["name"] for span in (submit, wait, run, commit)]
    assert names == [f"submit {name}", "wait mail", f"run {name}", "commit"]
    assert {_trace(span) for span in (submit, wait, run, commit)} == {_trace(submit)}
    assert wait["parent_id"] == run["parent_id"] == submit["context"]["span_id"]
    assert commit["parent_id"] == run["context"]["span_id"]
    assert submit["parent_id"] is not None, "the span of the program around the submission"
    assert submit["start_time"] <= wait["start_time"] <= wait["end_time"] == run["start_time"]
    assert run["end_time"] <= commit["end_time"]
    assert [span["kind"] for span in (submit, run)] == ["SpanKind.PRODUCER", "SpanKind.CONSUMER"]
    assert commit["attributes"]["journeyman.outcome"] == "task.succeeded"
    assert re.search(rf"\[{name} \S+ trace {_trace(run).removeprefix('0x')}\] working", said), said


def test_retry_is_a_new_root_with_a_link_to_the_submission(tmp_path: Path) -> None:
    message = {"task_name": "by_thread", "kwargs": {"fails": 1}}
    (spans,), _ = _traced(tmp_path, message)
    submit, _, first, first_commit, second, second_commit = spans
    assert (first["status"]["status_code"], second["status"]["status_code"]) == ("ERROR", "UNSET")
    assert first["events"][0]["attributes"]["exception.message"] == "not yet"
    assert _trace(first) == _trace(submit) != _trace(second) == _trace(second_commit)
    assert second["parent_id"] is None
    assert [link["context"]["span_id"] for link in second["links"]] == [submit["context"]["span_id"]]
    assert [each["attributes"]["journeyman.attempt"] for each in (first, second)] == [1, 2]
    outcomes = [each["attributes"]["journeyman.outcome"] for each in (first_commit, second_commit)]
    assert outcomes == ["task.retried", "task.succeeded"]


def test_killed_child_process_leaves_the_span_of_its_run(tmp_path: Path) -> None:
    message = {"task_name": "by_process", "mechanism": "process", "kwargs": {"dies": True}}
    (spans,), _ = _traced(tmp_path, message)
    runs = [span for span in spans if span["name"] == "run by_process"]
    assert [run["status"]["status_code"] for run in runs] == ["ERROR", "ERROR"]
    assert "ProcessDiedError" in runs[0]["events"][0]["attributes"]["exception.type"]


def test_outcome_in_the_log_names_the_trace(tmp_path: Path) -> None:
    ((_, _, run, _),), _ = _traced(tmp_path, {"task_name": "by_thread"})
    with jm.Journal(f"sqlite:///{tmp_path}/shop.db") as journal:
        (done,) = [event for event in journal.read().events if event.name == "task.succeeded"]
        _, trace, span, _ = done.context["traceparent"].split("-")
    assert (f"0x{trace}", f"0x{span}") == (_trace(run), run["context"]["span_id"])


def test_without_a_provider_nothing_is_imported_or_carried(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    (tmp_path / "shop.py").write_text(TASKS.replace("{configuration}", ""))
    program = UNTRACED.replace("URL", repr(url))
    assert _run(tmp_path, "-c", program) == "False None\n"
    with jm.Journal(url) as journal:
        text = b"".join(bytes(event.context_json) for event in journal.read().events)
    assert b"trace" not in text.replace(b"traceback", b"")


@pytest.mark.parametrize(
    ("headers", "carried"),
    [
        ({}, None),
        ({"traceparent": "rubbish"}, None),
        ({"traceparent": f"00-{'0' * 32}-{'1' * 16}-01"}, None),
        ({"traceparent": f"00-{'a' * 32}-{'1' * 16}-01"}, {"traceparent": f"00-{'a' * 32}-{'1' * 16}-01"}),
        (
            {"traceparent": f"00-{'a' * 32}-{'1' * 16}-01", "tracestate": "v=1"},
            {"traceparent": f"00-{'a' * 32}-{'1' * 16}-01", "tracestate": "v=1"},
        ),
    ],
)
def test_trace_of_a_request_is_taken_if_it_is_valid(headers: dict[str, str], carried: dict[str, str] | None) -> None:
    assert trace_in(headers) == carried


@pytest.mark.parametrize("trace", [5, {"traceparent": 5}, [], "00-…"])
def test_carried_context_is_a_dictionary_of_texts(trace: Any) -> None:
    with pytest.raises(jm.ValidationError, match="trace is a dictionary"):
        jm.Message("send", trace=trace)
