"""The page in a real browser: what people see of the queue, live and in the past, by mouse and by keys."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journeyman.service.page.files import page_files
from page.story import ADMIN_KEY, READ_KEY, WILD_NAME, lost_task
from playwright.sync_api import Browser, expect
from support.browser import PATIENCE_MS, Visitor
from support.service import client, free_port, service_process

expect.set_options(timeout=PATIENCE_MS)
Visit = Callable[..., Visitor]


def test_overview_follows_what_happens(visit: Visit, address: str) -> None:
    page = visit().page
    expect(page.locator(".connection")).to_have_text("Live")
    with client(address) as http:
        http.post("/tasks", json={"task_name": "weigh", "queue": "scales", "args": [1]})
    expect(page.get_by_role("link", name="scales").first).to_be_visible()
    expect(page.get_by_text("1 task weigh in scales waits")).to_be_visible()


def test_wild_names_stay_text(visit: Visit, events: list[dict[str, Any]]) -> None:
    page = visit().page
    expect(page.get_by_text(f"1 task {WILD_NAME} in")).to_be_visible()
    task = next(event for event in events if event["context"].get("task_name") == WILD_NAME)["key"]
    for place in (f"/tasks/{task}", "/events", f"/tasks?name={WILD_NAME}", "/search/%3Cscript%3E"):
        page.goto(f"{page.url.partition('#')[0]}#{place}")
        expect(page.locator("#main[aria-busy=false]")).to_be_visible()
    assert page.locator("script:not([src]), img").count() == 0


def test_browser_refuses_markup_and_scripts_from_text(visit: Visit) -> None:
    visitor = visit()
    expect(visitor.page.locator(".connection")).to_have_text("Live")
    tried = """() => [
      () => { document.body.innerHTML = "<i></i>"; },
      () => document.body.setAttribute("onclick", "window.ran = true"),
      () => { document.createElement("script").text = "window.ran = true"; },
    ].map((act) => { try { act(); return "done"; } catch (error) { return error.name; } })"""
    assert visitor.page.evaluate(tried) == ["TypeError"] * 3
    assert visitor.complaints  # the browser has noted them
    visitor.complaints.clear()


def test_task_shows_its_whole_life(visit: Visit, events: list[dict[str, Any]]) -> None:
    late = lost_task(events)
    page = visit(f"/tasks/{late}").page
    expect(page.locator("h1")).to_contain_text("succeeded")
    steps = page.locator(".steps > li")
    expect(steps.filter(has_text="Submitted")).to_have_count(1)
    expect(steps.filter(has_text="Claimed")).to_have_count(2)
    expect(steps.filter(has_text="Its worker expired")).to_contain_text("noticed by")
    expect(page.locator(".steps > li.refused")).to_contain_text("stale outcome")
    expect(page.locator(".lanes > li.run")).to_have_count(2)


def test_chain_leads_from_task_to_task(visit: Visit, events: list[dict[str, Any]]) -> None:
    first = next(event for event in events if event["context"].get("summary"))["key"]
    page = visit(f"/tasks/{first}").page
    expect(page.locator(".chain > li")).to_have_count(3)
    page.locator(".chain > li").nth(1).get_by_role("link").click()
    expect(page.locator("h1")).to_contain_text("render_report")


def test_every_view_shows_the_moment_of_the_slider(visit: Visit) -> None:
    page = visit().page
    expect(page.locator(".connection")).to_have_text("Live")
    expect(page.locator(".badge", has_text="paused")).to_have_count(1)
    slider = page.get_by_label("The moment that is shown")
    slider.evaluate("(it) => { it.value = it.min; it.dispatchEvent(new Event('input', { bubbles: true })); }")
    expect(page.locator(".moment")).to_contain_text("As of")
    expect(page.locator(".badge", has_text="paused")).to_have_count(0)  # at the beginning of the journal
    at = re.search(r"at=([^&]+)", page.url)
    assert at
    page.get_by_role("link", name="Workers", exact=True).click()
    expect(page.locator("h1")).to_have_text("Workers")
    assert f"at={at[1]}" in page.url
    page.keyboard.press("l")
    expect(page.locator(".connection")).to_have_text("Live")
    assert "at=" not in page.url


def test_address_is_shared_with_filter_and_moment(visit: Visit) -> None:
    page = visit("/tasks?state=failed&at=2000-01-01T00:00:00.000Z").page
    expect(page.locator(".moment")).to_contain_text("2000")
    expect(page.locator(".list")).to_contain_text("No task matches.")
    expect(page.locator(".tabs [aria-current]")).to_contain_text("Dead letters")


def test_keys_lead_through_the_page_without_a_mouse(visit: Visit) -> None:
    page = visit().page
    expect(page.locator(".panel").first).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("live: back to now")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page.locator(".viewport .row").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".steps")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("orders")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("orders")
    page.keyboard.press("[")
    expect(page.locator(".moment")).to_be_visible()


def test_search_leads_to_tasks_queues_and_workers(visit: Visit, events: list[dict[str, Any]]) -> None:
    late = lost_task(events)
    page = visit(f"/search/{late[-8:]}").page  # the end of an id, as it is shown
    expect(page.locator(".steps")).to_be_visible()
    page.goto(f"{page.url.partition('#')[0]}#/search/re")
    expect(page.locator(".hits")).to_contain_text("render_report")
    expect(page.locator(".hits")).to_contain_text("borealis")
    page.locator(".hits").get_by_role("link", name="reports").click()
    expect(page.locator("h1")).to_contain_text("reports")


def test_task_leads_to_its_worker_that_has_gone(visit: Visit, events: list[dict[str, Any]]) -> None:
    expiry = next(event["context"] for event in events if event["name"] == "worker.expired")
    visitor = visit(f"/tasks/{lost_task(events)}")
    page = visitor.page
    page.locator(".steps > li").filter(has_text="Its worker expired").get_by_title(expiry["worker"]).click()
    expect(page.locator("h1")).to_contain_text("draco · 882")
    expect(page.locator("h1 .badge")).to_have_text("expired")
    expect(page.locator(".facts")).to_contain_text("Until")
    expect(page.get_by_text("Nothing: it has gone.")).to_be_visible()
    page.locator(".facts").get_by_title(expiry["by"]).click()
    expect(page.locator("h1")).not_to_contain_text("draco")
    expect(page.locator(".ids")).to_have_text(expiry["by"])
    visitor.open(f"/search/{expiry['worker'][-8:]}")
    expect(page.locator("h1")).to_contain_text("draco · 882")


def test_worker_shows_that_the_service_has_expired_it(visit: Visit, address: str) -> None:
    with client(address) as http:
        terms = {"host": "ibis", "lease_ms": 500, "queues": ["reeds"], "tasks": ["wade"]}
        worker = http.post("/workers/join", json=terms).json()["worker"]
        page = visit(f"/workers/{worker}").page
        expect(page.locator("h1")).to_contain_text("ibis")
        expect(page.locator("h1 .badge")).to_have_count(0)
        http.post("/tasks", json={"task_name": "wade", "queue": "reeds"})
        assert http.post("/workers/claim", json={"worker": worker, "wait": 30}).json()["tasks"]
    expect(page.locator("h1 .badge")).to_have_text("expired")
    expect(page.locator(".facts")).to_contain_text(re.compile("Expired by *the service …"))
    service = page.locator(".facts").get_by_title(re.compile("^[0-9a-f-]{36}$")).get_attribute("title")
    page.goto(f"{address}/#/events?topic=worker.beat&key={service}")
    expect(page.locator("#main").get_by_text("the service …").first).to_be_visible()
    expect(page.locator(f"#main a[title='{service}']")).to_have_count(0)


def test_list_scrolls_through_thousands_of_rows(visit: Visit) -> None:
    page = visit("/tasks").page
    expect(page.locator(".viewport .row").first).to_be_visible()
    viewport, foot = page.locator(".viewport"), page.locator(".list-foot")
    for so_far in (200, 400, 600, 800):
        expect(foot).to_have_text(f"{so_far} so far")
        viewport.evaluate("(it) => { it.scrollTop = it.scrollHeight; }")
    expect(foot).to_have_text(re.compile("^1,"))
    assert page.locator(".viewport .row").count() < 80
    viewport.evaluate("(it) => { it.scrollTop = 0; }")
    expect(page.locator(".viewport .row[aria-rowindex='1']")).to_be_visible()


def test_key_is_asked_for_and_forgotten(visit: Visit, locked_address: str) -> None:
    visitor = visit(at=locked_address)
    page = visitor.page
    page.get_by_label("The key of this service").fill("a-key-that-is-unknown")
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("alert")).to_have_text("The service does not know this key.")
    visitor.complaints.clear()  # the browser has noted the refusal
    page.get_by_label("The key of this service").fill(READ_KEY)
    page.keyboard.press("Enter")
    expect(page.locator(".connection")).to_have_text("Live")
    assert page.evaluate("() => [localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert READ_KEY not in page.url
    page.reload()
    expect(page.get_by_label("The key of this service")).to_be_visible()


def test_reader_is_offered_nothing_that_changes(
    visit: Visit, locked_address: str, events: list[dict[str, Any]]
) -> None:
    dead = next(event for event in events if event["name"] == "task.failed")["key"]
    for key, offered in ((READ_KEY, 0), (ADMIN_KEY, 1)):
        page = visit(f"/tasks/{dead}", at=locked_address).page
        page.get_by_label("The key of this service").fill(key)
        page.keyboard.press("Enter")
        expect(page.locator(".steps")).to_be_visible()
        expect(page.get_by_role("button", name="Requeue")).to_have_count(offered)
        page.keyboard.press("[")
        expect(page.locator(".moment")).to_be_visible()
        expect(page.get_by_role("button", name="Requeue")).to_have_count(0)  # nothing changes the past


def test_acts_ask_first_and_name_the_reason(visit: Visit, address: str) -> None:
    page = visit("/queues/orders").page
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("dialog").get_by_label("Reason").fill("stock-taking")
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.locator("h1 .badge")).to_contain_text("paused")
    with client(address) as http:
        said = http.get("/events/latest?topic=queue.paused&limit=1").json()["events"][0]["context"]
    assert (said["queue_name"], said["reason"], said["by"]) == ("orders", "stock-taking", "local")
    page.get_by_role("button", name="Resume", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.locator("h1 .badge")).to_have_count(0)


def test_counts_follow_the_filter(visit: Visit, events: list[dict[str, Any]]) -> None:
    named = [event for event in events if event["context"].get("task_name") == "import_prices"]
    page = visit("/tasks?name=import_prices").page
    expect(page.locator(".tabs a", has_text="All").locator(".amount")).to_have_text(str(len(named)))
    page.get_by_label("Argument").fill("args.0=supplier-8.csv")
    page.keyboard.press("Enter")
    expect(page.locator(".tabs a", has_text="All").locator(".amount")).to_have_text("0")
    expect(page.locator(".list")).to_contain_text("No task matches.")


@pytest.mark.parametrize("place", ["/", "/tasks", "/events"])
def test_narrow_screen_needs_no_sideways_scrolling(visit: Visit, place: str) -> None:
    visitor = visit(place, width=390, height=844)
    visitor.settled()
    assert visitor.page.evaluate("() => document.documentElement.scrollWidth") <= 390


MILLION = """async ([digest, top]) => {
  const { List } = await import(`${document.baseURI.split("#")[0]}page/${digest}/list.js`);
  const { render, h } = await import(`${document.baseURI.split("#")[0]}page/${digest}/dom.js`);
  const size = 50_000;
  const list = (window.list ??= new List({
    label: "Numbers", columns: [["Number", (each) => String(each)]], keyOf: String, none: "none",
    fetch: async (cursor) => {
      const begin = Number(cursor ?? 0);
      const next = begin + size < 1e6 ? String(begin + size) : null;
      return { items: Array.from({ length: size }, (_, each) => begin + each), next };
    },
  }));
  if (!window.holder) {
    window.holder = document.body.appendChild(document.createElement("div"));
    window.holder.className = "view";
    Object.assign(window.holder.style, { position: "fixed", inset: "0", "z-index": "9" });
    render(window.holder, list.element());
    await list.begin();
    while (!list.isComplete) {
      list.viewport.scrollTop = list.viewport.scrollHeight;
      await new Promise(requestAnimationFrame);
    }
  }
  list.viewport.scrollTop = top * (list.viewport.scrollHeight - list.viewport.clientHeight);
}"""


def test_list_of_a_million_rows_shows_any_of_them(visit: Visit) -> None:
    """The visible rows are those of the share of the list to which it is scrolled, and only these are there."""
    page = visit().page
    expect(page.locator(".connection")).to_have_text("Live")
    rows = page.locator("body > .view .sizer .row")
    for top, shown in ((1, "999999"), (0.5, "500000"), (0, "0")):
        page.evaluate(MILLION, [page_files().digest, top])
        expect(rows.filter(has_text=re.compile(f"^{shown}$"))).to_be_in_viewport()
        assert rows.count() < 100


def test_page_goes_on_after_an_outage(browser: Browser, tmp_path: Path) -> None:
    url, port = f"sqlite:///{tmp_path}/shop.db", free_port()
    with service_process(url, port=port) as served:
        visitor = Visitor(browser, served.address)
        page = visitor.open()
        expect(page.locator(".connection")).to_have_text("Live")
    expect(page.locator(".connection")).to_have_text("Reconnecting")
    with service_process(url, port=port) as served, client(served.address) as http:
        http.post("/tasks", json={"task_name": "weigh", "queue": "scales"}).raise_for_status()
        expect(page.get_by_role("link", name="scales").first).to_be_visible()
        expect(page.locator(".connection")).to_have_text("Live")
    visitor.close()
