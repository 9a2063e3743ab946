"""Options that several commands share, each explained once."""

import logging
from enum import StrEnum
from typing import Annotated

import typer

from ...consumers.topic import Topic
from ...journal.url import ENVIRONMENT_VARIABLE
from .failures import BadInput


class LogLevel(StrEnum):
    """The lowest level that is logged on stderr: all names of the `logging` module."""

    NOTSET = "NOTSET"
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARN = "WARN"
    WARNING = "WARNING"
    ERROR = "ERROR"
    FATAL = "FATAL"
    CRITICAL = "CRITICAL"


JournalURL = Annotated[
    str | None,
    typer.Option(
        "--journal",
        "-j",
        metavar="URL",
        help="The journal: sqlite:///shop.db (a file here), sqlite:////var/lib/shop.db, kafka://host:9092/topic. "
        f"Without it: the environment variable {ENVIRONMENT_VARIABLE}.",
        show_default=False,
    ),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="TIME",
        help="Show the state at this moment: a time such as 14:05, 'yesterday 14:05' or 2026-11-21T14:05 (local), "
        "seconds since the epoch, or a span back from now such as 10m, 2h, 3d.",
        show_default="now",
    ),
]
LevelOption = Annotated[
    LogLevel,
    typer.Option(
        "--log-level",
        case_sensitive=False,
        help="The lowest level logged on stderr; DEBUG also shows the traceback of an error, NOTSET follows the root "
        "logger.",
    ),
]


def configure_logging(level: LogLevel) -> None:
    """Log this package's messages from `level` on to stderr, and warnings of others."""
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(message)s", level=logging.WARNING)
    logging.getLogger("journeyman").setLevel(level.value)


def checked_topic(prefix: str) -> str:
    """The topic, if it is valid; `BadInput` says how to write it."""
    try:
        return Topic(prefix).prefix
    except ValueError as error:
        raise BadInput(str(error)) from None
