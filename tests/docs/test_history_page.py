"""The commands on the page about history work as they stand there, one after the other."""

import re
import subprocess
import sys
import time
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.consumers.files.lines import parse
from journeyman.journal.event import Draft

PAGE = Path(__file__).parents[2] / "docs" / "history.md"


def test_history_page_commands_work_as_shown(tmp_path: Path) -> None:
    long_ago = time.time() - 40 * 86_400
    with jm.Journal(f"sqlite:///{tmp_path}/shop.db") as journal:
        journal.append_drafts([Draft("order.paid", timestamp=long_ago), Draft("order.sent", timestamp=long_ago + 1)])
        journal.append("order.paid", {"order": 7}, key="7")
    commands = [
        line
        for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        for line in block.splitlines()
    ]
    printed = []
    for command in commands:
        assert command.startswith("journeyman ")
        done = subprocess.run(
            command.replace("journeyman", f"{sys.executable} -m journeyman", 1),
            shell=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        printed.append(done.stdout)
    assert len(printed) == 6
    assert '"order":7' in printed[1]
    assert '"known":3' in printed[3]
    assert printed[4].startswith("would remove 2 of 3 events")
    assert printed[5].startswith("removed 2 of 3 events")


@pytest.mark.parametrize("name", ["timestamp", "name", "context", "key", "writer", "seq", "version", "position"])
def test_history_page_shows_a_real_line(name: str) -> None:
    (shown,) = re.findall(r"```json\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert name in shown
    assert parse(1, shown.encode()).seq == 3
