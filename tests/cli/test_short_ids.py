"""Short ids, as screens show them, in place of whole ones."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.cli.shared.failures import BadInput
from journeyman.cli.shared.task_ids import whole_id
from journeyman.tasks.index.index import task_index
from journeyman.tasks.index.short_ids import ids_for
from journeyman.tasks.inspection.wording import short_id
from journeyman.tasks.state import ended, names

Run = Callable[..., "subprocess.CompletedProcess[str]"]

TASKS = [
    "01a22aa1-0000-7000-8000-0000d59c189e",
    "01a22aa1-0000-7000-8000-1111d59c189e",
    "01A22AA1-0000-7000-8000-00000000ABCD",
    "order-2026-0000017",
    "order-8",
]


def submitted(journal: jm.Journal) -> jm.Journal:
    for task in TASKS:
        jm.Broker(journal).submit(jm.Message(uuid=task, task_name="add"), new=True)
    return journal


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("…0000d59c189e", TASKS[0]),
        ("...0000d59c189e", TASKS[0]),
        (".0000d59c189e", TASKS[0]),
        ("8000-1111d59c189e", TASKS[1]),
        ("0000ABCD", TASKS[2]),
        ("abcd", TASKS[2]),
        (short_id(TASKS[3]), TASKS[3]),
        (short_id(TASKS[3]).lstrip("…"), TASKS[3]),
        ("…er-8", TASKS[4]),
        (TASKS[0], TASKS[0]),
        ("order-8", TASKS[4]),
        ("rder-8", "rder-8"),  # of an id that a caller has chosen, and too short to be what a screen has shown
        ("…017", "…017"),
        ("…", "…"),
        ("eeeeeeee", "eeeeeeee"),
    ],
)
def test_end_of_an_id_stands_for_the_id(typed: str, whole: str) -> None:
    with submitted(jm.Journal("memory://")) as journal:
        assert whole_id(journal, typed) == whole


def test_end_of_several_ids_is_refused_with_all_of_them() -> None:
    with submitted(jm.Journal("memory://")) as journal, pytest.raises(BadInput) as refusal:
        whole_id(journal, "…d59c189e")
    assert "'…d59c189e' stands for 2 tasks" in str(refusal.value)
    assert TASKS[0] in str(refusal.value)
    assert TASKS[1] in str(refusal.value)


@pytest.mark.parametrize("partitions", [1, 3])
def test_task_that_ended_long_ago_is_found_by_the_index(
    partitions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended, "ENDED_TASK_EVENTS", 2)
    url = f"sqlite:///{tmp_path}/shop.db" if partitions == 1 else f"memory://?partitions={partitions}"
    with submitted(jm.Journal(url)) as journal:
        for task in TASKS:
            journal.append(names.REVOKED, {"task": task}, key=task)
        for number in range(20 * partitions):
            jm.Broker(journal).submit(jm.Message(uuid=f"other-{number}", task_name="add"), new=True)
            journal.append(names.REVOKED, {"task": f"other-{number}"}, key=f"other-{number}")
        journal.run(task_index(journal.asynchronous).catch_up())
        assert journal.run(ids_for(journal.asynchronous, "d59c189e")) == TASKS[:2]
        assert journal.run(ids_for(journal.asynchronous, "0000abcd")) == TASKS[2:3]
        assert journal.run(ids_for(journal.asynchronous, "%")) == []


def test_commands_take_short_ids_and_answer_with_whole_ones(call: Run, url: str) -> None:
    submitted(jm.Journal(url)).close()
    why = json.loads(call("why", "…1111d59c189e", "--json", "--journal", url).stdout)
    assert (why["task"], why["state"]) == (TASKS[1], "ready")
    assert TASKS[1] in call("history", "1111d59c189e", "--journal", url).stdout
    assert call("revoke", "…1111d59c189e", "--journal", url).stdout == f"{TASKS[1]} revoked\n"
    ambiguous = call("revoke", "d59c189e", "--journal", url)
    assert ambiguous.returncode == 2
    assert TASKS[0] in ambiguous.stderr
    assert call("requeue", "…eeee", "--journal", url).stdout.startswith("…eeee is not known")
