"""`http://` is a journal like the others: what runs on a file runs on it, also while the service is hurt."""

import signal
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.cli import main
from journeyman.journal.errors import EventConflict, JournalGone, JournalReadOnly
from journeyman.journal.event import Draft
from journeyman.journal.http.problems import KeyRefused
from journeyman.journal.log import Counting
from journeyman.service.settings import Settings
from support.commands import printed_json
from support.proxy import Proxy, proxy_before
from support.restarts import RestartedService
from support.service import keyring, service_here
from support.waiting import wait_until
from support.workers import working

KEY = "s3cr3t-of-the-worker-0123456789"
READER = "s3cr3t-of-the-reader-0123456789"

broker = jm.Broker("memory://")


@jm.task(broker, queue="sums")
def add(one: int, other: int) -> int:
    return one + other


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with service_here(f"sqlite:///{tmp_path_factory.mktemp('served')}/shop.db") as at:
        yield at


def names_in(url: str) -> list[str]:
    with jm.Journal(url) as journal:
        return [event.name for event in journal.read().events]


# --- what runs unchanged ----------------------------------------------------------------------------------------------


def test_submitter_worker_and_inspection_run_over_http(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with jm.Journal(address) as journal:
        broker.bind(journal)
        with working({"add": add}, address):
            message = add.generate(kwargs={"one": 2, "other": 3})
            assert jm.ResultStore(journal).get(message, timeout=60_000, keep=True) == 5
        assert jm.StatusTracker(journal).get(message).status is jm.TaskStatus.SUCCEEDED
    history = printed_json(monkeypatch, "history", message.uuid, "--journal", address)
    assert [line["name"] for line in history if "name" in line] == ["task.submitted", "task.claimed", "task.succeeded"]
    why = printed_json(monkeypatch, "why", message.uuid, "--journal", address)
    assert message.uuid in str(why)
    assert "succeeded" in str(why)


def test_consumer_replays_and_follows_over_http(address: str) -> None:
    with jm.Journal(address) as writer, jm.Journal(address) as journal:
        writer.append_all([("note.taken", {"n": n}, str(n)) for n in range(3)])
        consumer = jm.JournalConsumer(journal, "note", include_sentinel=True).start()
        seen = [consumer.poll(30.0) for _ in range(4)]
        assert seen[3] is not None
        assert seen[3].is_empty()
        writer.append("note.taken", {"n": 3})
        live = consumer.poll(30.0)
        assert live is not None
        assert [event.context["n"] for event in [*seen[:3], live] if event is not None] == [0, 1, 2, 3]
        consumer.stop()


def test_counted_bytes_are_those_of_the_records(address: str) -> None:
    with jm.Journal(address) as journal:
        log, start = journal.asynchronous.log, journal.bounds().end
        assert isinstance(log, Counting)
        appended = journal.append_all([("bytes.counted", {"n": n}, f'{n}\u00e9"') for n in range(3)])
        appended += [journal.append("bytes.counted"), *journal.append_drafts([Draft("bytes.counted", timestamp=1.5)])]
        rows = [row for page in journal.run(log.read(start)) for row in page.rows]
        assert log.append_counts.bytes == sum(map(len, rows))
        assert journal.read(start).events == appended


def test_export_and_import_run_over_http(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with jm.Journal(address) as journal:
        journal.append_all([("export.tested", {"n": n}, None) for n in range(30)])
    exported, again = tmp_path / "events.jsonl", tmp_path / "again.jsonl"
    main(("export", str(exported), "--journal", address))
    with service_here("memory://") as other:
        main(("import", str(exported), "--journal", other))
        main(("import", str(exported), "--journal", other))  # adds nothing
        main(("export", str(again), "--journal", other))
    assert again.read_bytes() == exported.read_bytes()


def test_largest_events_are_read_and_followed_over_http(tmp_path: Path) -> None:
    large = "x" * (1024 * 1024 - 1_000)
    with service_here(f"sqlite:///{tmp_path}/large.db") as at, jm.Journal(at) as journal:
        for number in range(70):  # together more than a frame can hold
            journal.append("large.stored", {"n": number, "text": large})
        consumer = jm.JournalConsumer(journal, "large").start()
        for number in range(70):
            event = consumer.poll(60.0)
            assert event is not None
            assert event.context["n"] == number
        consumer.stop()


def test_tail_prints_events_over_http(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with jm.Journal(address) as journal:
        journal.append("tail.tested", {"n": 1})
    printed = printed_json(monkeypatch, "tail", "--topic", "tail", "--no-follow", "--journal", address)
    assert [event["name"] for event in printed] == ["tail.tested"]


def test_conflict_is_raised_again_with_its_fields(address: str) -> None:
    with jm.Journal(address) as journal:
        known = journal.append("account.opened", {}, "account-1")
        later = journal.append("account.changed", {}, "account-1")
        with pytest.raises(EventConflict) as caught:
            journal.append("account.closed", {}, "account-1", expected=known.position)
        assert (caught.value.position, caught.value.expected, caught.value.key) == (
            later.position,
            0 + known.offset,
            "account-1",
        )


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    settings = Settings(keyring=keyring(f"worker read,work {KEY}", f"reader read {READER}"), port=0)
    with service_here("memory://", settings) as at:
        yield at.removeprefix("http://")


def test_key_of_the_url_or_the_environment_opens(locked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with jm.Journal(f"http://:{KEY}@{locked}") as journal:
        journal.append("key.tested", {})
        assert KEY not in journal.url
    monkeypatch.setenv("JOURNEYMAN_KEY", KEY)
    assert names_in(f"http://{locked}")[-1] == "key.tested"


@pytest.mark.parametrize("url", ["http://{}", "http://:wrong-0123456789@{}"])
def test_refused_key_is_not_tried_again_and_not_shown(locked: str, url: str) -> None:
    with pytest.raises(KeyRefused) as caught, jm.Journal(url.format(locked)):
        pass
    assert "JOURNEYMAN_KEY" in str(caught.value)
    assert "wrong-0123456789" not in "".join(traceback.format_exception(caught.value))


def test_key_that_only_reads_cannot_append(locked: str) -> None:
    with jm.Journal(f"http://:{READER}@{locked}") as journal:
        before = journal.bounds()
        with pytest.raises(JournalReadOnly, match="does not permit"):
            journal.append("key.tested", {})
        assert journal.bounds() == before


# --- a network that loses, delays and holds back ----------------------------------------------------------------------


@pytest.fixture
def proxy(address: str) -> Iterator[Proxy]:
    with proxy_before(address) as made:
        yield made


def test_append_whose_answer_is_lost_lands_once(proxy: Proxy) -> None:
    with jm.Journal(proxy.address) as journal:
        proxy.drops = 3
        event = journal.append("answer.lost", {})
        assert proxy.drops == 0
        assert [each.position for each in journal.read(limit=10_000).events if each.name == "answer.lost"] == [
            event.position
        ]


def test_request_that_arrives_late_lands_nothing_again(proxy: Proxy) -> None:
    with jm.Journal(proxy.address) as journal:
        proxy.delays = 2
        events = journal.append_all([("request.late", {"n": n}, None) for n in range(5)])
        journal.append("request.later", {})
        assert proxy.release() == 2
        found = [each.position for each in journal.read(limit=10_000).events if each.name == "request.late"]
        assert found == [event.position for event in events]


def test_late_request_of_a_killed_service_lands_once(tmp_path: Path) -> None:
    with (
        RestartedService(f"sqlite:///{tmp_path}/shop.db") as service,
        proxy_before(service.address) as proxy,
        jm.Journal(proxy.address) as journal,
    ):
        journal.append("first.event", {})
        proxy.drops = proxy.delays = 1
        appending = threading.Thread(target=journal.append, args=("second.event", {}))
        appending.start()
        wait_until(lambda: proxy.drops == 0, "an append to land and its answer to be lost")
        service.kill()
        service.start()
        appending.join()
        assert proxy.release() == 1
        journal.append("third.event", {})
        assert [event.name for event in journal.read().events] == ["first.event", "second.event", "third.event"]


def test_reader_behind_a_buffering_proxy_follows(proxy: Proxy, address: str) -> None:
    with jm.Journal(address) as writer, jm.Journal(proxy.address) as journal:
        consumer = jm.JournalConsumer(journal, "buffered", full=False).start()
        writer.append("buffered.event", {"n": 1})
        event = consumer.poll(60.0)
        assert event is not None
        assert event.context == {"n": 1}
        consumer.stop()


# --- a service that is killed, stopped, replaced ----------------------------------------------------------------------


def test_reader_and_writer_outlive_a_killed_service(tmp_path: Path) -> None:
    with RestartedService(f"sqlite:///{tmp_path}/shop.db") as service, jm.Journal(service.address) as journal:
        consumer = jm.JournalConsumer(journal, "order").start()
        journal.append("order.paid", {"n": 0})
        service.kill()
        starting = threading.Timer(0.3, service.start)
        starting.start()
        journal.append("order.paid", {"n": 1})  # waits for the service
        starting.join()
        seen = [consumer.poll(30.0) for _ in range(2)]
        assert [event.context["n"] for event in seen if event is not None] == [0, 1]
        consumer.stop()


def test_append_waits_for_a_stopped_service_and_lands_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.http.connection.REQUEST_SECONDS_MAX", 0.5)
    with RestartedService(f"sqlite:///{tmp_path}/shop.db") as service, jm.Journal(service.address) as journal:
        journal.append("order.paid", {"n": 0})
        service.signal(signal.SIGSTOP)
        threading.Timer(2.0, service.signal, [signal.SIGCONT]).start()  # requests wait in its sockets meanwhile
        journal.append("order.paid", {"n": 1})
        journal.append("order.paid", {"n": 2})
        assert [event.context["n"] for event in journal.read().events] == [0, 1, 2]


def test_other_journal_at_the_address_is_noticed(tmp_path: Path) -> None:
    with RestartedService(f"sqlite:///{tmp_path}/shop.db") as service, jm.Journal(service.address) as journal:
        consumer = jm.JournalConsumer(journal, "order").start()
        journal.append("order.paid", {})
        assert consumer.poll(30.0) is not None
        service.kill()
        for path in tmp_path.iterdir():
            path.rename(path.with_name("old-" + path.name))
        service.start()
        with pytest.raises(JournalGone):
            journal.append("order.paid", {})
        with pytest.raises(JournalGone):
            consumer.poll(30.0)
        with jm.Journal(service.address) as new:
            assert new.read().events == []


def test_waiting_reader_learns_that_its_service_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RestartedService(f"sqlite:///{tmp_path}/shop.db") as service, jm.Journal(service.address) as journal:
        consumer = jm.JournalConsumer(journal, "order", full=False).start()
        journal.append("order.paid", {})
        assert consumer.poll(30.0) is not None
        service.kill()
        wait_until(lambda: "readers wait for the journal service" in caplog.text, "a warning that the service is away")
        service.start()
        wait_until(lambda: "answers again" in caplog.text, "a word that the service is back")
        consumer.stop()
