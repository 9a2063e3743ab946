"""Kafka URLs: what they set, which values are refused, and that no secret is shown. No broker is needed."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from journeyman.journal import BadJournalURL, log_from_url
from journeyman.journal.kafka.connection import Connection, Security
from journeyman.journal.kafka.log import KafkaLog

SECRET = "s3cret/word"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USERNAME", "PASSWORD", "SASL", "TLS", "CAFILE", "CERTFILE", "KEYFILE", "KEY_PASSWORD"):
        monkeypatch.delenv(f"JOURNEYMAN_KAFKA_{name}", raising=False)


def options_of(url: str) -> dict[str, Any]:
    log = log_from_url(url)
    assert isinstance(log, KafkaLog)
    return log._connection.client_options()


def test_url_takes_several_servers_and_a_default_port() -> None:
    assert options_of("kafka://one,two:19092,[::1]:29092/orders")["bootstrap_servers"] == [
        "one:9092",
        "two:19092",
        "[::1]:29092",
    ]


def test_connection_is_plain_by_default() -> None:
    options = options_of("kafka://one/orders")
    assert options["security_protocol"] == "PLAINTEXT"
    assert not {"ssl_context", "sasl_mechanism", "sasl_plain_password"} & options.keys()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("kafka://one:9092/", "topic"),
        ("kafka:///orders", "host"),
        ("kafka://one/with/slash", "topic"),
        ("kafka://one/..", "topic"),
        ("kafka://one/" + "x" * 250, "topic"),
        ("kafka://one:port/orders", "one:port"),
        ("kafka://one:0/orders", "one:0"),
        ("kafka://one:65536/orders", "one:65536"),
        ("kafka://one,,two/orders", "host:port"),
        ("kafka://one/orders?partition=3", "Did you mean partitions?"),
        ("kafka://one/orders?partitions=0", "from 1 to 1,024"),
        ("kafka://one/orders?partitions=three", "from 1 to 1,024"),
        ("kafka://one/orders?replication=0", "replication"),
        ("kafka://one/orders?tls=yes", "tls is 'true' or 'false'"),
        ("kafka://one/orders?sasl=KERBEROS", "SCRAM-SHA-512"),
        ("kafka://one/orders?sasl=PLAIN", "JOURNEYMAN_KAFKA_PASSWORD"),
        ("kafka://ada:pw@one/orders", "sasl="),
        ("kafka://one/orders?cafile=ca.pem", "tls=true"),
        ("kafka://one/orders?tls=true&keyfile=key.pem", "certfile="),
    ],
)
def test_bad_url_is_refused_with_a_sentence(url: str, says: str) -> None:
    with pytest.raises(BadJournalURL) as refusal:
        log_from_url(url)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_user_and_password_are_read_from_the_url() -> None:
    options = options_of("kafka://ada:s3cret%2Fword@one/orders?sasl=SCRAM-SHA-512")
    assert options["security_protocol"] == "SASL_PLAINTEXT"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("ada", SECRET)


def test_user_and_password_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYMAN_KAFKA_USERNAME", "ada")
    monkeypatch.setenv("JOURNEYMAN_KAFKA_PASSWORD", SECRET)
    monkeypatch.setenv("JOURNEYMAN_KAFKA_TLS", "true")
    options = options_of("kafka://one/orders?sasl=PLAIN")
    assert options["security_protocol"] == "SASL_SSL"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("ada", SECRET)


def test_tls_checks_certificates_and_names() -> None:
    context = options_of("kafka://one/orders?tls=true")["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_missing_or_foreign_tls_file_is_named(tmp_path: Path) -> None:
    foreign = tmp_path / "ca.pem"
    foreign.write_text("not a certificate")
    for path in (tmp_path / "missing.pem", foreign):
        with pytest.raises(BadJournalURL) as refusal:
            options_of(f"kafka://one/orders?tls=true&cafile={path}")
        assert str(path) in str(refusal.value)


def test_secrets_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYMAN_KAFKA_KEY_PASSWORD", SECRET)
    url = f"kafka://ada:{SECRET.replace('/', '%2F')}@one/orders?sasl=PLAIN"
    log = log_from_url(url)
    assert isinstance(log, KafkaLog)
    assert log.url == "kafka://ada@one/orders?sasl=PLAIN"
    assert SECRET not in repr(log._connection.security)
    with pytest.raises(BadJournalURL) as refusal:
        log_from_url(url.replace("kafka://", "kafak://"))
    assert "s3cret" not in str(refusal.value)
    assert "ada@one" in str(refusal.value)
    for bad in ("&partitions=0", "&nonsense=1", "&tls=maybe"):
        with pytest.raises(BadJournalURL) as refusal:
            log_from_url(url + bad)
        assert "s3cret" not in str(refusal.value)


def test_url_of_a_log_opens_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYMAN_KAFKA_PASSWORD", SECRET)
    log = log_from_url("kafka://ada:other@one,two:1/orders?sasl=PLAIN&partitions=3&replication=2")
    again = log_from_url(log.url)
    assert isinstance(again, KafkaLog)
    assert again.url == log.url
    assert again._connection.security == Security(sasl="PLAIN", username="ada", password=SECRET)


def test_log_made_without_a_url_has_one() -> None:
    assert KafkaLog(Connection((("one", 9092), ("two", 1))), "orders").url == "kafka://one:9092,two:1/orders"
