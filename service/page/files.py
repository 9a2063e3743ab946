"""Reads the files of the page once, and makes the answers that send them.

The address of a file contains the digest of all files, `page/DIGEST/main.js`: a browser may cache a file for ever, and
never mixes files of two versions. All addresses are relative, so the page works under any path.
"""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from litestar import Response

from .limits import DIGEST_CHARS, FILE_SECONDS_KEPT

_MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_LEAN: Final = ("css", "js")
INDEX: Final = "index.html"
_PLACE_OF_DIGEST: Final = b"@digest@"
_PLACE_OF_MODULES: Final = b"<!-- modules -->"

# Nothing but the page's own files and the service's own requests; no script or style within a document; no text is ever
# made markup, which browsers enforce by the last line.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageFile(NamedTuple):
    """A file of the page, as it is and compressed."""

    media_type: str
    body: bytes
    compressed: bytes
    tag: str

    def answer(self, *, cached: str, accepts: str, known: str) -> Response[bytes]:
        """Return the answer: compressed for a browser that accepts it, and 304 for one that knows the file."""
        headers = {**_HEADERS, "Cache-Control": cached, "ETag": self.tag, "Vary": "Accept, Accept-Encoding"}
        if self.tag in known:
            return Response(b"", status_code=304, headers=headers)
        if "gzip" not in accepts:
            return Response(self.body, media_type=self.media_type, headers=headers)
        headers["Content-Encoding"] = "gzip"
        return Response(self.compressed, media_type=self.media_type, headers=headers)


class PageFiles(NamedTuple):
    """All files by their names, and the digest of them."""

    digest: str
    files: Mapping[str, PageFile]


@cache
def page_files() -> PageFiles:
    """Read the files of the page."""
    found = dict(_read(files(__package__).joinpath("static"), ""))
    digest = hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:DIGEST_CHARS]
    found[INDEX] = _index(found, digest)
    return PageFiles(digest, {name: _file(name, body) for name, body in found.items()})


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _read(each, f"{prefix}{each.name}/")
        elif (kind := each.name.rpartition(".")[2]) in _MEDIA_TYPES:
            yield prefix + each.name, _lean(each.read_bytes()) if kind in _LEAN else each.read_bytes()


def _lean(text: bytes) -> bytes:
    """Leave out indentation and lines of comment, a ninth of the bytes; no text of the page spans several lines."""
    lines = (line.strip() for line in text.splitlines())
    return b"\n".join(line for line in lines if line and not line.startswith((b"//", b"/* --")))


def _index(found: Mapping[str, bytes], digest: str) -> bytes:
    """Return the document with the digest in its addresses; the modules are fetched at once, not one by one."""
    modules = sorted(name for name in found if name.endswith(".js"))
    links = "\n".join(f'<link rel="modulepreload" href="page/{digest}/{name}">' for name in modules)
    return found[INDEX].replace(_PLACE_OF_DIGEST, digest.encode()).replace(_PLACE_OF_MODULES, links.encode())


def _file(name: str, body: bytes) -> PageFile:
    tag = f'"{hashlib.sha256(body).hexdigest()[:DIGEST_CHARS]}"'
    return PageFile(_MEDIA_TYPES[name.rpartition(".")[2]], body, gzip.compress(body, mtime=0), tag)


FOR_EVER: Final = f"public, max-age={FILE_SECONDS_KEPT}, immutable"
ASK_AGAIN: Final = "no-cache"
