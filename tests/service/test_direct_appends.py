"""Appends that the service takes past its framework are answered, refused and counted as by the documented route."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx2
import pytest
from journeyman.journal.event import draft
from journeyman.journal.http.pending_append import run_of
from journeyman.journal.http.wire import IDENTITY_HEADER, MEDIA_TYPE, Landed, Refused, outcomes_of, pack
from journeyman.service.settings import Settings
from prometheus_client.parser import text_string_to_metric_families
from support.service import client, keyring, service_here

WORKS: Final = "key-of-a-program-that-works"
READS: Final = "key-of-a-program-that-reads"
HEADERS: Final = ("content-type", "cache-control", "content-length", "www-authenticate")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory: Path = tmp_path_factory.mktemp("direct")
    settings = Settings(port=0, keyring=keyring(f"works read,work {WORKS}", f"reads read {READS}"))
    with service_here(f"sqlite:///{directory}/log.db", settings) as address:
        yield address


def request_of(number: int) -> bytes:
    return pack(("a-writer", [run_of([draft("order.paid", {"n": number}, "k")], number, {0: 0}, None)]))


def both_ways(address: str, body: bytes, key: str | None, identity: str = "") -> Iterator[httpx2.Response]:
    """The answers of the direct way, and of the route, which takes the requests that name a page's origin."""
    with client(address, key) as http:
        headers = {"Content-Type": MEDIA_TYPE} | ({IDENTITY_HEADER: identity} if identity else {})
        yield http.post("/log/append", content=body, headers=headers)
        yield http.post("/log/append", content=body, headers=headers | {"Origin": address})


@pytest.mark.parametrize(
    ("key", "body", "identity", "status"),
    [
        (None, request_of(1), "", 401),
        (READS, request_of(1), "", 403),
        (WORKS, request_of(1), "another-journal", 410),
        (WORKS, b"no request of this wire", "", 400),
    ],
)
def test_refusal_is_that_of_the_route(address: str, key: str | None, body: bytes, identity: str, status: int) -> None:
    direct, routed = both_ways(address, body, key, identity)
    assert direct.status_code == routed.status_code == status
    assert direct.json() == routed.json()
    assert [direct.headers.get(name) for name in HEADERS] == [routed.headers.get(name) for name in HEADERS]


def test_append_that_comes_both_ways_lands_once(address: str) -> None:
    direct, routed = both_ways(address, request_of(7), WORKS)
    (landed,) = outcomes_of(direct.content)
    assert isinstance(landed, Landed)
    assert direct.content == routed.content
    assert [direct.headers.get(name) for name in HEADERS] == [routed.headers.get(name) for name in HEADERS]


def test_appends_of_both_ways_are_counted_alike(address: str) -> None:
    def counted() -> float:
        with client(address, READS) as http:
            families = text_string_to_metric_families(http.get("/metrics").text)
        samples = [each for family in families for each in family.samples if each.labels.get("route") == "/log/append"]
        return sum(each.value for each in samples if each.name.endswith("_count") and each.labels["status"] == "200")

    before = counted()
    assert [answer.status_code for answer in both_ways(address, request_of(8), WORKS)] == [200, 200]
    assert counted() == before + 2


@pytest.mark.parametrize("version", [-1, 2**63])
def test_version_that_no_reader_can_read_is_refused(address: str, version: int) -> None:
    unreadable = [["order.paid", b"{}", "k", None, None, version]]
    body = pack(("another-writer", [[1, 1, {0: 0}, unreadable]]))
    for answer in both_ways(address, body, WORKS):
        (refused,) = outcomes_of(answer.content)
        assert isinstance(refused, Refused)
        assert b"invalid-event" in refused.problem


@pytest.mark.parametrize(
    "contexts",
    [
        (b'{"n":', b"1}", b"{}{}"),
        (b"{}", b"", b"{}{}"),
        (b"{}", b'{"n":\n1}', b"{}"),
        (b"{}", b"[1]", b"{}"),
        (b"{}", b'{"n":1e999}', b"{}"),
        (b"{}", b'{"n":"\xff"}', b"{}"),
        (b"{}", b'{"n":%b}' % (b"[" * 10_000 + b"]" * 10_000), b"{}"),
    ],
    ids=["objects only when joined", "empty", "two lines", "list", "large number", "no UTF-8", "deep"],
)
def test_batch_with_a_context_that_is_no_object_is_refused(address: str, contexts: tuple[bytes, ...]) -> None:
    body = pack(("writer-of-contexts", [[1, 1, {0: 0}, [["order.paid", context, "k"] for context in contexts]]]))
    for answer in both_ways(address, body, WORKS):
        (refused,) = outcomes_of(answer.content)
        assert isinstance(refused, Refused)
        assert b"invalid-event" in refused.problem
