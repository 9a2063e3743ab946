"""The routes under `/log`: the methods of the log port, for `http://` journals."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from ...journal.cursor import Cursor
from ...journal.errors import JournalError
from ...journal.http.limits import POLL_SECONDS_MAX
from ...journal.http.wire import (
    MEDIA_TYPE,
    Bounded,
    Description,
    FallSeen,
    Label,
    Position,
    framed_page,
    label_on_wire,
)
from ...journal.limits import PAGE_EVENTS
from ...journal.log import OneClock
from ...journal.snapshots import SnapshotLabel
from ..keys import Scope
from ..problems import Problem
from .appending import append
from .limits import READ_EVENTS_MAX, SNAPSHOT_BODY_BYTES_MAX
from .served import check, offsets_in, served, told
from .tailing import frames

AnyRequest = Request[Any, Any, Any]

_STREAM_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_saved: Final = msgspec.msgpack.Decoder(tuple[Label, bytes])
_ids: Final = msgspec.msgpack.Decoder(list[str])


def _binary(body: bytes) -> Response[bytes]:
    return Response(body, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


@get("/", opt={"scope": Scope.READ, "problems": (410, 501)})
async def describe_log(request: AnyRequest) -> Description:
    """Describe the log: its identity, its partitions, and how keys get theirs."""
    return (await served(request)).description


@get("/bounds", opt={"scope": Scope.READ, "problems": (410,)})
async def bound_log(request: AnyRequest) -> Bounded:
    """Return the first available and the end offset of each partition."""
    bounds = await (await served(request)).log.bounds()
    return Bounded(bounds.first.offsets, bounds.end.offsets)


@get("/position", opt={"scope": Scope.READ, "problems": (410,)})
async def position_in_log(request: AnyRequest, at: FromQuery[float]) -> Position:
    """Return the offsets from which on events were appended at or after a time, in seconds since 1970."""
    return Position((await (await served(request)).log.position_at(at)).offsets)


@get("/falls", opt={"scope": Scope.READ, "problems": (404, 410)})
async def list_falls(request: AnyRequest) -> list[FallSeen]:
    """List the places where times fall back along the log, of a log with one clock."""
    log = (await served(request)).log
    if not isinstance(log, OneClock):
        raise Problem(
            404,
            "not-found",
            "only a log with one clock lists where times fall back; `one_clock` of this one is false",
        )
    return [FallSeen(each.offset, each.before, each.after, each.carried) for each in await log.falls()]


@get("/read", opt={"scope": Scope.READ, "problems": (409, 410)}, media_type=MEDIA_TYPE)
async def read_log(
    request: AnyRequest,
    cursor: FromQuery[str],
    limit: Annotated[int, QueryParameter(ge=1)] = PAGE_EVENTS,
) -> Response[bytes]:
    """Return available records from a cursor on, as frames, without waiting."""
    log = (await served(request)).log
    wanted = offsets_in(cursor, log.partitions)
    try:
        pages = await log.read(wanted, min(limit, READ_EVENTS_MAX))
    except (JournalError, ValueError) as error:
        raise told(error) from error
    return _binary(b"".join(map(framed_page, pages)))


@get("/tail", opt={"scope": Scope.READ, "problems": (410,)}, media_type=MEDIA_TYPE)
async def tail_log(
    request: AnyRequest,
    cursor: FromQuery[str],
    poll: Annotated[float | None, QueryParameter(ge=0.0, le=POLL_SECONDS_MAX)] = None,
) -> Stream:
    """Follow the log from a cursor on, as frames; with `poll`, end when there are records, or after so many seconds."""
    log = await served(request)
    wanted = offsets_in(cursor, log.log.partitions)
    return Stream(frames(log, wanted, poll), media_type=MEDIA_TYPE, headers=_STREAM_HEADERS)


@post("/append", status_code=200, opt={"scope": Scope.WORK, "problems": (410, 501)}, media_type=MEDIA_TYPE)
async def append_to_log(request: AnyRequest) -> Response[bytes]:
    """Append numbered drafts, each once, however often they come; answer with the outcome of each append."""
    log = await served(request)
    return _binary(await append(log.relay(), await request.body()))


@post("/trim", status_code=200, opt={"scope": Scope.ADMIN, "problems": (410,)})
async def trim_log(request: AnyRequest, data: JSONBody[Position]) -> Position:
    """Remove the records below a cursor permanently."""
    log = (await served(request)).log
    before = offsets_in(data.cursor, log.partitions)
    await log.trim(before)
    return Position((await log.bounds()).first.offsets)


# -- snapshots ---------------------------------------------------------------------------------------------------------


@get("/snapshots", opt={"scope": Scope.READ, "problems": (410,)})
async def list_snapshots(request: AnyRequest) -> list[Label]:
    """List the snapshots of views that the log keeps."""
    return [label_on_wire(each) for each in await (await served(request)).log.snapshots().listed()]


@get("/snapshots/{snapshot:str}", opt={"scope": Scope.READ, "problems": (410,)}, media_type=MEDIA_TYPE)
async def load_snapshot(request: AnyRequest, snapshot: FromPath[str]) -> Response[bytes]:
    """Return the sealed state of a snapshot; an empty body if there is none of that id."""
    store = (await served(request)).log.snapshots()
    for label in await store.listed():
        if label.id == snapshot:
            return _binary(await store.load(label) or b"")
    return _binary(b"")


@post(
    "/snapshots",
    status_code=200,
    opt={"scope": Scope.WORK, "problems": (410,)},
    request_max_body_size=SNAPSHOT_BODY_BYTES_MAX,
)
async def save_snapshot(request: AnyRequest) -> Label:
    """Keep a snapshot: its label and its sealed state."""
    log = await served(request)
    try:
        given, sealed = _saved.decode(await request.body())
        label = SnapshotLabel(
            given.id,
            given.view,
            given.schema,
            Cursor.parse(given.cursor),
            given.created,
            given.anchor,
            given.size,
            bytes.fromhex(given.digest),
        )
    except (msgspec.MsgspecError, ValueError) as error:
        raise Problem(400, "bad-request", f"expected a snapshot in msgpack, `[label, state]`: {error}") from None
    check(label.cursor, log.log.partitions)
    await log.log.snapshots().save(label, sealed)
    return given


@post("/snapshots/remove", status_code=200, opt={"scope": Scope.WORK, "problems": (410,)})
async def remove_snapshots(request: AnyRequest) -> list[str]:
    """Remove snapshots by their ids; return those that were there."""
    try:
        ids = frozenset(_ids.decode(await request.body()))
    except (msgspec.MsgspecError, ValueError) as error:
        raise Problem(400, "bad-request", f"expected a list of ids in msgpack: {error}") from None
    store = (await served(request)).log.snapshots()
    labels = [label for label in await store.listed() if label.id in ids]
    await store.remove(labels)
    return [label.id for label in labels]


ROUTER: Final = Router(
    "/log",
    tags=["log"],
    route_handlers=[
        describe_log,
        bound_log,
        position_in_log,
        list_falls,
        read_log,
        tail_log,
        append_to_log,
        trim_log,
        list_snapshots,
        load_snapshot,
        save_snapshot,
        remove_snapshots,
    ],
)
