"""The page on tasks is one session beside a real worker: its code is run, and prints what the page says."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import journeyman as jm
import pytest
from journeyman.journal.errors import BadJournalURL
from journeyman.journal.kafka.connection import ENVIRONMENT_PREFIX, connection_from_url
from journeyman.journal.url import log_from_url
from support.pages import MODULE, run_page
from support.waiting import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"
TEXT = PAGE.read_text()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's package, which this process imports as well."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (package / "tasks.py").write_text("\n\n".join(block for block in blocks if block.startswith(MODULE)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [each for each in sys.modules if each == "shop" or each.startswith("shop.")]:
        del sys.modules[name]


@contextmanager
def worker(log: Path) -> Iterator[None]:
    """The page's worker."""
    with log.open("w") as lines:
        command = [sys.executable, "-m", "journeyman", "worker", "shop.tasks"]
        with subprocess.Popen(command, stdout=lines, stderr=lines) as process:
            try:
                wait_until(lambda: "is ready" in log.read_text(), "the worker to be ready")
                yield
            finally:
                process.terminate()
                process.wait(60)


def test_page_prints_what_it_says(shop: Path) -> None:
    with worker(shop / "worker.log"):
        names, compared = run_page(PAGE)
        names["journal"].close()
    assert compared == TEXT.count("```text\n") > 10
    log = (shop / "worker.log").read_text()
    assert "hello, ada" in log
    assert "greet" in next(line for line in log.splitlines() if "hello, ada" in line), "the record names its task"


def test_urls_of_the_page_are_valid_and_all_options_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    (urls,) = re.findall(r"```urls\n(.*?)```", TEXT, re.DOTALL)
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([a-z, ]+) \|", TEXT, re.MULTILINE)
    table = {(scheme, name) for names, of in rows for name in re.findall(r"\w+", names) for scheme in of.split(", ")}
    for url in urls.splitlines():
        if "sasl=" in url:
            monkeypatch.setenv(f"{ENVIRONMENT_PREFIX}PASSWORD", "secret")
        assert "secret" not in log_from_url(url).url
        parts = urlsplit(url)
        assert {(parts.scheme, name) for name, _ in parse_qsl(parts.query)} <= table
    monkeypatch.undo()
    for scheme, place in [("sqlite", "sqlite:///x.db"), ("memory", "memory://"), ("kafka", "kafka://localhost/x")]:
        with pytest.raises(BadJournalURL, match=r"known are (.*)\.") as refused:
            log_from_url(f"{place}?unheard=1")
        known = re.findall(r"known are ([\w, ]+)", str(refused.value))[0].split(", ")
        assert {name for of, name in table if of == scheme} == set(known)


def test_environment_variables_of_the_page_are_read() -> None:
    named = [
        ENVIRONMENT_PREFIX + "PASSWORD",
        *(f"JOURNEYMAN_KAFKA{name}" for name in re.findall(r"`(_[A-Z_]+)`", TEXT)),
    ]
    values = {"TLS": "true", "SASL": "PLAIN"}
    environment = {name: values.get(name.removeprefix(ENVIRONMENT_PREFIX), name) for name in named}
    security = connection_from_url("kafka://h/t", urlsplit("kafka://h/t"), {}, environment).security
    read = {each.name: getattr(security, each.name) for each in dataclasses.fields(security)}
    assert {str(value).removeprefix(ENVIRONMENT_PREFIX).lower() for value in read.values()} == {
        "true" if name == "tls" else "plain" if name == "sasl" else name for name in read
    }


def test_awaitables_of_the_page_exist() -> None:
    for name in ("AsyncBroker", "AsyncResultStore", "AsyncResultPool", "AsyncStatusTracker"):
        assert name in TEXT
        assert hasattr(jm, name)
    rows = re.search(r"\| `broker\.(.*?)` \|", TEXT)
    assert rows is not None
    for method in re.findall(r"\w+", rows.group(1)):
        assert callable(getattr(jm.AsyncBroker, method))
        assert callable(getattr(jm.Broker, method))
