"""What the command line says of a mistake: one sentence."""

import subprocess


def assert_one_sentence(done: "subprocess.CompletedProcess[str]", status: int, *words: str) -> None:
    """Check that a command has ended with a status and one sentence, which holds all these words."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("journeyman: ")
    for each in words:
        assert each in lines[0]
