"""The example of a consumer for a user's own topic works as it says."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_custom_topic_consumer_works(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / "subclass_consumer.py"), f"sqlite:///{tmp_path}/jobs.db"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        "a job.submitted {'command': 'make'}",
        "a job.finished status=0",
        "b job.submitted {'command': 'ls'}",
        "b job.finished status=0",
        "-- the end of history; now something happens",
        "c job.submitted {'command': 'date'}",
    ]
