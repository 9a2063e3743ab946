"""`journeyman import`: append the events of a file of JSON lines, as `journeyman export` writes it."""

import sys
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
import typer

from ..consumers.files.importing import Imported, Importer
from ..tasks.inspection.wording import number
from ..tasks.relocation import Relocation
from .limits import PROGRESS_BYTES_MIN, PROGRESS_STEP_LINES
from .shared.failures import BadInput
from .shared.files import STANDARD, Source, reading
from .shared.opening import shared_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.progress import Report, bar

# Their claims, tokens and last signs of life are positions.
_POSITIONAL: Final = frozenset({"task", "worker", "lock"})


def import_lines(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="What to read: a file, packed if it ends in .gz, or - for stdin.")
    ],
    journal: JournalURL = None,
    writer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Take lines without writer and seq for this writer's, numbered by line; the same name and file again "
            "add nothing.",
            show_default=False,
        ),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Skip and count bad lines instead of stopping.")] = False,
    moved: Annotated[
        bool,
        typer.Option(
            "--moved",
            help="Accept events of tasks, workers and locks at other positions than they had, for a journal that is "
            "only read: workers would run its tasks again.",
        ),
    ] = False,
    by_key: Annotated[
        bool,
        typer.Option(
            "--by-key",
            help="Import a whole export into an empty journal with another number of partitions: events go to the "
            "partition of their key, and the positions in events of tasks, workers and checkpoints are translated.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as a JSON object.")] = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Append the events of FILE to the journal, each once: with the writer, number and time that its line has.

    The same command resumes an interrupted import: events that the journal holds already are skipped. A bad line stops
    the import, with its number in the message; the lines before it are imported. The journal is created if it does not
    exist.

    Events of tasks and workers name one another by position. They come back exactly from a whole export into an empty
    journal with as many partitions, and with --by-key into an empty journal with any number of them; elsewhere they are
    refused.

    [bold]Examples[/bold]

    journeyman import shop.jsonl.gz --journal sqlite:///copy.db

    zcat other/*.log.gz | journeyman import - --writer other

    Exit status: 0; 1 if the journal cannot be used; 2 if a line or an option is invalid.
    """
    configure_logging(log_level)
    if by_key and (moved or skip_bad):
        raise BadInput("--by-key takes a whole export, every line of it: leave out --moved and --skip-bad")
    if writer is not None and not writer.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise BadInput(f"--writer takes letters, digits, '.', '_' and '-', such as shop-2025; got {writer!r}")
    with reading(file) as source, shared_journal(journal) as opened:
        importer = Importer(
            opened.asynchronous,
            writer=writer,
            skip_bad=skip_bad,
            positional=lambda name: name.partition(".")[0] in _POSITIONAL,
            moved=moved,
            relocate=(lambda log: Relocation(log.partitions, log.partition_of)) if by_key else None,
        )
        try:
            with bar("looking at", "events of the journal") as report:
                opened.run(importer.prepare(report))
            with bar("importing", "bytes", PROGRESS_BYTES_MIN) as report:
                opened.run(importer.take(_reported(source, report)))
        finally:
            _say(importer.done, file, opened.url, as_json=as_json)


def _reported(source: Source, report: Report) -> Iterator[bytes]:
    for at, line in enumerate(source.lines):
        if not at % PROGRESS_STEP_LINES:
            report(source.read(), source.size)
        yield line


def _say(done: Imported, file: str, url: str, *, as_json: bool) -> None:
    for reason in done.reasons:
        print(reason, file=sys.stderr)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
        return
    said = f"imported {done.added:,} events from {'stdin' if file == STANDARD else file} into {url}"
    if done.known:
        said += f"; {done.known:,} were there already"
    if done.bad:
        said += f"; {done.bad:,} bad lines were left out"
    if done.restamped:
        said += (
            f"; {done.restamped:,} got a later time, close behind the event before it, as times rise along this journal"
        )
    if done.unreadable:
        said += f"; {number(done.unreadable, 'record')} of the journal could not be read"
    print(said)
