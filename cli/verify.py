"""`journeyman verify`: check the integrity of a journal: its structure, its positions, each record's checksum."""

import datetime as dt
from typing import Annotated, Final

import typer

from ..journal.verification import Verification, verify
from .shared.failures import EXIT_ENVIRONMENT
from .shared.json_lines import print_json
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.progress import bar

_ADVICE: Final = {
    "damaged": "readers pass over damaged records, as over all that are no events; a backup from before has them whole",
    "unreadable": "readers pass over records that are no events; `journeyman tail` names what it leaves out",
    "missing": "readers stop in front of positions without records; restore a backup",
    "repeated": "a record repeated by another program; the fold of tasks counts what it refuses",
    "structure": "SQLite cannot reach a part of the file; restore a backup, or export what can be read",
}


def verify_journal(
    journal: JournalURL = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as a JSON object.")] = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Verify the journal: the file's structure, the order of its positions, and each record's checksum and content.

    The command reads everything once and changes nothing; other processes may work on the journal meanwhile. On Kafka
    the client compares the checksums of the record batches, and the command verifies that each record is an event and
    that numbers rise.

    [bold]Examples[/bold]

    journeyman verify --journal sqlite:///shop.db

    journeyman verify --journal sqlite:///shop.db --json | jq .findings

    Exit status: 0 if all is well; 1 if something was found, or the journal cannot be used.
    """
    configure_logging(LogLevel.ERROR if log_level is LogLevel.INFO else log_level)
    with existing_journal(journal) as opened:
        with bar("verifying", "events") as progress:
            found = opened.run(verify(opened.asynchronous.log, progress))
        if as_json:
            print_json(as_object(found, opened.url))
        else:
            _say(found, opened.url)
    if not found.is_sound:
        raise typer.Exit(EXIT_ENVIRONMENT)


def as_object(found: Verification, url: str) -> dict[str, object]:
    """The verification as the object for `--json`."""
    return {
        "journal": url,
        "sound": found.is_sound,
        "records": found.records,
        "first": str(found.first),
        "end": str(found.end),
        "until": found.until,
        "unchecked": found.unchecked,
        "found": found.found,
        "findings": [
            {
                "kind": each.kind,
                "partition": each.partition,
                "first": each.first,
                "last": each.last,
                "detail": each.detail,
            }
            for each in found.findings
        ],
    }


def extent(found: Verification) -> str:
    """How many events there are and up to when, in words."""
    until = "" if found.until is None else f" up to {dt.datetime.fromtimestamp(found.until, dt.UTC).isoformat()}"
    return f"{found.records:,} {'event' if found.records == 1 else 'events'}{until}"


def _say(found: Verification, url: str) -> None:
    if found.is_sound:
        print(f"verified {url}: {extent(found)}, all as they were written")
    else:
        print(f"verified {url}: {extent(found)}; {found.found:,} {'finding' if found.found == 1 else 'findings'}:")
        for each in found.findings:
            print(f"  {each.where or 'the file':20} {each.kind:10} {each.detail}")
        if found.found > len(found.findings):
            print(f"  and {found.found - len(found.findings):,} more")
        for kind in dict.fromkeys(each.kind for each in found.findings):
            print(f"{kind}: {_ADVICE[kind]}")
    if found.unchecked:
        print(f"{found.unchecked:,} of them have no checksum: they were appended by a version that wrote none")
