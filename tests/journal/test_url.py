"""From a URL to a log: what is meant is opened, what cannot be meant is refused with what may have been."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.journal import AsyncJournal, BadJournalURL, JournalError, log_from_url
from journeyman.journal.sqlite.log import SqliteLog
from journeyman.journal.url import ENVIRONMENT_VARIABLE, anchored


def refusal(url: str | None) -> str:
    with pytest.raises(BadJournalURL) as caught:
        log_from_url(url)
    return str(caught.value)


def test_url_defaults_to_the_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    for nothing in (None, ""):
        assert "JOURNEYMAN_JOURNAL" in refusal(nothing)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "memory://?partitions=3")
    assert log_from_url().partitions == 3
    assert AsyncJournal().log.partitions == 3


@pytest.mark.parametrize(
    ("url", "anchor"),
    [
        ("sqlite:///shop.db", "sqlite:///{here}/shop.db"),
        ("sqlite:///a%20shop/%23.db?sync=normal", "sqlite:///{here}/a%20shop/%23.db?sync=normal"),
        ("sqlite:////var/lib/shop.db", "sqlite:////var/lib/shop.db"),
        ("kafka://ada:secret@127.0.0.1:9092/shop?sasl=PLAIN", "kafka://ada:secret@127.0.0.1:9092/shop?sasl=PLAIN"),
        ("memory://shop", "memory://shop"),
    ],
)
def test_anchored_url_holds_in_another_directory(
    url: str, anchor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    anchor = anchor.format(here=tmp_path)
    assert anchored(url) == anchored(anchor) == anchor
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, url)
    assert anchored() == AsyncJournal().opening_url == anchor


@pytest.mark.parametrize(
    "url", ["shop.db", "/var/lib/shop.db", "postgres://host/db", "C:\\shop.db", "://", "?", "a b c"]
)
def test_foreign_url_is_refused(url: str) -> None:
    said = refusal(url)
    assert "expected a journal's URL such as sqlite:///shop.db" in said
    assert repr(url) in said


@pytest.mark.parametrize(
    ("url", "meant"),
    [("sqlit:///a.db", "sqlite"), ("sqlite3:///a.db", "sqlite"), ("kafk://h/t", "kafka"), ("memry://", "memory")],
)
def test_misspelt_scheme_gets_a_suggestion(url: str, meant: str) -> None:
    assert f"Did you mean {meant}://?" in refusal(url)


def test_url_paths_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in (
        ("sqlite:///shop.db", tmp_path / "shop.db"),
        ("sqlite:///sub/shop.db", tmp_path / "sub" / "shop.db"),
        ("sqlite:////var/lib/shop.db", Path("/var/lib/shop.db")),
        ("sqlite:////var/lib/my%20shop%3F.db?sync=normal", Path("/var/lib/my shop?.db")),
        ("sqlite:///run#1.db", tmp_path / "run#1.db"),
        ("sqlite:///run#2.db?sync=normal", tmp_path / "run#2.db"),
        ("sqlite:///100%25;a&b=c.db", tmp_path / "100%;a&b=c.db"),
    ):
        log = log_from_url(url)
        assert isinstance(log, SqliteLog)
        assert Path(log.path) == path
        assert log.url == url


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://shop.db", "sqlite://host/shop.db"])
def test_paths_with_too_few_slashes_are_refused(url: str) -> None:
    assert "(three or four slashes)" in refusal(url)


@pytest.mark.parametrize("url", ["sqlite:///a\tb.db", "sqlite:///a\nb.db", "memory://a\x00"])
def test_droppable_characters_are_refused(url: str) -> None:
    assert "cannot be printed. Write them percent-encoded" in refusal(url)


def test_bad_url_options_are_refused() -> None:
    assert "sync is 'full'" in refusal("sqlite:///a.db?sync=off")
    assert "unknown option 'snyc'; known are sync, create. Did you mean sync?" in refusal("sqlite:///a.db?snyc=full")
    assert "unknown option 'x'; known are partitions." in refusal("memory://?x=1")
    for count in ("0", "-1", "many", "1025", "1.5", ""):
        assert "partitions must be a whole number from 1 to 1,024" in refusal(f"memory://?partitions={count}")


def test_memory_logs_share_a_store_only_by_name() -> None:
    named, again, other = (log_from_url(f"memory://{name}") for name in ("shared-here", "shared-here", "elsewhere"))
    private, private_too = log_from_url("memory://"), log_from_url("memory://")
    assert named._store is again._store is not other._store  # type: ignore[attr-defined]
    assert private._store is not private_too._store  # type: ignore[attr-defined]


def test_kafka_without_its_client_names_the_install() -> None:
    without = (
        "import sys; sys.modules['aiokafka'] = None\n"
        "from journeyman.journal import BadJournalURL, log_from_url\n"
        "try: log_from_url('kafka://127.0.0.1:9092/topic')\n"
        "except BadJournalURL as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", without], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert "pip install 'journeyman[kafka]'" in said


@given(st.text(max_size=60))
def test_every_text_gives_a_log_or_a_sentence(text: str) -> None:
    try:
        said = log_from_url(text).url
    except JournalError as error:
        said = str(error)
    assert said


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40))
def test_url_of_a_log_opened_by_path_opens_the_same_file(name: str) -> None:
    log = SqliteLog(f"/directory/{name}")
    again = log_from_url(log.url)
    assert isinstance(again, SqliteLog)
    assert again.path == log.path == os.path.abspath(f"/directory/{name}")  # noqa: PTH100 - links stay
