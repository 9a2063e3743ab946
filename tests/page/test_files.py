"""The files of the page as a browser and a program get them."""

import re
from pathlib import Path

import httpx2
import pytest
from journeyman.service.page.files import page_files
from journeyman.service.page.limits import PAGE_BYTES_MAX
from support.service import client, service_process
from support.waiting import wait_until

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}


def test_root_is_the_page_for_browsers_and_data_for_programs(address: str) -> None:
    with client(address) as http:
        page, data = http.get("/", headers=BROWSER), http.get("/")
    assert page.text.startswith("<!doctype html>")
    assert data.json()["service"] == "journeyman"
    assert page.headers["Vary"].startswith("Accept")
    assert data.headers["Vary"] == "Accept"


def test_all_addresses_of_the_page_are_relative(address: str) -> None:
    with client(address) as http:
        page = http.get("/", headers=BROWSER).text
        found = re.findall(r'(?:src|href)="(page/[^"]+)"', page)
        assert found
        for each in found:
            assert re.fullmatch(r"page/[0-9a-f]{16}/[a-z_/]+\.(js|css|svg)", each)
            assert http.get(f"/{each}").status_code == 200


def test_files_of_a_version_are_kept_and_known_ones_not_sent(address: str) -> None:
    digest = page_files().digest
    with client(address) as http:
        sent = http.get(f"/page/{digest}/main.js")
        assert "immutable" in sent.headers["Cache-Control"]
        known = http.get("/", headers={**BROWSER, "If-None-Match": http.get("/", headers=BROWSER).headers["ETag"]})
        assert (known.status_code, known.content) == (304, b"")
        older = http.get("/page/0000000000000000/main.js")
        assert older.content == sent.content
        assert older.headers["Cache-Control"] == "no-cache"
        for missing in ("nothing.js", "index.html", "views", "views/nothing.js"):
            assert http.get(f"/page/{digest}/{missing}").status_code == 404


def test_policy_permits_only_files_of_the_page(address: str) -> None:
    with client(address) as http:
        policy = http.get("/", headers=BROWSER).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy


def test_no_text_of_the_page_spans_several_lines() -> None:
    """Indentation is left out of what is sent, and must not be part of a text."""
    for name, file in page_files().files.items():
        for line in file.body.decode().splitlines():
            assert not name.endswith(".js") or line.replace('"`"', "").count("`") % 2 == 0, f"{name}: {line}"


def test_whole_page_is_small() -> None:
    assert sum(len(file.body) for file in page_files().files.values()) <= PAGE_BYTES_MAX


def test_page_needs_no_key_and_data_does(locked_address: str) -> None:
    with client(locked_address) as http:
        assert http.get("/", headers=BROWSER).status_code == 200
        assert http.get("/").status_code == 401
        assert http.get("/status").status_code == 401


def test_key_says_what_it_permits(locked_address: str, address: str) -> None:
    def said(at: str, key: str | None) -> httpx2.Response:
        with client(at, key) as http:
            return http.get("/key")

    assert said(locked_address, None).json() == {"needed": True, "name": None, "scopes": []}
    assert said(locked_address, "a-key-that-only-reads").json() == {"needed": True, "name": "page", "scopes": ["read"]}
    assert said(locked_address, "a-key-that-was-never-made").status_code == 401
    assert said(address, None).json()["needed"] is False


def test_serve_opens_the_page_in_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    with service_process(f"sqlite:///{tmp_path}/shop.db", "--open") as served:
        wait_until(opened.exists, "the browser to be told the address", 60.0)
        assert opened.read_text().strip() == served.address
