"""Events over HTTP from a real Kafka with several partitions."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from journeyman.service.settings import Settings
from support.service import client, service_here
from support.streams import following, numbers, up_to

EVENTS = 60


@pytest.mark.kafka
def test_events_are_followed_and_appended_once_on_kafka(kafka_bootstrap: str) -> None:
    url = f"kafka://{kafka_bootstrap}/served-{uuid.uuid4().hex}?partitions=3"
    with (
        service_here(url, Settings(port=0)) as first,
        service_here(url, Settings(port=0)) as second,
        client(first) as http,
        client(second) as other,
    ):
        for n in range(EVENTS):
            answer = http.post("/events", json={"name": "order.paid", "context": {"n": n}, "key": f"k{n % 7}"})
            assert answer.status_code == 201
        with following(other, include_sentinel=True) as stream:
            history = up_to(stream, "sentinel")
            assert numbers(history) == list(range(EVENTS))
            http.post("/events", json={"name": "order.paid", "context": {"n": EVENTS}, "key": "k0"})
            assert numbers(up_to(stream, "message")) == [EVENTS]
        for place in (0, 20, 41):
            with following(http, {"Last-Event-ID": history[place].last_id}) as stream:
                rest = [next(stream) for _ in range(EVENTS - place)]
                assert numbers(rest) == list(range(place + 1, EVENTS + 1))

        body = [{"name": "order.sent", "context": {"n": n}, "key": "k1"} for n in range(5)]
        headers = {"Idempotency-Key": "sent"}
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda at: at.post("/events", json=body, headers=headers), [http, other] * 2))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.text for answer in answers}) == 1
        assert http.post("/events", json=body, headers=headers).text == answers[0].text
        sent = http.get("/events", params={"topic": "order.sent"}).json()["events"]
        assert [event["context"]["n"] for event in sent] == list(range(5))
        assert sent == answers[0].json()["events"]
