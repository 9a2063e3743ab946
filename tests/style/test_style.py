"""Sizes, words, names, limits and commit subjects, checked so that no reviewer has to count."""

import ast
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from .source import ROOT, modules, trees

FUNCTION_LINES_MAX: Final = 60
MODULE_LINES_MAX: Final = 400
SUBJECT_CHARS_MAX: Final = 60

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

# A constant is a limit if a part of its name is one of these, and its value a number.
UNIT: Final = re.compile(
    "(?:^|_)(SECONDS|NANOSECONDS|MS|BYTES|CHARS|EVENTS|ROWS|RECORDS|POSITIONS|TASKS|JOBS|LINES|COLUMNS"
    "|MAX|MIN|DEFAULT|SHOWN|KEPT|REMEMBERED)(?:_|$)"
)

# Limits that stand elsewhere: they are no choice of ours, but follow from a format, a system or another limit.
NO_CHOICE: Final = {
    "journal/depth.py SHALLOW_BYTES": "follows from the depth limit: each level opens and closes",
    "journal/event.py _SHALLOW_BYTES": "follows from the depth limit",
    "journal/fingerprint.py FINGERPRINT_CHARS": "the format of cursors",
    "journal/kafka/lookup.py _TIMES_MAX": "Kafka's protocol: 64 bits",
    "journal/kafka/snapshots.py _TOPIC_CHARS_MAX": "Kafka's limit",
    "journal/state_directory.py _DIGEST_BYTES": "the format of a file's name",
    "journal/numbers.py _DIGITS_MAX": "64 bits",
    "journal/row_decoder.py WHOLE_MAX": "64 bits",
    "journal/snapshots.py _HASH_BYTES": "the format of snapshots",
    "journal/sqlite/checksum.py CHECKSUM_BYTES": "the format of a file",
    "journal/sqlite/file_guard.py _SHARED_BYTES": "SQLite's file format",
    "journal/sqlite/file_identity.py _COARSE_NANOSECONDS": "the steps of FAT's times",
    "journal/sqlite/file_identity.py _STATUS_BYTES": "the system's `struct stat`",
    "journal/sqlite/notifier.py _SOCKET_PATH_BYTES_MAX": "the system's sockets",
    "journal/sqlite/notifier.py _LISTENER_NAME_CHARS": "the format of a listener's name",
    "journal/sqlite/notifier.py _MARK_BYTES": "the format of a notice",
    "journal/sqlite/notifier.py _NOTICE_BYTES": "the format of a notice",
    "journal/sqlite/notifier.py _NOTICES_COMPLETE_MAX": "the system's sockets",
    "journal/testing/suite.py PATIENCE_SECONDS": "the conformance suite's, and no limit of a log",
    "tasks/index/keys.py RAW_KEY_BYTES_MAX": "the format of the index",
    "tasks/index/keys.py _DIGEST_BYTES": "the format of the index",
    "tasks/index/keys.py _UUID_BYTES": "the format of UUIDs",
    "tasks/index/keys.py _UUID_CHARS": "the format of UUIDs",
    "tasks/index/rows.py _COURSE_CHARS": "the format of the index",
    "journal/json_values.py _WHOLE_MAX": "64 bits, as orjson encodes them",
    "journal/json_values.py _WHOLE_MIN": "64 bits, as orjson encodes them",
    "tasks/locking/owners.py _NONCE_CHARS": "the format of an owner's id",
    "tasks/state/older_snapshots.py _DEAD_KEPT": "the limit of an earlier version",
    "tasks/state/older_snapshots.py _FINISHED_KEPT": "the limit of an earlier version",
    "tasks/triggers.py _CHANGE_MS": "how time zones change",
    "tasks/triggers.py _DAY_MS": "the calendar's",
    "workers/executors/result_encoding.py _SHALLOW_BYTES": "follows from the depth limit",
    "workers/health/report.py _PORT_MAX": "16 bits",
    "service/events/known_keys.py _DIGEST_BYTES": "the size of a digest in memory",
    "service/tasks/parameters.py LIMIT_DEFAULT": "another limit, by the name that requests give it",
    "journal/kafka/connection.py DEFAULT_PORT": "Kafka's usual port",
    "deploy/kafka/guard.py PARENT_CHECK_SECONDS": "the module is run by its path and imports nothing of ours",
    "deploy/kafka/distribution.py JAVA_MAJOR_MIN": "what Kafka needs",
    "deploy/kafka/settings.py DEFAULT_PORT": "Kafka's usual port",
}

# The first commit whose subject is held to the limit is the one after this.
SUBJECTS_SINCE: Final = "cc83ffc"


def test_modules_are_short() -> None:
    lengths = {path: len(text.splitlines()) for path, text in modules().items()}
    found = {path: lines for path, lines in lengths.items() if lines > MODULE_LINES_MAX}
    assert not found, f"divide by subject what is longer than {MODULE_LINES_MAX} lines: {found}"


def test_functions_are_short() -> None:
    found = {}
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body and (lines := (body[-1].end_lineno or 0) - body[0].lineno + 1) > FUNCTION_LINES_MAX:
                    found[f"{path}:{node.lineno} {node.name}"] = lines
    assert not found, f"divide what has more than {FUNCTION_LINES_MAX} lines in its body: {found}"


def test_no_module_imports_a_private_name() -> None:
    found = [
        f"{path}:{node.lineno} {alias.name}"
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]
    assert not found, f"make public in its module what another one needs: {found}"


def test_limits_stand_in_the_limits_of_their_room() -> None:
    found = [
        f"{path} {name}"
        for path, tree in trees().items()
        if not path.endswith("/limits.py")
        for node in tree.body
        if (name := limit_named(node))
    ]
    outside = [place for place in found if place not in NO_CHOICE]
    assert not outside, f"a limit that stands outside its room's limits.py; move it there, with its meaning: {outside}"
    gone = [place for place in NO_CHOICE if place not in found]
    assert not gone, f"these are gone; take them from NO_CHOICE: {gone}"


def limit_named(node: ast.stmt) -> str:
    """The constant with a unit in its name to which this statement gives a number; otherwise empty."""
    if not isinstance(node, ast.AnnAssign | ast.Assign) or node.value is None:
        return ""
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    if not isinstance(target, ast.Name) or not target.id.isupper() or not UNIT.search(target.id):
        return ""
    parts = list(ast.walk(node.value))
    computed = (ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Name, ast.expr_context, ast.Constant)
    numbers = [part.value for part in parts if isinstance(part, ast.Constant)]
    is_number = all(isinstance(part, computed) for part in parts) and all(isinstance(n, int | float) for n in numbers)
    return target.id if is_number else ""


def test_words_name_their_subject() -> None:
    documents = [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in ROOT.glob("*.md")]
    documents += [
        (path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in (ROOT / "docs").glob("*.md")
    ]
    documents += [
        (path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in (ROOT / "tests").rglob("*.py")
        if path not in (Path(__file__), ROOT / "tests" / "ordinary.py")  # the user `nobody`
    ]
    pattern = re.compile(rf"\b({'|'.join(WORDS)})\b", re.IGNORECASE)
    found = [
        f"{path}:{number} {match[0]!r}: write {WORDS[match[0].lower()]}"
        for path, text in [*modules().items(), *documents]
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
