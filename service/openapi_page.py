"""A readable page of the OpenAPI document: plain HTML made on the server, without scripts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.openapi.plugins import OpenAPIRenderPlugin

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color-scheme: light dark }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2rem; border-bottom: 1px solid } code, .method { font-family: ui-monospace, monospace }
.method { display: inline-block; min-width: 4.5rem; font-weight: bold; text-indent: 0 }
table { border-collapse: collapse } td, th { text-align: left; padding: .1rem 1rem .1rem 0; vertical-align: top }
summary { cursor: pointer; padding: .2rem 0 .2rem 5.8rem; text-indent: -5.8rem }
details[open] { margin-bottom: 1.5rem } details > :not(summary) { margin-left: 1.2rem }
"""
_FIRST_SENTENCE: Final = re.compile(r"(?<=[.])\s")
_CODE: Final = re.compile(r"`([^`]+)`")


class PageRenderPlugin(OpenAPIRenderPlugin):
    """Renders the document as one page of HTML."""

    def __init__(self) -> None:
        super().__init__(path=["/", "/page"])

    def render(
        self, request: Request[Any, Any, Any] | ASGIConnection[Any, Any, Any, Any], schema: dict[str, Any]
    ) -> bytes:
        """Return the page."""
        return "".join(_page(schema)).encode()


def _page(schema: Mapping[str, Any]) -> Iterator[str]:
    title = escape(f"{schema['info']['title']} {schema['info']['version']}")
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<h1>{title}</h1><p>{_marked(schema['info'].get('description', ''))}</p>"
    yield '<p>For programs: <a href="openapi.json">openapi.json</a></p>'
    subject = None
    for path, operations in sorted(schema["paths"].items()):
        first = path.split("/")[1] or "service"
        if first != subject:
            subject = first
            yield f"<h2>{escape(first)}</h2>"
        for method, operation in operations.items():
            yield from _operation(method, path, operation)
    yield "</html>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    said = operation.get("description") or operation.get("summary") or ""
    first, _, rest = said.partition("\n\n")
    yield f'<details><summary><span class="method">{escape(method.upper())}</span><code>{escape(path)}</code> '
    yield f"<span>{_marked(_FIRST_SENTENCE.split(first, 1)[0])}</span></summary>"
    yield "".join(f"<p>{_marked(part)}</p>" for part in (first, rest) if part)
    scopes = [scope for each in operation.get("security", ()) for scope in each.get("key", ())]
    if scopes:
        yield f"<p>Scope: <code>{escape(', '.join(scopes))}</code></p>"
    yield _table("Parameters", [_parameter(each) for each in operation.get("parameters", ())])
    answers = [(status, _marked(answer.get("description", ""))) for status, answer in operation["responses"].items()]
    yield _table("Answers", sorted(answers)) + "</details>"


def _marked(text: str) -> str:
    """Return text as HTML, with what stands between backquotes as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str]:
    needed = " (required)" if parameter.get("required") else ""
    name = f"<code>{escape(parameter['name'])}</code> in {escape(parameter['in'])}{needed}"
    return name, _marked(parameter.get("description", ""))


def _table(head: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><td>{left}</td><td>{right}</td></tr>" for left, right in rows)
    return f"<table><tr><th>{head}</th><th></th></tr>{lines}</table>"
