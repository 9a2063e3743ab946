"""`journeyman thread-pool` and `process-pool`: the reference's commands, options and defaults."""

import signal
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest
import typer
from journeyman.cli.app import application

Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

CONSUMER = {"consumer_backoff_factor": 1_000, "consumer_backoff_floor": 1_000, "consumer_backoff_ceiling": 30_000}
COMMON = {"queues": None, "task_specific_mode": False, "n_processes": None, "log_level": "INFO"} | CONSUMER
# The options of each command of the reference with their defaults; those that the processors determine are None here.
OPTIONS = {
    "thread-pool": COMMON
    | {"n_threads": 8, "n_process_floor": 1, "slot_wait_interval": 50, "complete_only_on_thread_exit": False},
    "process-pool": COMMON | {"prune_interval": 100, "slot_wait_interval": 100},
}
BOTH = pytest.mark.parametrize("command", OPTIONS)

TASKS = """
    import os

    import journeyman as jm

    broker = jm.Broker()


    @jm.task(broker, queue="mail")
    def in_thread():
        return os.getppid()


    @jm.task(broker, queue="heavy", mechanism="process")
    def in_process():
        return os.getppid()
"""


@BOTH
def test_pool_options_have_the_references_defaults(command: str) -> None:
    made = typer.main.get_command(application([command]))
    parameters = {each.name: each for each in made.commands[command].params}  # type: ignore[attr-defined]
    assert {name: parameters[name].default for name in OPTIONS[command]} == OPTIONS[command]
    ours = parameters.keys() - OPTIONS[command].keys() - {"package", "help"}
    assert ours == {"journal"}


@BOTH
def test_pool_options_are_spelt_as_in_the_reference(command: str, call: Run) -> None:
    said = call(command, "--help", COLUMNS="200", TERM="dumb").stdout
    for name in OPTIONS[command]:
        assert f"--{'log-level' if name == 'log_level' else name} " in said
    assert "without effect" in said.lower()


@pytest.mark.parametrize("spell", [str, lambda option: option.replace("_", "-")], ids=["underscores", "dashes"])
@pytest.mark.parametrize(
    ("command", "options", "task", "said"),
    [
        (
            "thread-pool",
            "--n_threads 3 --n_processes 2 --n_process_floor 1 --complete_only_on_thread_exit",
            "in_thread",
            "queues mail (in_thread only), 3 threads in each of up to 2 processes",
        ),
        ("process-pool", "--n_processes 2 --prune_interval 50", "in_process", "heavy (in_process only), up to 2"),
    ],
)
def test_pool_runs_its_tasks_in_children(
    start: Start, shop: Path, url: str, command: str, options: str, task: str, said: str, spell: Callable[[str], str]
) -> None:
    (shop / "both.py").write_text(textwrap.dedent(TASKS))
    given = f"{options} --task_specific_mode --slot_wait_interval 7 --consumer_backoff_factor 5"
    pool = start(command, "both", "--journal", url, *map(spell, given.split()))
    assert pool.stdout is not None
    ready = pool.stdout.readline()
    assert said in ready
    assert f"tasks {task}," in ready
    with jm.Journal(url) as journal:
        broker = jm.Broker(journal)
        message = jm.Message(task_name=task, queue="mail" if task == "in_thread" else "heavy")
        broker.submit(message)
        assert jm.ResultStore(journal).get(message, timeout=60_000) == pool.pid
    pool.send_signal(signal.SIGTERM)
    assert "1 succeeded" in pool.communicate(timeout=60)[0]
    assert pool.returncode == 0


def test_pool_refuses_what_it_cannot_use_in_one_sentence(call: Run, shop: Path, url: str) -> None:
    (shop / "both.py").write_text(textwrap.dedent(TASKS))
    for options, said in (
        (["thread-pool", "nowhere"], "there is no package or module 'nowhere'"),
        (["thread-pool", "both", "--queues", "mail,"], "--queues takes names, separated by commas"),
        (["thread-pool", "both", "--consumer-backoff-floor", "40000"], "the floor of a backoff must not be above"),
        (["process-pool", "both", "--n_processes", "0"], "Invalid value for '--n_processes'"),
        (["process-pool", "both", "--log-level", "loud"], "Invalid value for '--log-level'"),
    ):
        refused = call(*options, "--journal", url)
        assert refused.returncode == 2
        assert said in refused.stderr
        assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("level", ["notset", "DEBUG", "info", "Warn", "WARNING", "ERROR", "FATAL", "CRITICAL"])
def test_log_level_takes_every_name_of_logging(call: Run, url: str, level: str) -> None:
    with jm.Journal(url) as journal:
        journal.append("order.paid", {"order": 7})
    assert call("status", "--journal", url, "--log-level", level).returncode == 0
