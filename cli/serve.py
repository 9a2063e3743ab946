"""`journeyman serve`: the journal, the queue and its history over HTTP."""

import asyncio
import os
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..journal.async_journal import AsyncJournal
from ..service.keys import ENVIRONMENT_VARIABLE, BadKeys, Keyring
from ..service.limits import DRAIN_SECONDS, PORT, TOPCHEF_PATH
from ..service.mounts import PathTaken, checked_path
from ..service.settings import Settings
from .init_process import leave_duties_of_first_process
from .shared.failures import EXIT_ENVIRONMENT, BadInput, print_line
from .shared.opening import shared_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging

if TYPE_CHECKING:
    from ..service.server import ServiceServer


def serve_journal(
    journal: JournalURL = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port to listen on; 0 takes a free one.")] = PORT,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The API keys, one a line: NAME SCOPES KEY. A changed file is read again."),
    ] = None,
    cors: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Let web pages of this origin send requests; repeatable.")
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Trust X-Forwarded-For and -Proto from this proxy; repeatable."),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate chain, for HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's private key.")] = None,
    drain: Annotated[
        int, typer.Option(min=0, metavar="SECONDS", help="How long requests may go on after SIGTERM or SIGINT.")
    ] = DRAIN_SECONDS,
    access_log: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write a line of JSON for each request; - for stdout. Rotation is noticed."),
    ] = None,
    topchef: Annotated[
        str, typer.Option(metavar="PATH", help="The path of the requests of TopChef clients; `off` for none.")
    ] = TOPCHEF_PATH,
    *,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser once it is served.")] = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Serve the journal over HTTP: a page to look at it, events, tasks, history, and workers in any language.

    Without API keys the service listens on loopback only, and each process of this machine may do everything. Keys come
    from the file of --keys, and from the environment variable JOURNEYMAN_KEYS, with the same lines. A key has scopes:
    read, submit, work, admin.

    A browser gets the page at /, and /schema describes all requests. SIGTERM or Ctrl-C ends the service: streams tell
    their readers to reconnect, and requests may go on for the time of --drain.

    [bold]Examples[/bold]

    journeyman serve --journal sqlite:///shop.db --open

    journeyman serve --host 0.0.0.0 --keys /etc/journeyman/keys --tls-cert cert.pem --tls-key key.pem

    curl -N -H 'Accept: text/event-stream' 'http://127.0.0.1:8080/events?since=10m'

    Exit status: 0 after SIGTERM or SIGINT; 1 if the journal cannot be used, or the address is taken.
    """
    leave_duties_of_first_process()
    configure_logging(log_level)
    settings = Settings(
        keyring=_keyring(keys),
        host=host,
        port=port,
        origins=tuple(cors or ()),
        proxies=tuple(proxy or ()),
        certificate=tls_cert,
        private_key=tls_key,
        drain_seconds=drain,
        access_log=access_log,
        topchef=_mounted(topchef),
    )
    _refuse_open_to_all(settings)
    if (tls_cert is None) != (tls_key is None):
        raise BadInput("HTTPS needs both --tls-cert and --tls-key, got one of them: give the other, too")
    served = shared_journal(journal).asynchronous
    service = _service(served, settings)

    def on_ready(address: str) -> None:
        print_line(f"{address} serves {served.url}")
        if open_page:
            webbrowser.open(address)

    if not asyncio.run(service.run(on_ready)):
        raise typer.Exit(EXIT_ENVIRONMENT)


def _service(journal: AsyncJournal, settings: Settings) -> "ServiceServer":
    """Make the server. Its module is imported only here, since it needs libraries that only a service installs."""
    try:
        from ..service.server import ServiceServer
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __name__.partition(".")[0]:
            raise  # a module of this package is missing, which no pip install repairs
        raise BadInput(
            f"`journeyman serve` needs libraries that are not installed ({error.name}): "
            "pip install 'journeyman[service]'"
        ) from error
    try:
        return ServiceServer(journal, settings)
    except PathTaken as error:
        raise BadInput(f"--topchef: {error}") from None


def _keyring(file: Path | None) -> Keyring:
    try:
        return Keyring(os.environ.get(ENVIRONMENT_VARIABLE, "").splitlines(), file)
    except BadKeys as error:
        raise BadInput(str(error)) from None


def _mounted(path: str) -> str | None:
    try:
        return None if path == "off" else checked_path(path)
    except ValueError as error:
        raise BadInput(f"--topchef: {error}") from None


def _refuse_open_to_all(settings: Settings) -> None:
    if settings.keyring.is_open and not settings.is_on_loopback:
        raise BadInput(
            f"--host {settings.host} can be reached from other machines, and without API keys each of them could do "
            "everything: name a file of keys with --keys, or listen on 127.0.0.1 behind a proxy"
        )
