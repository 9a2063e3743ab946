"""`journeyman export`: write the events of the journal to a file, one JSON object a line."""

import sys
import time
from typing import Annotated

import orjson
import typer

from ..consumers.files.exporting import Exported, ExportSelection, export
from .shared.encoding import shown_name
from .shared.failures import quiet_on_broken_pipe
from .shared.files import STANDARD, writing
from .shared.json_lines import print_json
from .shared.moments import parse_moment
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, checked_topic, configure_logging
from .shared.progress import bar
from .shared.unreadable import PassedOver


def export_lines(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Where to write: a file, packed if it ends in .gz, or - for stdout.")
    ],
    journal: JournalURL = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only events later than this: a time such as 2026-11-21T09:00 (local), seconds since the epoch, or a "
            "span back from now such as 10m, 2h, 3d.",
            show_default="the beginning",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only events up to this, that moment included.", show_default="now"),
    ] = None,
    topic: Annotated[
        str, typer.Option(metavar="PREFIX", help="Only events of this dotted prefix.", show_default="all")
    ] = "",
    key: Annotated[str | None, typer.Option(help="Only events of this key.", show_default=False)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad/--stop-at-bad",
            help="Leave out records that are no events, and count them; or stop at the first.",
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as a JSON object.")] = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Write the journal's events to FILE, one JSON object a line: a backup, or something for jq and other tools.

    A line holds timestamp, name, context, key, writer, seq, version and position; `journeyman import` reads it back
    without loss. Events stand in time order. FILE appears when it is whole. Exports of one span after the other,
    --until and --since at the same moment, share no event and miss none.

    [bold]Examples[/bold]

    journeyman export shop.jsonl.gz --journal sqlite:///shop.db

    journeyman export - --topic task.failed --since 1d | jq -r .context.exception.text

    Exit status: 0; 1 if the journal or the file cannot be used.
    """
    configure_logging(log_level)
    now = time.time()
    selection = ExportSelection(
        parse_moment(since, now) if since is not None else None,
        parse_moment(until, now, "--until") if until is not None else None,
        checked_topic(topic),
        key,
    )
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        with writing(file, overwrite=overwrite) as write, bar("exporting", "events") as progress:
            done = opened.run(export(opened.asynchronous, write, selection, skip_bad=skip_bad, progress=progress))
        _say(done, file, opened.url, as_json=as_json)


def _say(done: Exported, file: str, url: str, *, as_json: bool) -> None:
    stream = sys.stderr if file == STANDARD else sys.stdout
    passed_over = PassedOver(done.skipped, done.bad[0] if done.bad else None)
    if as_json:
        said = {"events": done.events, "looked_at": done.looked_at, "skipped": done.skipped, "file": shown_name(file)}
        if file == STANDARD:
            print(orjson.dumps(said).decode(), file=stream)
        else:
            print_json(said)
        return
    print(f"exported {done.events:,} of {done.looked_at:,} events of {url} to {shown_name(file)}", file=stream)
    passed_over.print()
