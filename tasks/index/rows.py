"""The tables of the index's file, and the statements that write a batch into them."""

import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import apsw

from ..limits import INDEX_PRUNE_TASKS
from .batch import Batch
from .entries import CLAIMED, FOREIGN, NOWHERE, SUBMITTED, IndexEntry, SessionRow, TaskRow, judge, merge
from .keys import key_of, keys_of

APPLICATION_ID: Final = 0x4A4D4958  # "JMIX"
FORMAT_VERSION: Final = 3
# The size of a task's row does not change as the task progresses, or full pages would be split: an offset is stored
# with a bias, and `_UNSET`, which takes as many bytes, means that there is none.
_BIAS: Final = 1 << 24
_UNSET: Final = -(1 << 31)
_HEXADECIMAL: Final = frozenset("0123456789abcdef")
_TABLES: Final = ("tasks", "more", "sessions", "covered", "pruned", "meta")
_SCHEMA: Final = f"""
    CREATE TABLE tasks (key BLOB PRIMARY KEY, partition INTEGER, submitted INTEGER, claimed INTEGER, ended INTEGER)
        WITHOUT ROWID;
    CREATE TABLE more (key BLOB, partition INTEGER, offset INTEGER, kind INTEGER,
        PRIMARY KEY (key, partition, offset)) WITHOUT ROWID;
    CREATE TABLE sessions (worker BLOB, partition INTEGER, joined INTEGER, last INTEGER, ended INTEGER,
        PRIMARY KEY (worker, partition, joined)) WITHOUT ROWID;
    CREATE TABLE covered (partition INTEGER PRIMARY KEY, first INTEGER, next INTEGER, fingerprint TEXT);
    CREATE TABLE pruned (partition INTEGER PRIMARY KEY, first INTEGER);
    CREATE TABLE meta (generation INTEGER);
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {FORMAT_VERSION};
"""
_COVERED: Final = (
    "SELECT meta.generation, ifnull(first, -1), ifnull(next, -1), ifnull(fingerprint, '') "
    "FROM meta LEFT JOIN covered ON partition = ?"
)
# In one statement, as it runs before each submission under a chosen id.
_LOOK: Final = (
    "SELECT EXISTS (SELECT 1 FROM tasks WHERE key = ?1) OR EXISTS (SELECT 1 FROM more WHERE key = ?1), generation, "
    "ifnull((SELECT next FROM covered WHERE partition = ?2), -1) FROM meta"
)
_TASK: Final = "SELECT partition, submitted, claimed, ended FROM tasks WHERE key = ?"
# Scans all keys, to resolve a short id from a screen.
_LIKE: Final = (
    "SELECT submitted FROM tasks WHERE partition = ?2 AND hex(key) LIKE '%' || ?1 ORDER BY submitted DESC LIMIT ?3"
)
_MORE: Final = "SELECT partition, offset, kind FROM more WHERE key = ? ORDER BY partition, offset"
# With the offset up to which they hold, in one statement, so both are of one moment.
_SESSIONS_COVERED: Final = (
    "SELECT ifnull((SELECT next FROM covered WHERE partition = ?2), -1), joined, last, ended "
    "FROM meta LEFT JOIN sessions ON worker = ?1 AND partition = ?2 ORDER BY joined"
)
_SESSIONS: Final = "SELECT joined, last, ended FROM sessions WHERE worker = ? AND partition = ? ORDER BY joined"
# One event of each session, whose record has the worker's id. Scans all sessions, of which there are few.
_SESSIONS_LIKE: Final = """
    SELECT iif(joined >= 0, joined, iif(ended >= 0, ended, last)) FROM sessions
    WHERE partition = ?1
    AND (hex(worker) LIKE '%' || ?2 OR substr(CAST(worker AS TEXT), -length(?3)) = ?3 COLLATE NOCASE)
    ORDER BY joined DESC LIMIT ?4
"""
# The rows of a batch's tasks, while they are merged into the tables.
_SCRATCH: Final = """
    CREATE TEMP TABLE IF NOT EXISTS courses (key BLOB PRIMARY KEY, submitted INTEGER, claimed INTEGER, ended INTEGER,
        submission INTEGER, claim INTEGER, ending INTEGER, new INTEGER, regular INTEGER) WITHOUT ROWID;
"""
_COURSE_CHARS: Final = 13  # of an offset in decimal digits, as many as fit the stored integers, and its sign
# The same as `merge` for each task, except irregular ones: `regular` is 0 if the events begin before the submission, or
# if the task is one of another partition. All in one statement, so that SQLite does not return to Python, and wait for
# the GIL, for each row. The limit makes SQLite read each number once.
_PUT_COURSES: Final = f"""
    INSERT INTO temp.courses
    SELECT found.key, ifnull(submitted, submission + {_BIAS}),
        iif(ifnull(claimed, {_UNSET}) = {_UNSET}, iif(claim < 0, {_UNSET}, claim + {_BIAS}), claimed),
        iif(ifnull(ended, {_UNSET}) = {_UNSET}, iif(ending < 0, {_UNSET}, ending + {_BIAS}), ended),
        submission, claim, ending, tasks.key IS NULL,
        iif(tasks.key IS NULL,
            submission >= 0 AND (claim < 0 OR claim > submission) AND (ending < 0 OR ending > submission),
            partition = :partition)
    FROM (
        SELECT value AS key,
            CAST(substr(:submitted, {_COURSE_CHARS} * (rowid - 1) + 1, {_COURSE_CHARS}) AS INTEGER) AS submission,
            CAST(substr(:claimed, {_COURSE_CHARS} * (rowid - 1) + 1, {_COURSE_CHARS}) AS INTEGER) AS claim,
            CAST(substr(:ended, {_COURSE_CHARS} * (rowid - 1) + 1, {_COURSE_CHARS}) AS INTEGER) AS ending
        FROM carray(:keys) LIMIT -1
    ) AS found LEFT JOIN tasks ON tasks.key = found.key
"""  # noqa: S608
_PUT_TASKS: Final = """
    INSERT INTO tasks SELECT key, :partition, submitted, claimed, ended FROM temp.courses WHERE regular
    ON CONFLICT (key) DO UPDATE SET claimed = excluded.claimed, ended = excluded.ended
"""
# Events of tasks that were submitted, claimed or ended before.
_REPEATED: Final = f"""
    SELECT key, iif(submission < 0, NULL, submission), iif(claim < 0 OR claim + {_BIAS} = claimed, NULL, claim),
        iif(ending < 0 OR ending + {_BIAS} = ended, NULL, ending)
    FROM temp.courses WHERE regular AND NOT new AND (submission >= 0 OR (claim >= 0 AND claim + {_BIAS} <> claimed)
        OR (ending >= 0 AND ending + {_BIAS} <> ended))
"""  # noqa: S608
_STRANGE: Final = "SELECT key FROM temp.courses WHERE NOT regular"
_PUT_TASK: Final = "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?)"
_PUT_MORE: Final = "INSERT OR IGNORE INTO more VALUES (?, ?, ?, ?)"
_PUT_KEYED: Final = f"INSERT OR IGNORE INTO more SELECT key, ?2, ?3, {FOREIGN} FROM tasks WHERE key = ?1"  # noqa: S608
_PUT_SESSION: Final = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?)"
# How many tasks one transaction examines.
_SOME_KEYS: Final = "SELECT key FROM tasks WHERE key > ? ORDER BY key LIMIT ?"
_PRUNE_MORE: Final = """
    DELETE FROM more WHERE key > :after AND key <= :last AND partition = :partition AND offset < :first
"""
_PRUNE: Final = """
    DELETE FROM tasks WHERE key > :after AND key <= :last AND partition = :partition
    AND submitted < :stored AND claimed < :stored AND ended < :stored
    AND NOT EXISTS (SELECT 1 FROM more WHERE more.key = tasks.key)
"""
_PRUNE_ROWLESS: Final = """
    DELETE FROM more WHERE partition = :partition AND offset < :first
    AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.key = more.key)
"""
_PRUNE_SESSIONS: Final = "DELETE FROM sessions WHERE partition = :partition AND ended >= 0 AND ended < :first"
_PUT_PRUNED: Final = "INSERT OR REPLACE INTO pruned VALUES (:partition, :first)"
_PRUNED: Final = "SELECT ifnull(max(first), 0) FROM pruned WHERE partition = ?"
_PUT_COVERED: Final = "INSERT OR REPLACE INTO covered VALUES (?, ?, ?, ?)"


