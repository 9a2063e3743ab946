"""The rows of the index's file: its tables, and how a batch is put into them."""

import itertools
import secrets
from operator import itemgetter
from typing import Any, Final, NamedTuple

import apsw

from .batch import Batch
from .bulk import Bulk
from .entries import CLAIMED, ENDS, FOREIGN, NOWHERE, SUBMITTED, Entry, SessionRow, TaskRow, judge, merge
from .keys import KEY_SQL, RAW_KEY_BYTES_MAX, key_of

APPLICATION_ID: Final = 0x4A4D4958  # "JMIX"
FORMAT_VERSION: Final = 2
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
# What a batch holds of tasks, while it is put into the rows: an event each, and then a course for each task.
_SCRATCH: Final = """
    CREATE TEMP TABLE IF NOT EXISTS moves (key BLOB, at INTEGER, kind INTEGER);
    CREATE TEMP TABLE IF NOT EXISTS courses (key BLOB PRIMARY KEY, submitted INTEGER, claimed INTEGER, ended INTEGER,
        new_claimed INTEGER, new_ended INTEGER, new INTEGER, regular INTEGER, more INTEGER) WITHOUT ROWID;
"""
_PUT_MOVE: Final = "INSERT INTO temp.moves VALUES (?, ?, ?)"
_MOVES: Final = "SELECT key, at, kind FROM temp.moves"
# Of the lines of a `Bulk`; the id begins at the fourth byte, and the limit has it computed once. An unusual one has
# no key.
_LINES: Final = (
    f"SELECT CASE WHEN length(id) BETWEEN 1 AND {RAW_KEY_BYTES_MAX} AND bracket = X'5b22' THEN {KEY_SQL} END AS key, "  # noqa: S608
    "at, unicode(kind) - unicode('@') AS kind FROM ("
    "SELECT substr(value, 4, instr(substr(value, 4), X'22') - 1) AS id, :base + rowid - 1 AS at, "
    "substr(value, 2, 2) AS bracket, "
    "CAST(substr(value, 1, 1) AS TEXT) AS kind FROM carray(:lines) WHERE value <> X'' LIMIT -1)"
)
# What `merge` makes of the events of each task, unless it is strange: `regular` is 0 if they begin before its
# submission, or if the task is one of another partition.
_PUT_COURSES: Final = f"""
    INSERT INTO temp.courses
    SELECT found.key, ifnull(submitted, found.first + {_BIAS}),
        iif(ifnull(claimed, {_UNSET}) = {_UNSET}, ifnull(claim + {_BIAS}, {_UNSET}), claimed),
        iif(ifnull(ended, {_UNSET}) = {_UNSET}, ifnull(ending + {_BIAS}, {_UNSET}), ended),
        iif(ifnull(claimed, {_UNSET}) = {_UNSET}, claim, NULL),
        iif(ifnull(ended, {_UNSET}) = {_UNSET}, ending, NULL),
        tasks.key IS NULL,
        iif(tasks.key IS NULL, submission IS found.first, partition = :partition),
        events - (tasks.key IS NULL) - (ifnull(claimed, {_UNSET}) = {_UNSET} AND claim IS NOT NULL)
            - (ifnull(ended, {_UNSET}) = {_UNSET} AND ending IS NOT NULL)
    FROM (
        SELECT key, min(at) AS first, count(*) AS events, min(iif(kind = {SUBMITTED}, at, NULL)) AS submission,
            min(iif(kind = {CLAIMED}, at, NULL)) AS claim, min(iif(kind IN {tuple(sorted(ENDS))}, at, NULL)) AS ending
        FROM ({{source}}) GROUP BY key
    ) AS found LEFT JOIN tasks ON tasks.key = found.key
"""  # noqa: S608
_PUT_TASKS: Final = """
    INSERT INTO tasks SELECT key, :partition, submitted, claimed, ended FROM temp.courses
    WHERE regular AND (new OR new_claimed IS NOT NULL OR new_ended IS NOT NULL)
    ON CONFLICT (key) DO UPDATE SET claimed = excluded.claimed, ended = excluded.ended
"""
_HAVE_MORE: Final = "SELECT EXISTS (SELECT 1 FROM temp.courses WHERE regular AND more)"
_PUT_MORE_OF_COURSES: Final = f"""
    INSERT OR IGNORE INTO more SELECT found.key, :partition, at, kind
    FROM ({{source}}) AS found CROSS JOIN temp.courses AS course ON course.key = found.key
    WHERE regular AND more AND at IS NOT new_claimed AND at IS NOT new_ended
    AND NOT (new AND at + {_BIAS} = submitted)
"""  # noqa: S608
_ARE_STRANGE: Final = "SELECT EXISTS (SELECT 1 FROM temp.courses WHERE NOT regular)"
_STRANGE: Final = """
    SELECT found.key, at, kind FROM ({source}) AS found CROSS JOIN temp.courses AS course ON course.key = found.key
    WHERE NOT regular ORDER BY found.key, at
"""
_PUT_TASK: Final = "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?)"
_PUT_MORE: Final = "INSERT OR IGNORE INTO more VALUES (?, ?, ?, ?)"
_PUT_KEYED: Final = f"INSERT OR IGNORE INTO more SELECT key, ?2, ?3, {FOREIGN} FROM tasks WHERE key = ?1"  # noqa: S608
_PUT_SESSION: Final = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?)"
_PUT_COVERED: Final = "INSERT OR REPLACE INTO covered VALUES (?, ?, ?, ?)"

