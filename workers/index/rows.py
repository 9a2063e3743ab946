"""The rows of the index's file: its tables, and how a batch is put into them."""

import secrets
from operator import itemgetter
from typing import Final, NamedTuple

import apsw

from .batch import Batch
from .entries import CLAIMED, ENDS, FOREIGN, NOWHERE, SUBMITTED, Entry, SessionRow, TaskRow, judge, merge
from .keys import key_of

APPLICATION_ID: Final = 0x4A4D4958  # "JMIX"
FORMAT_VERSION: Final = 1
# The size of a task's row does not change as the task goes on, or pages that were full would be split: an offset is
# stored with a bias, and `_UNSET`, which takes as many bytes, stands for none.
_BIAS: Final = 1 << 24
_UNSET: Final = -(1 << 31)
_TABLES: Final = ("tasks", "more", "sessions", "covered", "meta")
_SCHEMA: Final = f"""
    CREATE TABLE tasks (key BLOB PRIMARY KEY, partition INTEGER, submitted INTEGER, claimed INTEGER, ended INTEGER)
        WITHOUT ROWID;
    CREATE TABLE more (key BLOB, partition INTEGER, offset INTEGER, kind INTEGER,
        PRIMARY KEY (key, partition, offset)) WITHOUT ROWID;
    CREATE TABLE sessions (worker BLOB, partition INTEGER, joined INTEGER, last INTEGER, ended INTEGER,
        PRIMARY KEY (worker, partition, joined)) WITHOUT ROWID;
    CREATE TABLE covered (partition INTEGER PRIMARY KEY, first INTEGER, next INTEGER, fingerprint TEXT);
    CREATE TABLE meta (generation INTEGER);
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {FORMAT_VERSION};
"""
_COVERED: Final = (
    "SELECT meta.generation, ifnull(first, -1), ifnull(next, -1), ifnull(fingerprint, '') "
    "FROM meta LEFT JOIN covered ON partition = ?"
)
# In one statement, as it is asked before each submission under a chosen id.
_LOOK: Final = (
    "SELECT EXISTS (SELECT 1 FROM tasks WHERE key = ?1) OR EXISTS (SELECT 1 FROM more WHERE key = ?1), generation, "
    "ifnull((SELECT next FROM covered WHERE partition = ?2), -1) FROM meta"
)
_TASK: Final = "SELECT partition, submitted, claimed, ended FROM tasks WHERE key = ?"
_MORE: Final = "SELECT partition, offset, kind FROM more WHERE key = ? ORDER BY partition, offset"
_SESSIONS: Final = "SELECT joined, last, ended FROM sessions WHERE worker = ? AND partition = ? ORDER BY joined"
_NEW_TASK: Final = "INSERT OR IGNORE INTO tasks VALUES (?, ?, ?, ?, ?)"
_MOVE_TASK: Final = (
    "UPDATE tasks SET claimed = ifnull(?3, claimed), ended = ifnull(?4, ended) WHERE key = ?1 AND partition = ?2 "  # noqa: S608
    f"AND (?3 IS NULL OR claimed = {_UNSET}) AND (?4 IS NULL OR ended = {_UNSET})"
)
_PUT_TASK: Final = "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?)"
_PUT_MORE: Final = "INSERT OR IGNORE INTO more VALUES (?, ?, ?, ?)"
_PUT_KEYED: Final = f"INSERT OR IGNORE INTO more SELECT key, ?2, ?3, {FOREIGN} FROM tasks WHERE key = ?1"  # noqa: S608
_PUT_SESSION: Final = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?)"
_PUT_COVERED: Final = "INSERT OR REPLACE INTO covered VALUES (?, ?, ?, ?)"

_KEY_OF_MOVE: Final = itemgetter(0)

_Moves = list[tuple[bytes, int, int | None, int | None]]


class Covered(NamedTuple):
    """How far the file covers a partition: from `first` up to, not including, `next_offset`; `NOWHERE` if not at all.

    `fingerprint` is that of the event before `next_offset`. The file's `generation` changes when it is made anew.
    """

    generation: int
    first: int
    next_offset: int
    fingerprint: str


def make(connection: apsw.Connection) -> None:
    """Make all tables anew, inside the caller's transaction."""
    for table in _TABLES:
        connection.execute(f"DROP TABLE IF EXISTS {table}").fetchall()
    connection.execute(_SCHEMA).fetchall()
    connection.execute("INSERT INTO meta VALUES (?)", (secrets.randbits(62),)).fetchall()


def covered(connection: apsw.Connection, partition: int) -> Covered:
    """How far the file covers a partition."""
    found = connection.execute(_COVERED, (partition,)).fetchone()
    if found is None:
        raise apsw.CorruptError("it has lost its generation")
    return Covered(*found)


def lacks(cursor: apsw.Cursor, key: bytes, partition: int, after: Covered) -> bool:
    """Whether there is no event of any id of a key in the partition up to where `after` ends.

    False as well if the file no longer covers that, as it was made anew.
    """
    found = cursor.execute(_LOOK, (key, partition)).get
    return found is not None and not found[0] and found[1] == after.generation and found[2] >= after.next_offset


def task_row(connection: apsw.Connection, key: bytes) -> TaskRow | None:
    """The row of a task."""
    found = connection.execute(_TASK, (key,)).fetchone()
    if found is None:
        return None
    partition, submitted, claimed, ended = found
    return TaskRow(partition, submitted - _BIAS, _offset(claimed), _offset(ended))