class Covered(NamedTuple):
    """How far the file covers a partition: from `first` up to, not including, `next_offset`; `NOWHERE` if not at all.

    `fingerprint` is that of the event before `next_offset`. The file's `generation` changes when it is built anew.
    """

    generation: int
    first: int
    next_offset: int
    fingerprint: str


def make(connection: apsw.Connection) -> None:
    """Drop and create all tables, inside the caller's transaction."""
    for table in _TABLES:
        connection.execute(f"DROP TABLE IF EXISTS {table}").fetchall()
    connection.execute(_SCHEMA).fetchall()
    connection.execute("INSERT INTO meta VALUES (?)", (secrets.randbits(62),)).fetchall()


def prepare(connection: apsw.Connection) -> None:
    """Set a connection up: its temporary table."""
    connection.pragma("temp_store", "memory")
    connection.execute(_SCRATCH).fetchall()


def covered(connection: apsw.Connection, partition: int) -> Covered:
    """How far the file covers a partition."""
    found = connection.execute(_COVERED, (partition,)).fetchone()
    if found is None:
        raise apsw.CorruptError("it has lost its generation")
    return Covered(*found)


def lacks(cursor: apsw.Cursor, key: bytes, partition: int, after: Covered) -> bool:
    """Return whether there is no event of any id with the key in the partition up to the end of `after`.

    False as well if the file no longer covers that, as it was built anew.
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


def sessions(connection: apsw.Connection, worker: str, partition: int) -> tuple[list[SessionRow], int]:
    """Return the sessions as `session_rows` does, and the offset up to which the file covers the partition."""
    found: list[Any] = connection.execute(_SESSIONS_COVERED, (key_of(worker), partition)).fetchall()
    if not found:
        raise apsw.CorruptError("it has lost its generation")
    rows = [SessionRow(worker, partition, *row) for _, *row in found if row[0] is not None]
    return rows, found[0][0]


def pruned(connection: apsw.Connection, partition: int) -> int:
    """Return the offset up to which rows were removed, as retention had removed their events."""
    found: int = connection.execute(_PRUNED, (partition,)).get
    return found


def prune(connection: apsw.Connection, partition: int, first: int, after: bytes) -> bytes | None:
    """Remove the rows of tasks without events from the offset `first` on, for some tasks from the key `after` on.

    Returns the key to continue from, None at the end. A row keeps the offsets of removed events as long as one event is
    left, since readers ignore them.
    """
    keys: list[Any] = connection.execute(_SOME_KEYS, (after, INDEX_PRUNE_TASKS)).fetchall()
    last = keys[-1][0] if keys else None
    bindings = {"partition": partition, "first": first, "stored": first + _BIAS, "after": after, "last": last}
    if last is not None:
        connection.execute(_PRUNE_MORE, bindings).fetchall()
        connection.execute(_PRUNE, bindings).fetchall()
    return last if len(keys) == INDEX_PRUNE_TASKS else None


def prune_rest(connection: apsw.Connection, partition: int, first: int) -> None:
    """Remove sessions that ended before the offset `first`, and events of tasks without a row; note `first`."""
    bindings = {"partition": partition, "first": first}
    connection.execute(_PRUNE_ROWLESS, bindings).fetchall()
    connection.execute(_PRUNE_SESSIONS, bindings).fetchall()
    connection.execute(_PUT_PRUNED, bindings).fetchall()


def put_covered(connection: apsw.Connection, batch: Batch, first: int) -> None:
    """Record that the file now covers the batch as well."""
    connection.execute(_PUT_COVERED, (batch.partition, first, batch.next_offset, batch.fingerprint))


def entries(connection: apsw.Connection, key: bytes) -> list[IndexEntry]:
    """Return the events of all ids with a key."""
    row = task_row(connection, key)
    found = row.entries() if row is not None else []
    return sorted([*found, *map(IndexEntry._make, connection.execute(_MORE, (key,)))])


def sessions_like(connection: apsw.Connection, part: str, partition: int, limit: int) -> list[int]:
    """Return the offset of one event of each session of a partition whose worker's id may end with `part`."""
    digits = part.replace("-", "").lower()
    digits_or_null = digits if digits and not set(digits) - _HEXADECIMAL else None
    return [offset for (offset,) in connection.execute(_SESSIONS_LIKE, (partition, digits_or_null, part, limit))]


