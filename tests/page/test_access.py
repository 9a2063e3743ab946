"""Readers who do not see the page, or have no mouse, can use it: axe-core finds no barrier, in light and in dark."""

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

from page.story import READ_KEY, lost_task
from support.browser import Visitor

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
ALL_RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
COLOURS = {"type": "rule", "values": ["color-contrast"]}
PLACES = (
    "/",
    "/queues",
    "/queues/orders",
    "/tasks?state=failed",
    "/tasks/LATE",
    "/workers",
    "/workers/WORKER",
    "/workers/GONE",
    "/events?topic=worker",
    "/search/o",
)
PAST = "/queues?at=2000-01-01T00:00:00.000Z"
Visit = Callable[..., Visitor]


def barriers(
    visit: Visit, events: list[dict[str, Any]], places: Sequence[str], rules: dict[str, Any], *, dark: bool
) -> list[str]:
    """What axe-core finds on the views."""
    late = lost_task(events)
    # The view of a worker is there whether or not the service has expired it meanwhile.
    worker = next(event for event in events if event["name"] == "worker.joined")["key"]
    gone = next(event for event in events if event["name"] == "worker.expired")["key"]
    visitor = visit(dark=dark)
    visitor.settled()
    visitor.page.evaluate(AXE)
    found: list[str] = []
    for place in places:
        visitor.open(place.replace("LATE", late).replace("WORKER", worker).replace("GONE", gone))
        result = visitor.page.evaluate("(rules) => axe.run(document, { runOnly: rules })", rules)
        found += [f"{place}: {each['id']}: {node['html']}" for each in result["violations"] for node in each["nodes"]]
    return found


def test_views_have_no_barrier(visit: Visit, events: list[dict[str, Any]]) -> None:
    assert barriers(visit, events, PLACES, ALL_RULES, dark=False) == []


def test_dark_colours_have_contrast(visit: Visit, events: list[dict[str, Any]]) -> None:
    assert barriers(visit, events, [*PLACES, PAST], COLOURS, dark=True) == []


def test_door_and_dialog_have_no_barrier(visit: Visit, locked_address: str) -> None:
    visitor = visit(at=locked_address)
    page = visitor.page
    page.evaluate(AXE)
    page.get_by_label("The key of this service").wait_for()
    run = "(rules) => axe.run(document, { runOnly: rules })"
    door = page.evaluate(run, ALL_RULES)["violations"]
    page.get_by_label("The key of this service").fill(READ_KEY)
    page.keyboard.press("Enter")
    visitor.settled()
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    dialog = page.evaluate(run, ALL_RULES)["violations"]
    assert [each["nodes"] for each in (*door, *dialog)] == []
