"""An ordinary user, for tests about who may do what: the superuser may do everything."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

IS_ROOT = os.geteuid() == 0


def ordinary() -> tuple[int, int]:
    """The user and the group of an ordinary user: of this process's, unless that is the superuser."""
    if not IS_ROOT:
        return os.getuid(), os.getgid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def becoming_ordinary() -> list[str]:
    """The command that runs another one as an ordinary user; skips the test where that user may not run Python."""
    user, group = ordinary()
    # The program's own look-up of the interpreter is still the superuser's, who may enter his home.
    become = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"] if IS_ROOT else []
    if become and shutil.which("setpriv") is None:
        pytest.skip("there is no setpriv to become an ordinary user with")
    if refused := _refusal(*become):
        pytest.skip(f"an ordinary user may not run this interpreter: {refused}")
    return become


@cache
def _refusal(*become: str) -> str:
    """The last line of what an interpreter says that cannot even import the package."""
    command = [*become, sys.executable, "-c", "import journeyman"]
    started = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    return (started.stderr or "it says nothing").splitlines()[-1] if started.returncode else ""


def run_as_ordinary(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run this interpreter as an ordinary user; skip the test where that user may not even do so."""
    command = [*becoming_ordinary(), sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


@contextmanager
def open_directory() -> Iterator[Path]:
    """A directory that every user can enter, as pytest's own ones are not."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        directory.chmod(0o755)
        for each in directory.rglob("*"):
            if each.is_dir() and not IS_ROOT:  # a test may have taken the permissions away
                each.chmod(0o755)
        shutil.rmtree(directory)
