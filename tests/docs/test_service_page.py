"""The section on events of the page on the service: its commands are run, and print what the page says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from journeyman.service.settings import Settings
from support.service import service_here

PAGE = (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Events\n")[2].partition("\n## ")[0]
CHANGING = (
    (r'"timestamp":[\d.]+', '"timestamp":…'),
    (r'"writer":"[^"]+","seq":\d+', '"writer":…'),
    (r":[0-9a-f]{12}\.[0-9a-f]+", ":…"),
    (r"retry: \d+", "retry: …"),
)


def lasting(text: str) -> str:
    """Replace what differs from run to run."""
    for pattern, shown in CHANGING:
        text = re.sub(pattern, shown, text)
    return text.strip()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing: install curl")
def test_commands_on_events_print_what_the_page_says(tmp_path: Path) -> None:
    pairs = re.findall(r"```sh\n(.*?)```\n\n```text\n(.*?)```", SECTION, re.DOTALL)
    assert len(pairs) == 2
    with service_here(f"sqlite:///{tmp_path}/shop.db", Settings(port=0)) as address:
        for commands, printed in pairs:
            script = "\n".join(f"{command}\necho" for command in commands.splitlines())
            answer = subprocess.run(
                ["sh", "-ec", script],
                env={**os.environ, "SERVICE": address},
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            lines = [line for line in lasting(answer.stdout).splitlines() if line]
            assert lines == [line for line in lasting(printed).splitlines() if line]
