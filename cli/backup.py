"""`journeyman backup` and `journeyman restore`: copies of a journal's file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ..journal.log import Log
from ..journal.sqlite.copying import Copy, CopyReports, backup, restore
from ..journal.sqlite.log import SqliteLog
from ..journal.url import log_from_url
from .shared.encoding import file_name, shown_name
from .shared.failures import EXIT_ENVIRONMENT, BadInput
from .shared.json_lines import print_json
from .shared.opening import shared_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.progress import bar
from .verify import as_object, extent


def backup_journal(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to write the copy.")],
    journal: JournalURL = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as a JSON object.")] = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Copy the journal's file to FILE while others work on it, and verify the copy.

    The copy holds every append that was acknowledged when it began, each whole; FILE appears when it is complete and on
    the disk. It is a journal itself: open it by its URL, or put it back with [bold]journeyman restore[/bold].

    [bold]Example[/bold]

    journeyman backup shop-monday.db --journal sqlite:///shop.db

    Exit status: 0; 1 if the copy, and so the journal, is damaged, or if one of them cannot be used.
    """
    configure_logging(log_level)
    source = shared_journal(journal, create=False)
    log = _checked(source.asynchronous.log, f"journeyman export {file}.jsonl.gz")
    with source, _progress() as progress:
        done = backup(log, file_name(file), progress, force=force)
    _say(done, f"copied {log.url} to {shown_name(file)}", shown_name(file), as_json=as_json)


def restore_journal(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A copy that journeyman backup has made.")],
    journal: JournalURL = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing journal, and keep it beside the new one.")
    ] = False,
    damaged: Annotated[bool, typer.Option("--damaged", help="Restore FILE even if it is damaged.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as a JSON object.")] = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Verify FILE and put a copy of it into the journal's place.

    Stop workers, consumers and programs first: those that have the former journal open end with JournalGone. Events
    appended after the backup are not restored; a consumer whose checkpoint is further on is refused.

    [bold]Example[/bold]

    journeyman restore shop-monday.db --journal sqlite:///shop.db --force

    Exit status: 0; 1 if FILE is damaged, or a file cannot be used, or there is a journal already.
    """
    configure_logging(log_level)
    log = _checked(log_from_url(journal), f"journeyman import {file}")
    with _progress() as progress:
        done = restore(file_name(file), log.path, progress, force=force, damaged=damaged)
    _say(done, f"restored {log.url} from {shown_name(file)}", log.path, as_json=as_json)


def _checked(log: Log, instead: str) -> SqliteLog:
    """The log, if it is a file."""
    if not isinstance(log, SqliteLog):
        raise BadInput(
            f"{log.url} is no file: a backup is the copy of a journal's file. For a topic use `{instead} --journal URL`"
        )
    return log


@contextlib.contextmanager
def _progress() -> Iterator[CopyReports]:
    with bar("copying", "pages", 10_000) as copied, bar("verifying", "events") as verified:
        yield CopyReports(copied, verified)


def _say(done: Copy, what: str, file: str, *, as_json: bool) -> None:
    found = done.verification
    if as_json:
        said = as_object(found, file) | {"bytes": done.size, "former": done.former}
        print_json(said)
    else:
        print(f"{what}: {extent(found)}, {done.size:,} bytes, {'verified' if found.is_sound else 'damaged'}")
        if done.former:
            print(f"cursors and checkpoints behind {found.end} belong to the former journal and are refused")
            print(f"the journal that was there is kept as {Path(done.former).name}")
    if not found.is_sound:
        if not as_json:
            print(f"{found.found:,} findings; `journeyman verify --journal sqlite:///{file}` lists them")
        raise typer.Exit(EXIT_ENVIRONMENT)