def _offset(stored: int) -> int:
    return NOWHERE if stored == _UNSET else stored - _BIAS


def _stored(offset: int) -> int:
    return _UNSET if offset == NOWHERE else offset + _BIAS


def _bindings(key: bytes, row: TaskRow) -> tuple[bytes, int, int, int, int]:
    return key, row.partition, row.submitted + _BIAS, _stored(row.claimed), _stored(row.ended)


def session_rows(connection: apsw.Connection, worker: str, partition: int) -> list[SessionRow]:
    """The sessions of a worker in a partition, the oldest first."""
    rows = connection.execute(_SESSIONS, (key_of(worker), partition))
    return [SessionRow(worker, partition, joined, last, ended) for joined, last, ended in rows]


def put_covered(connection: apsw.Connection, batch: Batch, first: int) -> None:
    """The file now covers what the batch holds as well."""
    connection.execute(_PUT_COVERED, (batch.partition, first, batch.next_offset, batch.fingerprint))


def entries(connection: apsw.Connection, key: bytes) -> list[Entry]:
    """The events of all ids of a key."""
    row = task_row(connection, key)
    found = row.entries() if row is not None else []
    return sorted([*found, *map(Entry._make, connection.execute(_MORE, (key,)))])


def put_tasks(connection: apsw.Connection, batch: Batch) -> None:
    """Nearly always the tasks of a batch are new, or had neither claim nor end: then no row is read first."""
    new, moved, more = _hopeful(batch)
    before = connection.total_changes()
    connection.execute("SAVEPOINT hopeful")
    # In the order of their keys: those of chosen ids lie all over the tree, and each page is looked for once.
    connection.executemany(_NEW_TASK, sorted(new))
    connection.executemany(_MOVE_TASK, sorted(moved, key=_KEY_OF_MOVE))
    if connection.total_changes() - before == len(new) + len(moved):
        connection.executemany(_PUT_MORE, more)
    else:
        connection.execute("ROLLBACK TO hopeful")
        _put_tasks_one_by_one(connection, batch)
    connection.execute("RELEASE hopeful")
    keyed = ((key_of(key), batch.partition, offset) for key, offsets in batch.keyed.items() for offset in offsets)
    connection.executemany(_PUT_KEYED, keyed)


def _hopeful(batch: Batch) -> tuple[list[tuple[bytes, int, int, int, int]], _Moves, list[tuple[bytes, int, int, int]]]:
    """What is to be put if each task's row is as it is expected to be; nearly all tasks have one of four courses."""
    new: list[tuple[bytes, int, int, int, int]] = []
    moved: _Moves = []
    more: list[tuple[bytes, int, int, int]] = []
    partition, bias = batch.partition, _BIAS
    for task_id, known in batch.tasks.items():
        key, count, kind = key_of(task_id), len(known), known[0]
        if count == 2 and kind == SUBMITTED:
            new.append((key, partition, known[1] + bias, _UNSET, _UNSET))
        elif count == 2 and kind == CLAIMED:
            moved.append((key, partition, known[1] + bias, None))
        elif count == 2 and kind in ENDS:
            moved.append((key, partition, None, known[1] + bias))
        elif count == 4 and kind == CLAIMED and known[2] in ENDS:
            moved.append((key, partition, known[1] + bias, known[3] + bias))
        elif count == 6 and kind == SUBMITTED and known[2] == CLAIMED and known[4] in ENDS:
            new.append((key, partition, known[1] + bias, known[3] + bias, known[5] + bias))
        else:
            _hope(key, partition, known, new, moved, more)
    return new, moved, more


def _hope(
    key: bytes,
    partition: int,
    known: list[int],
    new: list[tuple[bytes, int, int, int, int]],
    moved: _Moves,
    more: list[tuple[bytes, int, int, int]],
) -> None:
    """See `_hopeful`: a task of any other course."""
    fresh = known[0] == SUBMITTED
    row, others = merge(None if fresh else TaskRow(partition, NOWHERE), _entries(partition, known))
    assert row is not None, "a row was given, or the first event makes one"
    if fresh:
        new.append(_bindings(key, row))
    else:
        claimed, ended = (None if each == NOWHERE else each + _BIAS for each in (row.claimed, row.ended))
        moved.append((key, partition, claimed, ended))
    more += [(key, *entry) for entry in others]


def _entries(partition: int, known: list[int]) -> list[Entry]:
    return [Entry(partition, known[i + 1], known[i]) for i in range(0, len(known), 2)]


def _put_tasks_one_by_one(connection: apsw.Connection, batch: Batch) -> None:
    for task_id, known in batch.tasks.items():
        key = key_of(task_id)
        row, others = merge(task_row(connection, key), _entries(batch.partition, known))
        if row is not None:
            connection.execute(_PUT_TASK, _bindings(key, row))
        connection.executemany(_PUT_MORE, ((key, *entry) for entry in others))


def put_sessions(connection: apsw.Connection, batch: Batch, *, infers: bool) -> None:
    """Take the workers of a batch into the sessions; `infers` as in `judge`."""
    for worker, found in batch.workers().items():
        rows = session_rows(connection, worker, batch.partition)
        judged = judge(worker, batch.partition, rows, found, infers=infers)
        changed = [(key_of(worker), *row[1:]) for row in judged if row not in rows]
        connection.executemany(_PUT_SESSION, changed)
