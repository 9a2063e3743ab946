"""The section on tasks and queues of the page on the service: its commands answer what it says."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from journeyman.service import limits
from journeyman.service.app import ROUTES
from journeyman.service.description import handlers_of
from journeyman.service.tasks.routes import TASK_ROUTES
from support.service import service_here

TEXT = (Path(__file__).parents[2] / "docs" / "service.md").read_text()
SECTION = TEXT.partition("## Tasks and queues\n")[2].partition("\n## ")[0]


def test_commands_of_the_section_answer_what_it_says(tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```\n\n```json\n(.*?)```", SECTION, re.DOTALL)
    assert len(blocks) == SECTION.count("```sh\n") > 5
    with service_here(f"sqlite:///{tmp_path}/shop.db") as address:
        for command, expected in blocks:
            done = subprocess.run(
                ["bash", "-c", command.replace("curl ", "curl -H Content-Type:application/json ")],
                env={**os.environ, "SERVICE": address},
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            assert matches(json.loads(done.stdout), json.loads(expected)), f"{command}{done.stdout}"


def matches(answer: Any, expected: Any) -> bool:
    """Whether an answer is what the page says; "…" stands for any value."""
    if expected == "…":
        return True
    if isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(matches(answer[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        return len(answer) == len(expected) and all(map(matches, answer, expected))
    return bool(answer == expected)


def test_section_names_every_request() -> None:
    table = SECTION.partition("\n\n")[2]
    for handler in TASK_ROUTES:
        for path in handler.paths:
            plain = re.sub(r":str\}", "}", path)
            last = plain.rpartition("/")[2]
            assert f"`{plain}" in table or f" {plain}`" in table or f"`/{last}`" in table, plain
    assert {*handlers_of(ROUTES)} >= {*TASK_ROUTES}


def test_section_names_the_limits() -> None:
    numbers = re.findall(r"([\d,]+)(?: s)? \(`([A-Z_]+)`\)", SECTION)
    numbers += re.findall(r"at most ([\d,]+) events for a page \(`([A-Z_]+)`\)", SECTION)
    assert len(numbers) == 5
    for number, name in numbers:
        assert float(number.replace(",", "")) == getattr(limits, name), name
