"""Every route that answers with a state answers with that of any moment: what is asked of it, and what is left out."""

import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import httpx2
import pytest
from journeyman.journal.async_journal import AsyncJournal
from journeyman.journal.cursor import Cursor
from journeyman.service.app import create_app
from page.changes import begin, change
from support.service import client, service_here

# The routes whose answers are no state of the queue, or one that another route shows of the past.
TIMELESS: Final = {
    "/": "what the service is",
    "/key": "the scopes of the caller's key",
    "/healthz": "this process",
    "/readyz": "this process",
    "/metrics": "this process, and gauges that a scraper keeps over time",
    "/events": "events, with since, until and cursor",
    "/tasks/{task}/stream": "events as they come; the past of a task is its history",
}
# The log itself, and a protocol of other programs: /services, /tasks and /events/latest show the past of what it does.
TIMELESS_BELOW: Final = ("/log", "/topchef")
GETS: Final = {
    path: {each.get("name") for each in operations["get"].get("parameters", ())}
    for path, operations in create_app(AsyncJournal("memory://")).openapi_schema.to_schema()["paths"].items()
    if "get" in operations
}


class Shop(NamedTuple):
    """A service, a moment, and what the journal held then; much has changed since."""

    url: str
    http: httpx2.Client
    moment: str
    names: dict[str, str]
    then: dict[str, httpx2.Response]


def asked(http: httpx2.Client, route: str, names: dict[str, str], **parameters: str) -> httpx2.Response:
    more = {"text": names["queue"]} if route == "/search" else {}
    return http.get(route.format_map(names), params={**parameters, **more})


def has_moment(route: str) -> bool:
    return "as_of" in GETS[route]


@pytest.fixture(scope="module")
def shop(url: str, address: str) -> Iterator[Shop]:
    with client(address) as http:
        names = begin(url, http)
        moment = f"{time.time():.6f}"
        routes = [route for route in GETS if has_moment(route)]
        then = {route: asked(http, route, named(route, names), as_of=moment) for route in routes}
        change(url, http, names)
        yield Shop(url, http, moment, names, then)


def named(route: str, names: dict[str, str]) -> dict[str, str]:
    return {**names, "task": names["letter"]} if route.startswith("/dead-letters") else names


@pytest.mark.parametrize("route", sorted(GETS))
def test_route_takes_a_moment_or_has_no_past(route: str) -> None:
    is_timeless = route in TIMELESS or route.startswith(TIMELESS_BELOW)
    assert has_moment(route) != is_timeless, "either it takes as_of, or TIMELESS says why its answer is no state"


@pytest.mark.parametrize("route", sorted(route for route in GETS if has_moment(route)))
def test_answer_of_a_moment_stays_as_it_was(shop: Shop, route: str) -> None:
    names, then = named(route, shop.names), shop.then[route]
    assert then.status_code in (200, 202), then.text
    with service_here(shop.url) as address, client(address) as other:  # one that has kept no state of that moment
        again = asked(other, route, names, as_of=shop.moment)
    assert (again.status_code, again.json()) == (then.status_code, then.json())
    assert again.headers["Journal-Cursor"] == then.headers["Journal-Cursor"]
    now = asked(shop.http, route, names)
    assert without_moment(now) != without_moment(then), "it shows what has happened since"
    assert Cursor.parse(now.headers["Journal-Cursor"])[0] > Cursor.parse(then.headers["Journal-Cursor"])[0]


def without_moment(answer: httpx2.Response) -> tuple[int, dict[str, Any]]:
    return answer.status_code, {name: value for name, value in answer.json().items() if name != "as_of"}


def test_nothing_is_known_before_the_beginning(shop: Shop) -> None:
    """Of a moment before the journal's first event lists are empty, and nothing is found by its name."""
    for route in shop.then:
        is_of_one = "{" in route
        answer = asked(shop.http, route, named(route, shop.names), as_of="2000-01-01T00:00Z")
        assert answer.status_code == (404 if is_of_one else 200), f"{route}: {answer.text}"
        assert is_of_one or not any(name in answer.text for name in shop.names.values()), route


def test_last_events_of_a_schedule_are_those_of_the_moment(shop: Shop) -> None:
    route = f"/schedules/{shop.names['schedule']}"
    (then,) = shop.http.get(route, params={"last": 1, "as_of": shop.moment}).json()["history"]
    (now,) = shop.http.get(route, params={"last": 1}).json()["history"]
    assert then["timestamp"] <= float(shop.moment) < now["timestamp"]
