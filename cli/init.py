"""`journeyman init`: write a small package with tasks, its tests, and the files to run it."""

import os
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from .shared.encoding import file_name, shown_name
from .shared.json_lines import print_json
from .starting.names import check_name
from .starting.package import write_package


def init(
    directory: Annotated[
        str,
        typer.Argument(
            metavar="DIRECTORY",
            help="A directory to make, such as shop; its last part is the name of the package.",
            show_default=False,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Begin a package with two tasks: it runs as it is, and is yours to change.

    Beside the tasks there are a program that submits them, their tests, a README with the commands of the first
    minutes, a unit for systemd, and a container image with a compose file. Nothing is installed or overwritten.

    [bold]Examples[/bold]

    journeyman init shop

    journeyman init apps/shop --json | jq -r '.next[]'

    Exit status: 0; 2 if the name cannot be a package's, or the directory is not empty.
    """
    place = Path(os.path.normpath(file_name(directory)))
    name = place.absolute().name
    check_name(name)
    files = write_package(name, place)
    shown = shown_name(str(place))
    steps = [
        *([(f"cd {quote(shown)}", "")] if place != Path() else []),
        ("pip install -e '.[dev]' && python -m pytest", "its tests"),
        (f"journeyman worker {name}.tasks", "a worker; leave it running"),
        (f"python -m {name}", "in another terminal, there: submit a task, and wait for its result"),
        (f"journeyman status --journal sqlite:///{name}.db", "queues and workers"),
    ]
    if as_json:
        commands = [step for step, _ in steps]
        print_json({"name": name, "directory": str(place.absolute()), "files": files, "next": commands})
        return
    print(f"made the package {name} in {shown}: {', '.join(files)}")
    print("\nNext:\n")
    width = max(len(step) for step, _ in steps)
    for step, what in steps:
        print(f"    {step:{width}}  # {what}" if what else f"    {step}")
    print(f"\n{shown_name(str(place / 'README.md'))} goes on from there.")
