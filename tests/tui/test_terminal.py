"""`journeyman top` in a real terminal: it leaves it as it was, however it ends."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest
from support.terminal import Terminal, terminal_with

# What the screen turns on, and what turns it off again: the alternate screen, the hidden cursor, the mouse, pasting.
MODES = [
    ("\x1b[?1049h", "\x1b[?1049l"),
    ("\x1b[?25l", "\x1b[?25h"),
    ("\x1b[?1000h", "\x1b[?1000l"),
    ("\x1b[?2004h", "\x1b[?2004l"),
]
# Bold, dim, underlined and reversed, the terminal's own colours, and none of these.
NO_COLOURS = {b"", b"0", b"1", b"2", b"4", b"7", b"39", b"49"}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A directory with a journal in which one task waits."""
    with jm.Journal(f"sqlite:///{tmp_path}/shop.db") as journal:
        jm.task(jm.Broker(journal), name="paint", queue="walls")(print).generate(args=["red"])
    return tmp_path


def left_as_it_was(terminal: Terminal) -> None:
    """The terminal's settings are those from before, and every mode was turned off after it was turned on."""
    assert terminal.attributes() == terminal.before
    written = terminal.written.decode(errors="replace")
    for on, off in MODES:
        assert 0 <= written.rfind(on) < written.rfind(off), (on, off)


def quit_by_key(terminal: Terminal) -> None:
    terminal.press("q")


def interrupt_by_key(terminal: Terminal) -> None:
    terminal.press("\x03")


def terminate(terminal: Terminal) -> None:
    terminal.process.send_signal(signal.SIGTERM)


def interrupt(terminal: Terminal) -> None:
    terminal.process.send_signal(signal.SIGINT)


@pytest.mark.parametrize("end", [quit_by_key, interrupt_by_key, terminate, interrupt])
def test_screen_leaves_the_terminal_as_it_was(shop: Path, end: Callable[[Terminal], None]) -> None:
    with terminal_with("top", "sqlite:///shop.db", directory=shop) as terminal:
        terminal.shows("walls")
        end(terminal)
        assert terminal.ended() == 0
        left_as_it_was(terminal)


@pytest.mark.parametrize(("file", "status"), [("gone.db", 2), ("other.db", 1)])
def test_failed_screen_leaves_the_terminal_with_a_sentence(shop: Path, file: str, status: int) -> None:
    """There is no such journal, or the file is none."""
    (shop / "other.db").write_bytes(b"no journal at all" * 400)
    with terminal_with("top", f"sqlite:///{file}", directory=shop) as terminal:
        assert terminal.ended() == status
        left_as_it_was(terminal)
        assert b"journeyman: " in terminal.written
        assert b"Traceback" not in terminal.written


def test_defect_of_the_screen_leaves_the_terminal_too(shop: Path) -> None:
    """A module that fails when it draws, as a defect would."""
    (shop / "sitecustomize.py").write_text(
        "import sys\n"
        "class Break:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'journeyman.tui.app':\n"
        "            sys.meta_path.remove(self)\n"
        "            import journeyman.tui.overview as overview\n"
        "            def fail(*_): raise ZeroDivisionError('a defect')\n"
        "            overview.overview_page = fail\n"
        "sys.meta_path.insert(0, Break())\n"
    )
    with terminal_with("top", "sqlite:///shop.db", directory=shop, PYTHONPATH=str(shop)) as terminal:
        assert terminal.ended() == 1
        left_as_it_was(terminal)
        assert b"unexpected ZeroDivisionError: a defect" in terminal.written


def test_screen_without_colours_writes_none(shop: Path) -> None:
    with terminal_with("top", "sqlite:///shop.db", directory=shop, NO_COLOR="1") as terminal:
        terminal.shows("walls")
        terminal.press("q")
        assert terminal.ended() == 0
        styles = re.findall(rb"\x1b\[([0-9;]*)m", terminal.written)
        assert styles
        assert {code for style in styles for code in style.split(b";")} <= NO_COLOURS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sqlite:///shop.db"], "needs a terminal"),
        (["sqlite:///shop.db", "--journal", "sqlite:///shop.db"], "named twice"),
        (["sqlite:///shop.db", "--theme", "plaid"], "--theme takes one of"),
        (["memory://"], "inside one process"),
    ],
)
def test_command_refuses_in_a_sentence(shop: Path, arguments: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", "journeyman", "top", *arguments]
    done = subprocess.run(command, cwd=shop, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_command_without_its_library_says_how_to_install(shop: Path) -> None:
    (shop / "textual.py").write_text("raise ModuleNotFoundError('No module named textual', name='textual')")
    environment = {**os.environ, "PYTHONPATH": str(shop)}
    command = [sys.executable, "-m", "journeyman", "top", "sqlite:///shop.db"]
    done = subprocess.run(command, cwd=shop, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'journeyman[tui]'" in done.stderr
