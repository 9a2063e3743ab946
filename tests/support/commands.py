"""The command line in this process: what a command prints with --json."""

import io
import json
import sys
from typing import Any

import pytest
from journeyman.cli import main


def printed_json(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[Any]:
    """Run a command with --json; return what it prints, an object for each line."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    with monkeypatch.context() as patch:
        patch.delenv("JOURNEYMAN_JOURNAL", raising=False)
        patch.setattr(sys, "stdout", out)
        main((*arguments, "--json"))
    assert isinstance(out.buffer, io.BytesIO)
    return [json.loads(line) for line in out.buffer.getvalue().splitlines()]