def rows_like(connection: apsw.Connection, digits: str, partition: int, limit: int) -> list[TaskRow]:
    """Rows of tasks of a partition whose key, in hexadecimal digits, ends with `digits`; the newest ones."""
    if not digits or set(digits) - _HEXADECIMAL:
        return []
    found = connection.execute(_LIKE, (digits, partition, limit))
    return [TaskRow(partition, submitted - _BIAS if submitted != _UNSET else NOWHERE) for (submitted,) in found]


def put_tasks(connection: apsw.Connection, batch: Batch) -> None:
    """Merge the tasks of a batch into the tables, as `merge` does, in a few statements for all of them."""
    partition, keys = batch.partition, keys_of(list(batch.numbers))
    strange = _put_courses(connection, batch, keys)
    more = [
        (keys[number], partition, *event)
        for number, events in batch.more.items()
        if keys[number] not in strange
        for event in events
    ]
    connection.executemany(_PUT_MORE, more)
    found: dict[bytes, list[IndexEntry]] = {}
    for task_id in batch.numbers if strange else ():
        if (key := key_of(task_id)) in strange:
            found.setdefault(key, []).extend(batch.task_entries(task_id))
    for key, entries in found.items():
        _merge_one(connection, key, sorted(entries))
    keyed = ((key_of(key), partition, offset) for key, offsets in batch.keyed.items() for offset in offsets)
    connection.executemany(_PUT_KEYED, keyed)


