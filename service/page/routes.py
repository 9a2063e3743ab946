"""GET / for browsers, and the files of the page. They need no key: the page asks for it, and sends it itself."""

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import PathParameter

from ..problems import Problem
from .files import ASK_AGAIN, FOR_EVER, INDEX, PageFile, page_files

_Request = Request[Any, Any, Any]


def wants_page(request: _Request) -> bool:
    """Whether the request comes from a browser that shows what it gets, and not from a program."""
    return request.accept.best_match(["application/json", "text/html"]) == "text/html"


def answer_page(request: _Request) -> Response[bytes]:
    """Return the page's document; one without a slash at its end, as of a mounted application, is asked for with it."""
    path: bytes = request.scope.get("raw_path") or b"/"
    if not path.endswith(b"/"):
        last = path.rpartition(b"/")[2].decode("latin-1")
        return Response(b"", status_code=307, headers={"Location": f"{last}/", "Vary": "Accept"})
    return _sent(request, page_files().files[INDEX], ASK_AGAIN)


@get("/page/{digest:str}/{file:path}", opt={"scope": None}, include_in_schema=False, sync_to_thread=False)
def send_page_file(
    request: _Request, digest: Annotated[str, PathParameter()], file: Annotated[str, PathParameter()]
) -> Response[bytes]:
    """Send a file of the page; under the digest of another version it is sent, too, and not kept."""
    known = page_files()
    found = known.files.get(str(file).lstrip("/"))
    if found is None or file == f"/{INDEX}":
        raise Problem(404, "not-found", "the page has no such file")
    return _sent(request, found, FOR_EVER if digest == known.digest else ASK_AGAIN)


def _sent(request: _Request, file: PageFile, cached: str) -> Response[bytes]:
    headers = request.headers
    return file.answer(
        cached=cached, accepts=headers.get("accept-encoding", ""), known=headers.get("if-none-match", "")
    )
