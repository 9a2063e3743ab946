"""Sizes, words, names and subjects: what a reader relies on, and a reviewer should not have to count."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from journeyman.cli.app import COMMANDS
from journeyman.tasks.state import names

ROOT: Final = Path(__file__).parents[2]
ROOMS: Final = ("journal", "consumers", "tasks", "workers", "cli", "demo", "deploy")

FUNCTION_LINES_MAX: Final = 60
MODULE_LINES_MAX: Final = 400
SUBJECT_CHARS_MAX: Final = 60

# Modules that are longer, each with the length that it may have until it is divided.
LONGER: Final = {
    "journal/event.py": 432,
    "journal/kafka/client.py": 460,
    "journal/kafka/log.py": 750,
    "journal/sqlite/log.py": 560,
    "journal/tails/shared_tail.py": 470,
    "workers/loop/loop.py": 530,
}

# Words for programs that are persons, and names that were replaced, each with what to write.
WORDS: Final = {
    "whoever": "the caller, the reader, the process that …",
    "whom": "the caller, the worker to which …",
    "somebody": "another process, a caller",
    "nobody": "no worker, no reader",
    "anybody": "any process, any caller",
    "everybody": "all readers, every worker",
    "foreman": "worker loop",
    "crew": "executor",
    "doorbell": "notifier",
}

# The first commit whose subject is held to the limit is the one after this.
SUBJECTS_SINCE: Final = "cc83ffc"


def modules() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_modules_are_short() -> None:
    lengths = {path: len(text.splitlines()) for path, text in modules()}
    found = {path: lines for path, lines in lengths.items() if lines > LONGER.get(path, MODULE_LINES_MAX)}
    assert not found, f"divide by subject what is longer than {MODULE_LINES_MAX} lines: {found}"
    done = [path for path in LONGER if lengths.get(path, 0) <= MODULE_LINES_MAX]
    assert not done, f"these are short enough now; take them from LONGER: {done}"


def test_functions_are_short() -> None:
    found = {}
    for path, text in modules():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body and (lines := (body[-1].end_lineno or 0) - body[0].lineno + 1) > FUNCTION_LINES_MAX:
                    found[f"{path}:{node.lineno} {node.name}"] = lines
    assert not found, f"divide what has more than {FUNCTION_LINES_MAX} lines in its body: {found}"


def test_no_module_imports_a_private_name() -> None:
    found = [
        f"{path}:{node.lineno} {alias.name}"
        for path, text in modules()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]
    assert not found, f"make public in its module what another one needs: {found}"


def test_words_name_their_subject() -> None:
    documents = [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in ROOT.glob("*.md")]
    documents += [
        (path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in (ROOT / "docs").glob("*.md")
    ]
    pattern = re.compile(rf"\b({'|'.join(WORDS)})\b", re.IGNORECASE)
    found = [
        f"{path}:{number} {match[0]!r}: write {WORDS[match[0].lower()]}"
        for path, text in [*modules(), *documents]
        if path != "CHANGELOG.md"
        for number, line in enumerate(text.splitlines(), 1)
        for match in pattern.finditer(line)
    ]
    assert not found, "\n".join(found)


def test_commit_subjects_are_short() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no clone, so there are no commits to look at")
    arguments = [git, "-C", str(ROOT), "log", "--no-merges", "--format=%h %s", f"{SUBJECTS_SINCE}..HEAD"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this clone has no history that goes back to {SUBJECTS_SINCE}: {done.stderr.strip()}")
    found = [line for line in done.stdout.splitlines() if len(line.partition(" ")[2]) > SUBJECT_CHARS_MAX]
    assert not found, f"at most {SUBJECT_CHARS_MAX} characters; the why goes into the body: {found}"


def test_documents_name_every_command() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    missing = [name for name in COMMANDS if f"journeyman {name}" not in pages]
    assert not missing, f"no page shows: {missing}"


def test_documents_name_every_event() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    events = (*names.TASK_EVENTS, *names.WORKER_EVENTS, *names.QUEUE_EVENTS)
    missing = [name for name in events if name not in pages]
    assert not missing, f"no page says what these events mean: {missing}"
