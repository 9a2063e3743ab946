"""A real service on loopback: in a thread of this process, or as a process of its own to be killed."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import httpx2
from journeyman.journal.async_journal import AsyncJournal
from journeyman.service.keys import Keyring
from journeyman.service.server import ServiceServer
from journeyman.service.settings import Settings
from support.waiting import wait_until

READY_SECONDS = 60.0


class Running(NamedTuple):
    """A service in a thread of this process."""

    address: str
    service: ServiceServer


@contextmanager
def running_service(url: str, settings: Settings | None = None) -> Iterator[Running]:
    """Serve the journal at `url` from a thread of this process."""
    addresses: list[str] = []
    services: list[ServiceServer] = []

    async def run() -> None:
        services.append(ServiceServer(AsyncJournal(url), settings or Settings(port=0)))
        await services[0].run(addresses.append)

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="service under test")
    thread.start()
    try:
        wait_until(lambda: addresses or not thread.is_alive(), "the service to accept requests", READY_SECONDS)
        yield Running(addresses[0], services[0])
    finally:
        if services:
            services[0].stop()
        thread.join(READY_SECONDS)
        assert not thread.is_alive(), "the service has not ended"


@contextmanager
def service_here(url: str, settings: Settings | None = None) -> Iterator[str]:
    """Serve the journal at `url` from a thread of this process; yields the service's address."""
    with running_service(url, settings) as running:
        yield running.address


class Served(NamedTuple):
    """A service in a process of its own."""

    process: "subprocess.Popen[str]"
    address: str


@contextmanager
def service_process(url: str, *options: str, keys: str = "", port: int = 0) -> Iterator[Served]:
    """Serve the journal at `url` from a process of its own, `journeyman serve`, which is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "journeyman", "serve", "--journal", url, "--port", str(port), *options],
        env={name: value for name, value in os.environ.items() if name != "JOURNEYMAN_JOURNAL"}
        | {"JOURNEYMAN_KEYS": keys},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("http"), f"expected the service's address, got {line!r}"
        yield Served(process, line.split()[0])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def free_port() -> int:
    """A port on loopback that is free now: for a service that is started twice at one address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keyring(*lines: str) -> Keyring:
    """Keys given in the test itself."""
    return Keyring(lines)


def client(address: str, key: str | None = None) -> httpx2.Client:
    """A client of the service at `address`."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx2.Client(base_url=address, headers=headers, timeout=READY_SECONDS)
