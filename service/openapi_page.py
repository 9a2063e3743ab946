"""A readable page of the OpenAPI document: plain HTML made on the server, without scripts."""

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
.method { display: inline-block; min-width: 4.5rem; font-weight: bold }
table { border-collapse: collapse } td, th { text-align: left; padding: .1rem 1rem .1rem 0; vertical-align: top }
summary { cursor: pointer; padding: .2rem 0 }
"""


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
    yield f"<h1>{title}</h1><p>{escape(schema['info'].get('description', ''))}</p>"
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
    said = escape(operation.get("description") or operation.get("summary") or "")
    yield f'<details><summary><span class="method">{escape(method.upper())}</span><code>{escape(path)}</code> '
    yield f"{said.partition('. ')[0]}</summary><p>{said}</p>"
    yield _table("Parameters", [_parameter(each) for each in operation.get("parameters", ())])
    answers = [(status, escape(answer.get("description", ""))) for status, answer in operation["responses"].items()]
    yield _table("Answers", sorted(answers)) + "</details>"


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str]:
    needed = " (required)" if parameter.get("required") else ""
    name = f"<code>{escape(parameter['name'])}</code> in {escape(parameter['in'])}{needed}"
    return name, escape(parameter.get("description", ""))


def _table(head: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><td>{left}</td><td>{right}</td></tr>" for left, right in rows)
    return f"<table><tr><th>{head}</th><th></th></tr>{lines}</table>"
