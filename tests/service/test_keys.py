"""Keys and scopes: what a key permits, how keys are read, and that none is shown."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from journeyman.service import keys as keys_module
from journeyman.service import watched_answer
from journeyman.service.keys import Allowance, BadKeys, Caller, Keyring, Scope
from journeyman.service.settings import Settings
from support.service import client, keyring, service_here

READER = "reader-key-0123456789"
SUBMITTER = "submitter-key-0123456789"


@pytest.fixture(scope="module")
def address(url: str) -> Iterator[str]:
    ring = keyring(f"page read {READER}", f"shop submit {SUBMITTER}")
    with service_here(url, Settings(keyring=ring, port=0)) as at:
        yield at


def test_request_without_a_key_is_unauthorized(http: httpx2.Client) -> None:
    answer = http.get("/")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_key_of_another_scope_is_forbidden(address: str) -> None:
    with client(address, SUBMITTER) as http:
        answer = http.get("/")
        assert answer.status_code == 403
        assert "scope read; yours has submit" in answer.json()["detail"]
        assert SUBMITTER not in answer.text


@pytest.mark.parametrize("basic", [False, True])
def test_key_is_taken_as_bearer_and_as_password(address: str, basic: bool) -> None:
    with client(address, None if basic else READER) as http:
        answer = http.get("/", auth=("anything", READER)) if basic else http.get("/")
        assert answer.status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Basic !!!", "Digest x", f"Bearer {READER}x", "Basic w7/Dvw=="])
def test_bad_authorization_is_unauthorized(http: httpx2.Client, header: str) -> None:
    assert http.get("/", headers={"Authorization": header}).status_code == 401


def test_description_is_public(http: httpx2.Client) -> None:
    assert http.get("/schema/openapi.json").status_code == 200


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("shop read", "expected NAME SCOPES KEY"),
        ("shop read,write 0123456789abcdef", "the scopes are read, submit, work, admin"),
        ("shop read short", "16 to 512 characters"),
        ("a/b read 0123456789abcdef", "a name has"),
        ("a read 0123456789abcdef colour=1", "requests=N, streams=N or bytes=N"),
        ("a read 0123456789abcdef streams=0", "N from 1 up"),
        ("a read 0123456789abcdef\nb read 0123456789abcdef", "line 2: the key stands on an earlier line"),
    ],
)
def test_bad_line_is_named_without_its_key(line: str, said: str) -> None:
    with pytest.raises(BadKeys, match=said) as raised:
        Keyring(line.splitlines())
    assert "0123456789abcdef" not in str(raised.value)


def test_admin_may_do_everything() -> None:
    admin = Keyring(["ops admin 0123456789abcdef"]).caller("0123456789abcdef")
    assert admin is not None
    assert all(admin.may(scope) for scope in Scope)


def test_file_may_hold_digests_instead_of_keys() -> None:
    ring = Keyring([f"ops read sha256:{hashlib.sha256(READER.encode()).hexdigest()}"])
    assert ring.caller(READER) == Caller("ops", frozenset({Scope.READ}), Allowance())
    assert ring.caller("another-key-0123456789") is None


def test_changed_file_rotates_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "KEYS_RELOAD_SECONDS", 0.0)
    file = tmp_path / "keys"
    file.write_text(f"old read {READER}\n")
    ring = Keyring(file=file)
    file.write_text(f"# rotated\nnew read {SUBMITTER}\n")
    assert ring.caller(READER) is None
    assert ring.caller(SUBMITTER) == Caller("new", frozenset({Scope.READ}), Allowance())


def test_bad_change_of_the_file_keeps_the_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys_module, "KEYS_RELOAD_SECONDS", 0.0)
    file = tmp_path / "keys"
    file.write_text(f"old read {READER}\n")
    ring = Keyring(file=file)
    file.write_text("half a li")
    with caplog.at_level(logging.WARNING):
        assert ring.caller(READER) is not None
    assert "stay as they are" in caplog.text


def test_missing_file_is_told() -> None:
    with pytest.raises(BadKeys, match="cannot be read"):
        Keyring(file=Path("/nowhere/keys"))


@pytest.mark.parametrize(
    ("kind", "last"),
    [("text/event-stream", "event: problem"), ("application/x-ndjson", '{"problem":')],
)
def test_stream_ends_when_its_key_is_removed(
    kind: str, last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "KEYS_RELOAD_SECONDS", 0.0)
    monkeypatch.setattr(watched_answer, "KEYS_RELOAD_SECONDS", 0.0)
    file = tmp_path / "keys"
    file.write_text(f"page read {'p' * 20}\nshop submit {'s' * 20}\n")
    settings = Settings(keyring=Keyring(file=file), port=0)
    with service_here(f"sqlite:///{tmp_path / 'k.db'}", settings) as address:
        page, shop = client(address, "p" * 20), client(address, "s" * 20)
        with page, shop, page.stream("GET", "/events", headers={"Accept": kind}) as stream:
            lines = stream.iter_lines()
            shop.post("/events", json={"name": "order.paid"})
            assert any("order.paid" in line for line in lines)
            file.write_text(f"shop submit {'s' * 20}\n")
            shop.post("/events", json={"name": "order.sent"})
            rest = list(lines)
    assert any(line.startswith(last) for line in rest)
    assert any("was removed" in line for line in rest)
    assert not any("order.sent" in line for line in rest)
