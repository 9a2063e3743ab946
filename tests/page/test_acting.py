"""The page's views of what can be changed: each act asks first, a command acts on all that match, readers only look."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from page.furniture import HELD_LOCK, SCHEDULE, SERVICE, furnish
from page.story import ADMIN_KEY, READ_KEY
from page.test_access import ALL_RULES, AXE, COLOURS
from playwright.sync_api import Page, expect
from support.browser import PATIENCE_MS, Visitor
from support.service import client

expect.set_options(timeout=PATIENCE_MS)
Visit = Callable[..., Visitor]
CHANGING = ("Requeue", "Purge", "Pause", "Resume", "Release", "Stop", "Submit", "Run again", "Revoke")


@pytest.fixture(scope="module")
def service(url: str, address: str) -> dict[str, Any]:
    """A service with two jobs; the journal has a schedule, a lock with its line, and requests, too."""
    return furnish(url, address)


@pytest.fixture
def http(address: str) -> Iterator[httpx2.Client]:
    with client(address) as made:
        yield made


def dead(http: httpx2.Client, count: int, queue: str) -> list[str]:
    """Dead letters of a queue of their own."""
    messages = [{"task_name": "burn", "queue": queue, "kwargs": {"dish": "soup"}} for _ in range(count)]
    tasks = list(http.post("/tasks", json=messages).json()["tasks"])
    for task in tasks:
        assert http.post(f"/tasks/{task}/fail").status_code == 200
    return tasks


def answer(page: Page, verb: str, reason: str = "") -> None:
    """Answer the question that the page asks."""
    dialog = page.get_by_role("dialog")
    if reason:
        dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=verb, exact=True).click()


def test_dead_letters_are_filtered_and_their_tracebacks_read(visit: Visit) -> None:
    page = visit("/dead-letters").page
    page.get_by_label("Text of the error").fill("cardDECLINED")
    page.keyboard.press("Enter")
    expect(page.locator(".list")).not_to_contain_text("render_report")
    page.locator(".viewport .row a").first.click()
    expect(page.locator("h1")).to_contain_text("charge_card")
    expect(page.locator("pre.traceback").first).to_contain_text("CardDeclined: insufficient funds")


def test_one_dead_letter_is_requeued_after_a_question(visit: Visit, http: httpx2.Client) -> None:
    (task,) = dead(http, 1, "one")
    page = visit(f"/dead-letters/{task}").page
    page.get_by_role("button", name="Requeue").click()
    answer(page, "Leave it")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Requeue").click()
    answer(page, "Requeue", "the stove is mended")
    expect(page.locator("h1 .state")).to_have_text("ready")
    assert http.get(f"/tasks/{task}").json()["state"] == "ready"


def test_dead_letter_that_others_requeue_is_shown_as_a_task(visit: Visit, http: httpx2.Client) -> None:
    (task,) = dead(http, 1, "others")
    page = visit(f"/dead-letters/{task}").page
    expect(page.locator("h1")).to_contain_text("Dead letter")
    expect(page.locator(".connection")).to_have_text("Live")
    assert http.post(f"/tasks/{task}/requeue").status_code == 200
    expect(page.locator("h1 .state")).to_have_text("ready")


def test_all_that_match_are_one_command(visit: Visit, http: httpx2.Client) -> None:
    tasks = dead(http, 7, "banquet")
    page = visit("/dead-letters?queue=banquet").page
    page.get_by_role("button", name="Purge all that match").click()
    expect(page.get_by_role("dialog")).to_contain_text("Purge 7 dead letters?")
    expect(page.get_by_role("dialog").locator(".sample")).to_contain_text("and 2 others")
    page.get_by_role("dialog").get_by_label("Tasks a second").fill("500")
    answer(page, "Purge", "guests have left")
    expect(page.locator("h1 .state")).to_have_text("done")
    expect(page.locator("p.progress")).to_contain_text("7 of 7")
    (found,) = (each for each in http.get("/commands").json()["commands"] if each["filter"].get("queue") == "banquet")
    assert (found["rate"], found["reason"], found["changed"]) == (500.0, "guests have left", 7)
    assert {http.get(f"/tasks/{task}").json()["state"] for task in tasks} == {"revoked"}


def test_running_command_is_stopped(visit: Visit, http: httpx2.Client) -> None:
    dead(http, 3, "slow")
    page = visit("/tasks?state=failed&queue=slow").page
    page.get_by_role("button", name="Requeue all that match").click()
    page.get_by_role("dialog").get_by_label("Tasks a second").fill("1")
    answer(page, "Requeue")
    page.get_by_role("button", name="Stop").click()
    answer(page, "Stop")
    expect(page.locator("h1 .state")).to_have_text("stopped")
    page.get_by_role("link", name="Commands").click()
    expect(page.locator("tbody tr").first).to_contain_text("stopped")


def test_task_is_run_again_with_other_arguments(visit: Visit, http: httpx2.Client) -> None:
    (task,) = dead(http, 1, "again")
    page = visit(f"/tasks/{task}").page
    page.get_by_role("link", name="Run again").click()
    arguments = page.get_by_label("Arguments by name")
    expect(arguments).to_have_value('{\n  "dish": "soup"\n}')
    arguments.fill("{dish}")
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("alert")).to_contain_text("are a JSON object")
    arguments.fill('{"dish": "salad"}')
    page.get_by_role("button", name="Run again").click()
    expect(page.locator(".steps")).to_be_visible()
    expect(page.locator("pre.json").first).to_contain_text("salad")
    (new,) = http.get("/tasks", params={"queue": "again", "state": "ready"}).json()["tasks"]
    assert new["task"] != task


def test_schedule_is_paused_and_resumed(visit: Visit, service: dict[str, Any], http: httpx2.Client) -> None:
    page = visit("/schedules").page
    expect(page.locator("tr", has_text=SCHEDULE).first).to_contain_text("0 3 * * *")
    page.get_by_role("link", name=SCHEDULE).first.click()
    page.get_by_role("button", name="Pause").click()
    answer(page, "Pause", "holidays")
    expect(page.locator("h1 .badge")).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    answer(page, "Resume")
    expect(page.locator("h1 .badge")).to_have_count(0)
    expect(page.locator("table", has_text="schedule.paused")).to_contain_text("holidays")


def test_released_lock_goes_to_the_next_in_line(visit: Visit, service: dict[str, Any]) -> None:
    page = visit("/locks").page
    page.get_by_role("link", name=HELD_LOCK).click()
    holders = page.locator(".panel", has=page.get_by_role("heading", name="Holders"))
    expect(holders).to_contain_text("atlas-41210")
    holders.get_by_role("button", name="Release").click()
    answer(page, "Release")
    expect(holders).to_contain_text("borealis-1977")
    expect(page.locator(".panel", has=page.get_by_role("heading", name="The line that waits"))).to_contain_text("draco")


def test_requests_and_services_are_shown(visit: Visit, service: dict[str, Any]) -> None:
    page = visit("/requests").page
    expect(page.locator("tr", has_text="/orders/7003")).to_contain_text("500")
    expect(page.locator("tr", has_text="/orders/7000")).to_be_visible()
    page.get_by_role("link", name="Services").click()
    page.get_by_role("link", name=SERVICE).click()
    expect(page.locator(".viewport .row")).to_have_count(2)
    expect(page.locator("pre").first).to_contain_text('"text"')


def test_typed_text_outlives_what_happens(visit: Visit, http: httpx2.Client) -> None:
    page = visit("/tasks").page
    expect(page.locator(".connection")).to_have_text("Live")
    field = page.get_by_label("Argument")
    field.press_sequentially("kwargs.dish")
    dead(http, 1, "typed")
    expect(page.locator(".viewport .row").first).to_contain_text("typed")
    expect(field).to_have_value("kwargs.dish")


def places(service: dict[str, Any], letter: str) -> tuple[str, ...]:
    """All views of this module."""
    shown = f"/dead-letters/{letter}", f"/schedules/{SCHEDULE}", f"/locks/{HELD_LOCK}", f"/services/{service['id']}"
    lists = "/dead-letters", "/tasks?state=failed", "/schedules", "/locks", "/requests", "/services", "/commands"
    return (*lists, *shown, "/submit", f"/submit?again={letter}")


def test_reader_is_offered_no_act_on_any_view(
    visit: Visit, locked_address: str, service: dict[str, Any], http: httpx2.Client
) -> None:
    (letter,) = dead(http, 1, "read")
    offered: dict[str, set[str]] = {}
    for key in (READ_KEY, ADMIN_KEY):
        visitor = visit(at=locked_address)
        page = visitor.page
        page.get_by_label("The key of this service").fill(key)
        page.keyboard.press("Enter")
        visitor.settled()
        offered[key] = set()
        for place in places(service, letter):
            page.evaluate("(place) => { location.hash = place; }", place)
            page.wait_for_function("() => document.querySelector('#main[aria-busy=false] .view, #main .problem')")
            visitor.settled()
            texts = page.locator("#main button, #main a.button").all_inner_texts()
            offered[key] |= {each for each in texts if each.startswith(CHANGING)}
    assert offered[READ_KEY] == set()
    assert {"Release", "Pause", "Requeue", "Purge all that match", "Submit a task"} <= offered[ADMIN_KEY]


def test_acting_views_have_no_barrier(visit: Visit, service: dict[str, Any], http: httpx2.Client) -> None:
    (letter,) = dead(http, 1, "barriers")
    found: list[str] = []
    shown = places(service, letter)
    for rules, dark in ((ALL_RULES, False), (COLOURS, True)):
        visitor = visit(dark=dark)
        visitor.settled()
        visitor.page.evaluate(AXE)
        for place in shown:
            visitor.open(place)
            result = visitor.page.evaluate("(rules) => axe.run(document, { runOnly: rules })", rules)
            found += [f"{place}: {each['id']}: {each['nodes'][0]['html']}" for each in result["violations"]]
    assert found == []


def test_acting_views_fit_narrow_screens_and_the_past(
    visit: Visit, service: dict[str, Any], http: httpx2.Client
) -> None:
    (letter,) = dead(http, 1, "narrow")
    visitor = visit(width=390, height=844)
    for place in places(service, letter):
        visitor.open(place)
        assert visitor.page.evaluate("() => document.documentElement.scrollWidth") <= 390, place
    for place, words in (
        ("/dead-letters", "No dead letter matches."),
        ("/schedules", "There is none."),
        ("/requests", "None."),
    ):
        visitor.open(f"{place}?at=2000-01-01T00:00:00.000Z")
        expect(visitor.page.locator("#main")).to_contain_text(words)
        expect(visitor.page.locator("#main .acts button")).to_have_count(0)
