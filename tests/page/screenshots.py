"""Makes the images of the page in `docs/images/`: `make screenshots`. They show the story of a shop, from its seed."""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from page.palette import smaller
from page.story import lost_task, tell
from support.browser import Visitor, chromium
from support.service import service_here

IMAGES = Path(__file__).parents[2] / "docs" / "images"


class Shot(NamedTuple):
    """An image: its name, what it shows, and on which screen."""

    name: str
    place: str
    dark: bool = False
    width: int = 1_280
    height: int = 840


SHOTS = (
    Shot("page-overview", "/"),
    Shot("page-overview-dark", "/", dark=True),
    Shot("page-task", "/tasks/LATE"),
    Shot("page-tasks", "/tasks"),
    Shot("page-queue", "/queues/orders?state=failed"),
    Shot("page-past", "/?at=PAST", dark=True),
    Shot("page-dead-letters", "/dead-letters"),
    Shot("page-events", "/events"),
    Shot("page-narrow", "/", width=390, height=844),
)


def shoot(names: Sequence[str]) -> None:
    """Make the images of these names, or all."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        url, now = f"sqlite:///{folder}/shop.db", time.time()
        late = lost_task(tell(url, now, wild=False))
        past = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now - 29.5 * 60))
        with service_here(url) as address, chromium() as browser:
            for shot in SHOTS:
                if names and shot.name not in names:
                    continue
                visitor = Visitor(browser, address, dark=shot.dark, width=shot.width, height=shot.height)
                page = visitor.open(shot.place.replace("LATE", late).replace("PAST", past))
                if shot.place.startswith(("/?", "/queues")) or shot.place == "/":
                    page.wait_for_selector(".chart rect.hit")  # the trends come after the rest
                visitor.settled()
                image = page.screenshot(animations="disabled", caret="hide")
                (IMAGES / f"{shot.name}.png").write_bytes(smaller(image))
                visitor.close()


if __name__ == "__main__":
    shoot(sys.argv[1:])
