"""`journeyman submit`: tasks from the shell."""

import datetime as dt
import json
import subprocess
from collections.abc import Callable

import journeyman as jm
import pytest
from journeyman.cli.submit import _message
from journeyman.tasks.state import names

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def submissions(url: str) -> list[dict[str, object]]:
    with jm.Journal(url) as journal:
        return [event.context for event in journal.read().events if event.name == names.SUBMITTED]


def test_task_submitted_by_name_takes_the_options(call: Run, url: str) -> None:
    done = call(
        *("submit", "send", "--args", '["ada", 3]', "--kwargs", '{"deep": {"x": [1]}}', "--queue", "mail"),
        *("--delay", "1m30s", "--priority", "4", "--id", "order-7", "--max-retries", "0", "--journal", url),
        *("--ttl", "2m", "--summary", "the spring catalogue", "--tag", "print", "--tag", "urgent"),
    )
    assert (done.returncode, done.stdout) == (0, f"order-7 submitted to queue mail of {url}\n")
    (said,) = submissions(url)
    expected = {
        "task": "order-7",
        "task_name": "send",
        "args": ["ada", 3],
        "kwargs": {"deep": {"x": [1]}},
        "queue": "mail",
        "delay": 90_000,
        "priority": 4,
        "max_retries": 0,
        "summary": "the spring catalogue",
        "tags": ["print", "urgent"],
    }
    assert {name: said[name] for name in expected} == expected
    assert said["due"] == (said["created_at"] + 90_000) / 1_000  # type: ignore[operator]
    assert said["expires"] - said["created_at"] / 1_000 > 119  # type: ignore[operator]
    again = call("submit", "send", "--id", "order-7", "--journal", url)
    assert again.returncode == 2
    assert "'order-7' already" in again.stderr
    assert len(submissions(url)) == 1


def test_task_submitted_by_package_takes_its_definition(forked: Run, url: str) -> None:
    done = forked("submit", "shop.tasks:paint", "--args", '["sepia"]', "--json", "--journal", url)
    facts = json.loads(done.stdout)
    (said,) = submissions(url)
    assert (facts["task"], facts["name"], facts["queue"]) == (said["task"], "paint", "default")
    assert said["max_retries"] == 1
    wrong = forked("submit", "shop.tasks:paint", "--kwargs", '{"color": "sepia"}', "--journal", url)
    assert wrong.returncode == 2
    assert "cannot be called with these arguments" in wrong.stderr
    none = forked("submit", "shop.tasks:paint", "--journal", url)
    assert none.returncode == 2
    missing = forked("submit", "shop.tasks:print", "--journal", url)
    assert (missing.returncode, "it has add, paint, read" in missing.stderr) == (2, True)


def test_json_arguments_become_what_a_typed_serializer_expects() -> None:
    with jm.Journal("memory://typed-submission") as journal:
        made = _message("task_modules.serializer_tasks:later", journal, ["2026-11-30T12:00:00Z"], {}, 0)
        assert (made.args, made.serializer) == ((dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC),), "msgspec")
        plain = _message("task_modules.serializer_tasks:plain", journal, [], {"number": 7}, 0)
        assert (plain.kwargs, plain.serializer) == ({"number": 7}, "")
        with pytest.raises(jm.ValidationError, match=r"args\[0\] of later is 'soon' and cannot be read as datetime"):
            _message("task_modules.serializer_tasks:later", journal, ["soon"], {}, 0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--args", "{1}"), "--args takes a JSON array such as"),
        (("--args", '{"a": 1}'), "--args takes a JSON array such as"),
        (("--kwargs", "[1]"), "--kwargs takes a JSON object such as"),
        (("--delay", "10"), "--delay takes a span with its unit, such as 500ms, 30s"),
        (("--ttl", "10"), "--ttl takes a span with its unit, such as 500ms, 30s"),
        (("--ttl", "1s", "--delay", "2s"), "ttl=1,000 ms ends before the delay"),
        (("--tag", ""), "tags are a list of at most"),
        (("--summary", "x" * 1_000), "a summary is a string of at most"),
        (("--id", "x" * 1_000), "a message's uuid is a string of 1 to"),
    ],
)
def test_senseless_submission_is_refused_with_an_example(
    call: Run, url: str, wrong: tuple[str, str], said: str
) -> None:
    done = call("submit", "send", *wrong, "--journal", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
