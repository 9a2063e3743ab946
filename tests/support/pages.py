"""Runs the code of a page of the documentation from top to bottom: it prints what the page says."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

# A block that begins so is a module, which a test writes into a file.
MODULE = "# shop/tasks.py\n"


def run_page(path: Path, text: str | None = None) -> tuple[dict[str, Any], int]:
    """Run the page at `path`, or `text` in its place; return the names it leaves, and how many outputs it compared."""
    names: dict[str, Any] = {"__name__": path.stem}
    printed, compared = "", 0
    source = path.read_text(encoding="utf-8") if text is None else text
    for language, block in re.findall(r"```(python|text)\n(.*?)```", source, re.DOTALL):
        if language == "text":
            assert printed == block
            printed, compared = "", compared + 1
        elif not block.startswith(MODULE):
            assert not printed, "every block that prints is followed by what it prints"
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block, str(path), "exec"), names)
            printed = out.getvalue()
    assert not printed
    return names, compared
