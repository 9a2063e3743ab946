"""What a service shows to other machines: TLS, the headers of proxies, and never the journal without keys."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.journal.errors import JournalUnavailable
from journeyman.service.settings import Settings
from support.service import client, service_here, service_process
from support.waiting import wait_until

FAR = "203.0.113.9"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl makes the certificate; install it")
    made, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    kind = ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=IP:127.0.0.1")
    command = [openssl, "req", "-x509", *kind, *names, "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


def test_journal_is_reached_over_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    made, key = map(str, certificate)
    with service_process(f"sqlite:///{tmp_path}/shop.db", "--tls-cert", made, "--tls-key", key) as served:
        assert served.address.startswith("https://")
        with jm.Journal(f"{served.address}?cafile={made}") as journal:
            journal.append("order.paid", {"n": 1})
            consumer = jm.JournalConsumer(journal, "order").start()
            event = consumer.poll(60.0)
            assert event is not None
            assert event.context == {"n": 1}
            consumer.stop()
        with pytest.raises(JournalUnavailable, match="certificate"), jm.Journal(served.address):
            pass  # the system's authorities do not know it


@pytest.mark.parametrize(("trusted", "seen"), [((), "127.0.0.1"), (("127.0.0.1",), FAR), (("10.0.0.1",), "127.0.0.1")])
def test_headers_of_a_named_proxy_alone_are_believed(tmp_path: Path, trusted: tuple[str, ...], seen: str) -> None:
    log = tmp_path / "access.log"
    settings = Settings(port=0, access_log=str(log), proxies=trusted)
    with service_here("memory://", settings) as address, client(address) as http:
        assert http.get("/key", headers={"X-Forwarded-For": FAR}).status_code == 200
        wait_until(lambda: log.read_text().endswith("\n"), "the request to be logged")
    assert json.loads(log.read_text().splitlines()[0])["client"] == seen


def test_service_without_keys_stays_on_this_machine() -> None:
    command = [sys.executable, "-m", "journeyman", "serve", "--journal", "memory://", "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "JOURNEYMAN_KEYS"}
    ended = subprocess.run(
        [*command, "--host", "0.0.0.0"], check=False, capture_output=True, text=True, timeout=60, env=environment
    )
    assert ended.returncode == 2
    assert "without API keys each of them could do everything" in ended.stderr
