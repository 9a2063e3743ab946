"""Shell completion: the scripts, run by bash itself, and the words that it is given."""

import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.cli.shared.completing import join_words

Complete = Callable[..., list[str]]
SCRIPTS = {"bash": "complete -o default -F", "zsh": "#compdef journeyman", "fish": "complete --command journeyman"}


def script(shell: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "journeyman"],
        env=os.environ | {"_JOURNEYMAN_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@pytest.fixture
def complete(shop: Path) -> Complete:
    """Type words into a bash that has loaded the script, and press the tabulator behind the last one."""
    bin_ = shop / "bin"
    bin_.mkdir()
    program = bin_ / "journeyman"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m journeyman "$@"\n')
    program.chmod(0o755)
    (shop / "completion.sh").write_text(script("bash"))

    def completions(*words: str, **environment: str) -> list[str]:
        lines = """
            source completion.sh
            COMP_WORDS=("$@")
            COMP_CWORD=$(($# - 1))
            _journeyman_completion journeyman
            printf '%s\\n' "${COMPREPLY[@]}"
        """
        done = subprocess.run(
            ["bash", "-c", textwrap.dedent(lines), "bash", "journeyman", *words],
            cwd=shop,
            env=os.environ | {"PATH": f"{bin_}:{os.environ['PATH']}"} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert not done.stderr
        return done.stdout.split()

    return completions


@pytest.fixture
def tasks(url: str) -> list[str]:
    """A waiting task and a dead letter, in two queues."""
    with jm.Journal(url) as journal:
        broker = jm.Broker(journal)
        waits = jm.Message(task_name="send", queue="mail", uuid="order-1")
        dead = jm.Message(task_name="send", queue="bulk", uuid="order-2")
        broker.submit_all([waits, dead])
        broker.fail(dead)
        broker.pause("urgent")
    return ["order-1", "order-2"]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_script_of_each_shell_parses_there(shell: str) -> None:
    text = script(shell)
    assert SCRIPTS[shell] in text
    assert "_JOURNEYMAN_COMPLETE" in text
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=text, text=True, timeout=60, check=True)


def test_option_installs_the_script_of_the_shell(shop: Path) -> None:
    command = shlex.join([sys.executable, "-m", "journeyman", "--show-completion"])
    # The command asks which shell has started it; with a second command bash does not replace itself by the first.
    done = subprocess.run(["bash", "-c", f"{command}; true"], capture_output=True, text=True, timeout=60, check=True)
    assert "_journeyman_completion" in done.stdout, done.stderr


def test_commands_and_options_are_completed(complete: Complete) -> None:
    assert complete("thr") == ["thread-pool"]
    assert set(complete("dlq", "")) == {"list", "show", "requeue", "purge"}
    assert complete("worker", "--queue-") == ["--queue-order", "--queue-weights"]
    assert complete("worker", "--queue-order", "f") == ["fair"]


def test_ids_and_queues_come_from_the_journal(complete: Complete, url: str, tasks: list[str]) -> None:
    environment = {"JOURNEYMAN_JOURNAL": url}
    assert sorted(complete("why", "ord", **environment)) == tasks
    assert complete("revoke", "", **environment) == tasks[:1]
    assert complete("dlq", "purge", "ord", **environment) == tasks[1:]
    assert complete("requeue", "", **environment) == tasks[1:]
    assert complete("pause", "", **environment) == ["bulk", "mail", "urgent"]
    assert complete("dlq", "list", "--queue", "m", **environment) == ["mail"]


def test_journal_option_is_one_word_to_the_completion(complete: Complete, url: str, tasks: list[str]) -> None:
    scheme, rest = url.split(":")  # as bash divides it
    assert complete("revoke", "--journal", scheme, ":", rest, "") == tasks[:1]
    assert complete("revoke", "--journal", "=", scheme, ":", rest, "") == tasks[:1]


def test_unusable_journal_has_no_completions_and_no_words(complete: Complete, shop: Path) -> None:
    for url in ("sqlite:///nowhere.db", "nosuch://x", "memory://"):
        assert complete("why", "", JOURNEYMAN_JOURNAL=url) == []
    assert not list(shop.glob("nowhere*"))


def test_completion_gives_up_on_a_journal_that_is_away(complete: Complete) -> None:
    assert complete("why", "", JOURNEYMAN_JOURNAL="kafka://127.0.0.1:1/shop") == []


@pytest.mark.parametrize(
    ("words", "place", "joined", "at"),
    [
        (["why", "a"], 1, ["why", "a"], 1),
        (["why", "-j", "sqlite", ":", "///x.db", ""], 5, ["why", "-j", "sqlite:///x.db", ""], 3),
        (
            ["why", "--journal", "=", "kafka", ":", "//h", ":", "9/t", "o"],
            8,
            ["why", "--journal=kafka://h:9/t", "o"],
            2,
        ),
        (["tail", "--since", "14", ":", "05"], 4, ["tail", "--since", "14:05"], 2),
    ],
)
def test_words_that_bash_has_divided_are_joined(words: list[str], place: int, joined: list[str], at: int) -> None:
    environment = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(place)}
    join_words(environment)
    assert environment == {"COMP_WORDS": "\n".join(joined), "COMP_CWORD": str(at)}
