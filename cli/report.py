"""`journeyman report`: what happened to the tasks in a stretch of time, as tables, as a page and as JSON."""

import time
from typing import Annotated

import typer

from ..consumers.moments import span_seconds
from .reporting.content import read_report
from .reporting.page import page
from .reporting.tables import screen
from .shared.encoding import shown_name
from .shared.failures import BadInput, print_line, quiet_on_broken_pipe
from .shared.files import STANDARD, writing
from .shared.json_lines import print_json, with_journal
from .shared.moments import parse_moment
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import console_for, show


def report(
    url: Annotated[
        str | None,
        typer.Argument(metavar="[URL]", help="The journal, if --journal does not say it.", show_default=False),
    ] = None,
    journal: JournalURL = None,
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="What happened later than this: a span back from now such as 10m, 24h, 7d, a time such as 14:05 or "
            "2026-11-21T09:00 (local), or seconds since the epoch.",
        ),
    ] = "24h",
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="And up to this, that moment included.", show_default="now")
    ] = None,
    bucket: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="The width of a bucket of the charts: 30s, 5m, 1h.", show_default="fits"),
    ] = None,
    html: Annotated[
        str | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write the report with its charts as one file for a browser, in place of one of that name; - for "
            "stdout.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Report on a stretch of time: throughput, latency, failures, slow runs, retries, workers that expired.

    All of it is folded from the journal, so any stretch can be reported that retention allows, at any time later.
    What the queue's state refuses, such as a second claim, counts as no start and no end. "latency" is from the
    submission to the success, "waited" from when a task could be claimed to its claim, "ran" the run of one attempt.

    The page needs no network and no script; it follows the reader's light or dark theme, and can be printed.

    [bold]Examples[/bold]

    journeyman report sqlite:///shop.db --since 1h

    journeyman report --since 'yesterday 00:00' --until 'today 00:00' --html yesterday.html

    journeyman report --since 7d --json | jq '.failures[] | select(.failed > 0)'

    Exit status: 0; 1 if the journal or the file cannot be used.
    """
    configure_logging(log_level)
    if url is not None and journal is not None:
        raise BadInput(f"the journal is named twice: {url} and --journal {journal}; leave one out")
    if html == STANDARD and as_json:
        raise BadInput("--html - and --json both print to stdout: name a file for one of them")
    now = time.time()
    begin = parse_moment(since, now)
    end = now if until is None else min(now, parse_moment(until, now, "--until"))
    width = None if bucket is None else _width(bucket)
    with existing_journal(url or journal) as opened, quiet_on_broken_pipe():
        made = read_report(opened, opened.url, begin, end, width)
        if html is not None:
            with writing(html, overwrite=True) as write:
                write(page(made, now).encode())
        if as_json:
            print_json({**with_journal(made.trends, made.url), "begun": made.begun})
        elif html is None:
            show(console_for(), screen(made))
        elif html != STANDARD:
            print_line(f"wrote the report to {shown_name(html)}; open it in a browser")


def _width(bucket: str) -> float:
    try:
        return span_seconds(bucket, "--bucket")
    except ValueError as error:
        raise BadInput(str(error)) from None
