"""Print answers as JSON, an object a line."""

import sys
from typing import Any

import msgspec


def print_json(*answers: Any) -> None:
    """Print answers, each as JSON in a line of its own."""
    sys.stdout.buffer.writelines(msgspec.json.encode(answer) + b"\n" for answer in answers)
    sys.stdout.buffer.flush()


def with_journal(answer: msgspec.Struct, url: str) -> dict[str, Any]:
    """Return an answer with the URL of the journal that it is about."""
    fields: dict[str, Any] = msgspec.to_builtins(answer)
    return {**fields, "journal": url}