def _put_courses(connection: apsw.Connection, batch: Batch, keys: list[bytes]) -> set[bytes]:
    """Write the first submission, claim and end of each task, except for irregular ones, whose keys are returned."""
    # In the order of their keys, so that each page of the tree is found once.
    order = sorted(range(len(keys)), key=keys.__getitem__)
    strange: set[bytes] = set()
    if len(set(keys)) < len(keys):  # several ids share a key
        strange = {key for key, count in Counter(keys).items() if count > 1}
        order = [number for number in order if keys[number] not in strange]
    if not order:
        return strange
    bindings: dict[str, Any] = {
        "partition": batch.partition,
        "keys": apsw.carray(tuple(map(keys.__getitem__, order))),
        "submitted": _packed(batch.submitted, order),
        "claimed": _packed(batch.claimed, order),
        "ended": _packed(batch.ended, order),
    }
    connection.execute(_PUT_COURSES, bindings).fetchall()
    connection.execute(_PUT_TASKS, {"partition": batch.partition}).fetchall()
    repeated: list[Any] = connection.execute(_REPEATED).fetchall()
    numbers = dict(zip(keys, range(len(keys)), strict=True)) if repeated else {}
    for key, *offsets in repeated:
        kinds = (SUBMITTED, CLAIMED, batch.end_kind(numbers[key]))
        again = [(key, batch.partition, at, kind) for at, kind in zip(offsets, kinds, strict=True) if at is not None]
        connection.executemany(_PUT_MORE, again)
    found: list[Any] = connection.execute(_STRANGE).fetchall()
    connection.execute("DELETE FROM temp.courses").fetchall()
    return strange.union(key for (key,) in found)


def _packed(offsets: Sequence[int], order: Sequence[int]) -> bytes:
    """Return these offsets as decimal digits of one length."""
    return (f"%{_COURSE_CHARS}d" * len(order) % tuple(map(offsets.__getitem__, order))).encode()


def _merge_one(connection: apsw.Connection, key: bytes, found: list[IndexEntry]) -> None:
    """Merge a single task whose first event is not its submission, or that is in several partitions."""
    row, others = merge(task_row(connection, key), found)
    if row is not None:
        connection.execute(_PUT_TASK, _bindings(key, row))
    connection.executemany(_PUT_MORE, ((key, *entry) for entry in others))


def put_sessions(connection: apsw.Connection, batch: Batch, *, infers: bool) -> None:
    """Merge the workers of a batch into the sessions; `infers` as in `judge`."""
    for worker, found in batch.workers().items():
        rows = session_rows(connection, worker, batch.partition)
        judged = judge(worker, batch.partition, rows, found, infers=infers)
        changed = [(key_of(worker), *row[1:]) for row in judged if row not in rows]
        connection.executemany(_PUT_SESSION, changed)
