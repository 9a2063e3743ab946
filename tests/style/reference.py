"""The two pages of reference, made from the code: `python -m style.reference`, in `tests/`, writes both."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import typer.main
from journeyman.cli.app import application
from journeyman.workers import Settings

from .source import ROOT, assigned, trees

COMMANDS_PAGE: Final = ROOT / "docs" / "commands.md"
LIMITS_PAGE: Final = ROOT / "docs" / "limits.md"
_OF_TYPER: Final = ("install_completion", "show_completion")  # whose words may change with its version
_NOTE: Final = "This page is made from the code by `make reference`.\n"


def commands_page() -> str:
    """Every command with its arguments and options."""
    parts = [f"# Commands\n\n{_NOTE}\n`journeyman COMMAND --help` shows the same.\n"]
    parts += _commands(typer.main.get_command(application()), "journeyman")
    return "\n".join(parts)


def _commands(command: Any, path: str) -> Iterator[str]:
    yield f"## `{path}`\n\n{_plain(command.help or '')}\n"
    options = [_option(parameter) for parameter in command.params]
    if options:
        yield "\n".join(options) + "\n"
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{path} {name}")


def _option(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar or parameter.name.upper()}`"
    else:
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    about = "for the shell that is in use" if parameter.name in _OF_TYPER else _plain(parameter.help or "")
    return f"- {names}: {about}"


def _plain(text: str) -> str:
    """The help without the markup of terminals; an example in a block of its own."""
    text = re.sub(r"\[/?bold\]", "**", inspect.cleandoc(text))
    return re.sub(r"(?m)^((?:JOURNEYMAN_\w+=\S+ )?journeyman .*)$", r"    \1", text).strip()


def limits_page() -> str:
    """The settings of a worker, and every limit of each room with its value and meaning."""
    parts = [f"# Settings and limits\n\n{_NOTE}\n## Settings of a worker\n\n{_settings()}"]
    for path in sorted(path for path in trees() if path.endswith("/limits.py")):
        doc = inspect.cleandoc(ast.get_docstring(trees()[path]) or "").partition("\n\n")[0].replace("\n", " ")
        parts.append(f"## `{path}`\n\n{doc}\n\n| limit | value | meaning |\n|---|---|---|\n" + "\n".join(_limits(path)))
    return "\n\n".join(parts) + "\n"


def _settings() -> str:
    doc = inspect.getdoc(Settings) or ""
    rows = ["| setting | default |", "|---|---|"]
    for each in msgspec.structs.fields(Settings):
        shown = "follows from the processors" if callable(each.default_factory) else f"`{each.default!r}`"
        rows.append(f"| `{each.name}` | {'`{}`' if each.default_factory is dict else shown} |")
    return doc + "\n\n" + "\n".join(rows)


def _limits(path: str) -> Iterator[str]:
    module = importlib.import_module("journeyman." + path.removesuffix(".py").replace("/", "."))
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    meaning, last = "", 0
    for node in trees()[path].body:
        name = assigned(node)
        if not name.isupper():
            continue
        above = node.lineno - 1
        while above > 0 and lines[above - 1].startswith("#"):
            above -= 1
        if above < node.lineno - 1:
            meaning = " ".join(line.removeprefix("#").strip() for line in lines[above : node.lineno - 1])
        elif above != last:
            meaning = ""  # the comment above the limits before it is about these
        last = node.end_lineno or node.lineno
        _, _, beside = lines[last - 1].partition("  # ")
        about = (beside or meaning).replace("|", "\\|")
        yield f"| `{name}` | {_shown(getattr(module, name))} | {about} |".replace("  ", " ")


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else f"`{value!r}`"


if __name__ == "__main__":
    COMMANDS_PAGE.write_text(commands_page(), encoding="utf-8")
    LIMITS_PAGE.write_text(limits_page(), encoding="utf-8")
