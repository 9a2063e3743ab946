"""GET /events/latest: events backwards, in pages, of several partitions too."""

import httpx2
from support.service import client, service_here


def names(answer: httpx2.Response) -> list[str]:
    return [event["name"] for event in answer.json()["events"]]


def test_latest_events_come_first_and_pages_go_on(http: httpx2.Client) -> None:
    for n in range(5):
        http.post("/events", json={"name": f"sold.{n}", "key": str(n)}).raise_for_status()
    first = http.get("/events/latest?topic=sold&limit=2")
    assert names(first) == ["sold.4", "sold.3"]
    http.post("/events", json={"name": "sold.5"}).raise_for_status()
    then = http.get("/events/latest", params={"topic": "sold", "limit": 10, "cursor": first.json()["next"]})
    assert names(then) == ["sold.2", "sold.1", "sold.0"]
    assert then.json()["next"] is None
    assert names(http.get("/events/latest?topic=sold&key=3")) == ["sold.3"]
    assert names(http.get("/events/latest?topic=sol")) == []


def test_latest_events_as_of_a_moment(http: httpx2.Client) -> None:
    http.post("/events", json={"name": "bought.one"}).raise_for_status()
    at = http.get("/events/latest?topic=bought").json()["events"][0]["timestamp"]
    http.post("/events", json={"name": "bought.two"}).raise_for_status()
    assert names(http.get(f"/events/latest?topic=bought&as_of={at + 1e-6:.6f}")) == ["bought.one"]


def test_latest_events_merge_partitions_by_time() -> None:
    with service_here("memory://latest?partitions=3") as at, client(at) as http:
        for n in range(9):
            http.post("/events", json={"name": f"sold.{n}", "key": str(n)}).raise_for_status()
        first = http.get("/events/latest?limit=4").json()
        second = http.get("/events/latest", params={"limit": 9, "cursor": first["next"]}).json()
        found = [event["name"] for event in first["events"] + second["events"]]
        assert found == [f"sold.{n}" for n in reversed(range(9))]
        assert second["next"] is None


def test_latest_events_refuse_a_cursor_that_is_none(http: httpx2.Client) -> None:
    for cursor in ("0:999999999", "7:1", "x"):
        assert http.get(f"/events/latest?cursor={cursor}").status_code == 400
    assert http.get("/events/latest?topic=sold.*").status_code == 400
