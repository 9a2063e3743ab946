"""Makes the images of the terminal screen in `docs/images/`: `make screenshots`. They show the hour of a shop."""

import asyncio
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from page.palette import smaller
from support.browser import chromium
from support.screens import says, screen_of, shows

IMAGES = Path(__file__).parents[2] / "docs" / "images"


class Shot(NamedTuple):
    """An image: its name, the keys that lead there, and a text by which it is known to be complete."""

    name: str
    keys: tuple[str, ...]
    complete: str
    size: tuple[int, int] = (120, 40)


SHOTS = (
    Shot("top", (), "failures of the hour"),
    Shot("top-past", ("left_curly_bracket", "left_curly_bracket"), "20 min 0 s ago", (100, 30)),
    Shot("top-task", ("5", "enter"), "task.submitted", (100, 30)),
)


async def drawings(names: Sequence[str]) -> dict[str, str]:
    """The drawings (SVG) of these names, or all."""
    found: dict[str, str] = {}
    for shot in SHOTS:
        if names and shot.name not in names:
            continue
        async with screen_of(size=shot.size) as (app, pilot):
            for key in shot.keys:
                await pilot.press(key)
                await shows(app, lambda text: "opening" not in text, "something")
            await shows(app, says(shot.complete), shot.complete)
            # The fonts of the drawing are on another host: the browser's own are as good.
            found[shot.name] = re.sub(r"@font-face \{.*?\}", "", app.export_screenshot(), flags=re.DOTALL)
    return found


def shoot(names: Sequence[str]) -> None:
    """Make the images of these names, or all."""
    IMAGES.mkdir(exist_ok=True)
    drawn = asyncio.run(drawings(names))
    with chromium() as browser:
        for name, drawing in drawn.items():
            page = browser.new_page(viewport={"width": 1_280, "height": 900})
            page.set_content(f"<style>body {{ margin: 0 }} svg {{ width: 1280px; display: block }}</style>{drawing}")
            image = page.locator("svg").first.screenshot(animations="disabled")
            (IMAGES / f"{name}.png").write_bytes(smaller(image))
            page.close()


if __name__ == "__main__":
    os.environ["TZ"] = "UTC"
    time.tzset()
    shoot(sys.argv[1:])
