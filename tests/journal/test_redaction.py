"""No password is shown in an error, a traceback, a representation or a log record."""

import logging
import string
import traceback
from urllib.parse import quote

import journeyman as jm
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from journeyman.journal import BadJournalURL, log_from_url
from journeyman.journal.redaction import redacted
from journeyman.journal.url import shown

# Long enough, and of such characters, that no part of it is in a message by chance.
secrets = st.text(string.ascii_uppercase + string.digits + "/#?@:&;=%+ []\\\n\t^~", min_size=12, max_size=24)
PIECE = 6
FORMS = (
    "kafka://ada:{}@127.0.0.1:1/shop?sasl=PLAIN",
    "kafka://ada:{}@127.0.0.1:1/shop",
    "kafka://:{}@127.0.0.1:1/shop?sasl=PLAIN&tls=perhaps",
    "kafka://ada:{}@127.0.0.1:1,[::1]:9092/shop?sasl=WRONG",
    "kafka://ada:{}@127.0.0.1:0/?sasl=PLAIN",
    "kafka://ada:{}@127.0.0.1/shop?partitions=many&sasl=PLAIN",
    "kafka://127.0.0.1:1/shop?password={}",
    "kafka://127.0.0.1:1/shop?sasl=PLAIN&sasl_password={}",
    "http://:{}@127.0.0.1:1",
    "https://ada:{}@127.0.0.1:1",
    "http://127.0.0.1:1?key={}",
    "http://127.0.0.1:1?key={}&keys=1",
    "http://:{}@127.0.0.1:1/path/?partitions=1",
    "kafk://ada:{}@127.0.0.1:1/shop",
    "postgres://ada:{}@127.0.0.1/shop",
    "ada:{}@127.0.0.1/shop",
)


def shows(text: str, secret: str) -> bool:
    """Whether the text holds any piece of the secret that is too long to be there by chance."""
    pieces = {secret[start : start + PIECE] for start in range(len(secret) - PIECE + 1)}
    written = [*pieces, *(repr(piece)[1:-1] for piece in pieces), *map(quote, pieces)]
    return any(piece in text for piece in written)


def said_of(url: str) -> str:
    """All that is said of a URL: what its objects show, or the error with its traceback and causes."""
    try:
        log = log_from_url(url)
    except BadJournalURL as error:
        return "".join([*traceback.format_exception(error), str(error), repr(error)])
    broker = jm.Broker(url)
    return " ".join([log.url, repr(log), str(log), repr(broker), shown(url), repr(jm.AsyncJournal(url))])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("written", [str, quote, lambda secret: quote(secret, safe="")], ids=["raw", "quoted", "fully"])
def test_password_is_never_shown_in_part(form: str, written: "type[str]") -> None:
    @given(secrets)
    def check(secret: str) -> None:
        assume(not secret.isspace())
        assert not shows(said_of(form.format(written(secret))), secret)

    check()


@given(secrets)
def test_redaction_leaves_no_part_of_a_password(secret: str) -> None:
    for form in FORMS:
        assert not shows(redacted(form.format(secret)), secret)


def test_unreachable_cluster_is_named_without_the_password(caplog: pytest.LogCaptureFixture, soon_away: None) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "S3CRET/PASS#WORD"
    url = f"kafka://ada:{quote(secret, safe='')}@127.0.0.1:1/shop?sasl=PLAIN"
    with pytest.raises(jm.JournalError) as caught, jm.Journal(url) as journal:
        journal.append("order.paid", {})
    assert not shows("".join(traceback.format_exception(caught.value)), secret)
    assert not shows(caplog.text, secret)


@pytest.mark.parametrize("place", ["url", "option", "environment"])
def test_unreachable_service_is_named_without_the_key(
    place: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("journeyman.journal.http.log.OPEN_SECONDS_MAX", 0.1)
    secret = "S3CRET/KEY#WORD"
    quoted = quote(secret, safe="")
    url = {"url": f"http://:{quoted}@127.0.0.1:1", "option": f"http://127.0.0.1:1?key={quoted}"}.get(place)
    if place == "environment":
        monkeypatch.setenv("JOURNEYMAN_KEY", secret)
    with pytest.raises(jm.JournalError) as caught, jm.Journal(url or "http://127.0.0.1:1") as journal:
        journal.append("order.paid", {})
    assert "127.0.0.1:1" in str(caught.value)
    assert not shows("".join(traceback.format_exception(caught.value)), secret)
    assert not shows(caplog.text, secret)


@pytest.mark.parametrize(
    ("url", "shown_as"),
    [
        ("kafka://ada:secret@127.0.0.1:9092/shop?sasl=PLAIN", "kafka://ada@127.0.0.1:9092/shop?sasl=PLAIN"),
        ("kafka://ada@127.0.0.1:9092/shop", "kafka://ada@127.0.0.1:9092/shop"),
        ("kafka://127.0.0.1:9092,127.0.0.2:9092/shop?tls=true", "kafka://127.0.0.1:9092,127.0.0.2:9092/shop?tls=true"),
        ("kafka://ada:se/cr@et@host/shop", "kafka://ada@host/shop"),
        ("kafka://host/shop?password=secret&sasl=PLAIN", "kafka://host/shop?password=***"),
        ("http://:secret@127.0.0.1:8080/log?state=/var", "http://127.0.0.1:8080/log?state=/var"),
        ("https://host?cafile=ca.pem&key=secret", "https://host?cafile=ca.pem&key=***"),
        ("sqlite:////srv/a:b@c.db", "sqlite:////srv/a:b@c.db"),
        ("memory://shop", "memory://shop"),
    ],
)
def test_redaction_keeps_what_is_no_secret(url: str, shown_as: str) -> None:
    assert redacted(url) == shown_as


def test_unescaped_password_is_refused_with_a_way_out() -> None:
    with pytest.raises(BadJournalURL, match=r"write / as %2F.*JOURNEYMAN_KAFKA_PASSWORD"):
        log_from_url("kafka://ada:pass/word@127.0.0.1:9092/shop?sasl=PLAIN")