_KEY_OF: Final = itemgetter(0)


class Unusual(Exception):
    """Some lines of a `Bulk` are not as they usually are: it is to be read carefully."""


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


def prepare(connection: apsw.Connection) -> None:
    """Make what a connection needs for itself."""
    connection.pragma("temp_store", "memory")
    connection.execute(_SCRATCH).fetchall()


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


def put_covered(connection: apsw.Connection, batch: Batch | Bulk, first: int) -> None:
    """The file now covers what the batch holds as well."""
    connection.execute(_PUT_COVERED, (batch.partition, first, batch.next_offset, batch.fingerprint))


def entries(connection: apsw.Connection, key: bytes) -> list[Entry]:
    """The events of all ids of a key."""
    row = task_row(connection, key)
    found = row.entries() if row is not None else []
    return sorted([*found, *map(Entry._make, connection.execute(_MORE, (key,)))])


def put_tasks(connection: apsw.Connection, batch: Batch | Bulk) -> None:
    """Take the tasks of a batch into the rows, as `merge` does, in a few steps of SQLite for all of them."""
    partition, base = batch.partition, batch.base
    moved = (
        (key_of(task_id), known[index + 1], known[index])
        for task_id, known in batch.tasks.items()
        for index in range(0, len(known), 2)
    )
    connection.executemany(_PUT_MOVE, moved)
    source: str = _MOVES
    bindings: dict[str, Any] = {"partition": partition, "base": base}
    if batch.lines:
        source = f"{_LINES} UNION ALL {_MOVES}"
        bindings["lines"] = apsw.carray(tuple(batch.lines))
    try:
        connection.execute(_PUT_COURSES.format(source=source), bindings).fetchall()
    except apsw.ConstraintError as error:
        raise Unusual from error
    connection.execute(_PUT_TASKS, bindings).fetchall()
    if connection.execute(_HAVE_MORE).get:
        connection.execute(_PUT_MORE_OF_COURSES.format(source=source), bindings).fetchall()
    strange = (
        connection.execute(_STRANGE.format(source=source), bindings) if connection.execute(_ARE_STRANGE).get else ()
    )
    for key, found in itertools.groupby(strange, _KEY_OF):
        _merge_one(connection, key, [Entry(partition, at, kind) for _, at, kind in found])
    connection.execute("DELETE FROM temp.moves; DELETE FROM temp.courses").fetchall()
    keyed = ((key_of(key), partition, offset) for key, offsets in batch.keyed.items() for offset in offsets)
    connection.executemany(_PUT_KEYED, keyed)


def _merge_one(connection: apsw.Connection, key: bytes, found: list[Entry]) -> None:
    """What `put_tasks` does, for a task whose first event is not its submission, or that is in several partitions."""
    row, others = merge(task_row(connection, key), found)
    if row is not None:
        connection.execute(_PUT_TASK, _bindings(key, row))
    connection.executemany(_PUT_MORE, ((key, *entry) for entry in others))


def put_sessions(connection: apsw.Connection, batch: Batch | Bulk, *, infers: bool) -> None:
    """Take the workers of a batch into the sessions; `infers` as in `judge`."""
    for worker, found in batch.workers().items():
        rows = session_rows(connection, worker, batch.partition)
        judged = judge(worker, batch.partition, rows, found, infers=infers)
        changed = [(key_of(worker), *row[1:]) for row in judged if row not in rows]
        connection.executemany(_PUT_SESSION, changed)
