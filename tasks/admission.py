"""Refuse submissions whose task ids the journal holds already.

The task index says whether an id is known up to the end of the log, and the append is conditional on no later event of
that id: of several programs that submit one id at the same time, the log accepts one.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from ..journal.async_journal import AsyncJournal
from ..journal.errors import EventConflict
from ..journal.event import Draft, Event
from .errors import MessageAlreadyExistsError
from .index.index import IndexSnapshot, TaskIndex, task_index
from .index.trace import Trace, read_trace
from .lookup import in_words
from .state.routing import submitted_id


class Admission(NamedTuple):
    """The result of submitting: the events of the accepted submissions, and the refusals of the others, by task id."""

    accepted: list[Event]
    refused: dict[str, MessageAlreadyExistsError]


def submit_next(journal: AsyncJournal, draft: Draft) -> Event | None:
    """Append a submission at once if this process has read the whole log and its id is unknown there.

    Returns None, with nothing appended, if more has to be read. This is the fast path of a process that submits one
    task after the other: one query of the index, one statement in the log.
    """
    if draft.seq or journal.log.needs_loop:
        return None
    index = task_index(journal)
    end = index.end_without(journal.log.partition_of(draft.key), submitted_id(draft.key, draft.context))
    if end is None:
        return None
    draft.expected = end - 1
    event = journal.append_nowait(draft)
    if event is not None:
        index.note_submission(event)
    return event


async def submit_unknown(journal: AsyncJournal, drafts: Sequence[Draft]) -> Admission:
    """Append the submissions whose ids the journal does not know; all are of one partition and fit one append."""
    log = await journal.open()
    index = task_index(journal)
    if len(drafts) == 1:
        event = await _submit_behind_news(journal, index, log.partition_of(drafts[0].key), drafts[0])
        if event is not None:
            return Admission([event], {})
    refused: dict[str, MessageAlreadyExistsError] = {}
    left = _without_doubles(drafts, refused)
    while left:
        partition = log.partition_of(left[0].key)
        snapshot = await index.snapshot(partition)
        unknown: list[Draft] = []
        for draft in left:
            task_id = submitted_id(draft.key, draft.context)
            known = await _known(journal, snapshot, task_id) if not draft.seq else None
            if known is not None:
                refused[task_id] = known
                continue
            if not draft.seq:  # a numbered draft was submitted before, and the log detects its repeat
                draft.expected = snapshot.end[partition] - 1
            unknown.append(draft)
        left = unknown
        if not left:
            break
        try:
            accepted = await journal.append_drafts(left)
        except EventConflict:
            continue  # an event of one of the ids has landed meanwhile, perhaps its submission
        for event in accepted:
            index.note_submission(event)
        return Admission(accepted, refused)
    return Admission([], refused)


async def _submit_behind_news(journal: AsyncJournal, index: TaskIndex, partition: int, draft: Draft) -> Event | None:
    """Read the few events appended since the last look, and append a submission if its id is unknown; else None."""
    if draft.seq:
        return None
    await index.read_news(partition)
    end = index.end_without(partition, submitted_id(draft.key, draft.context))
    if end is None:
        return None
    draft.expected = end - 1
    try:
        event = journal.append_nowait(draft) or (await journal.append_drafts([draft]))[0]
    except EventConflict:
        return None
    index.note_submission(event)
    return event


def _without_doubles(drafts: Sequence[Draft], refused: dict[str, MessageAlreadyExistsError]) -> list[Draft]:
    """Return the first submission of each id, and refuse the others."""
    single: dict[str, Draft] = {}
    for draft in drafts:
        task_id = submitted_id(draft.key, draft.context)
        if single.setdefault(task_id, draft) is not draft:
            refused[task_id] = MessageAlreadyExistsError(
                f"the task {task_id!r} was submitted twice in one call: the first one counts. Submit each id once."
            )
    return list(single.values()) if len(single) < len(drafts) else list(drafts)


async def _known(journal: AsyncJournal, snapshot: IndexSnapshot, task_id: str) -> MessageAlreadyExistsError | None:
    """Return the refusal of an id; None if the log holds no task of it."""
    if not snapshot.entries_of(task_id):
        return None
    trace = await read_trace(await journal.open(), snapshot, task_id)
    return _already_there(journal.url, task_id, trace) if trace.task is not None or trace.is_truncated else None


def _already_there(url: str, task_id: str, trace: Trace) -> MessageAlreadyExistsError:
    task = trace.task
    if task is None:
        what = "has events there, and its submission was removed by retention"
    else:
        moment = datetime.fromtimestamp(task.submitted_at, UTC).isoformat(timespec="seconds")
        what = f"was submitted at {moment} and {in_words(task.state)}"
    return MessageAlreadyExistsError(
        f"the journal {url} has a task {task_id!r} already: it {what}. Nothing was submitted. Ask for its status and "
        "result by this id, or submit under another one.",
        refused=(task_id,),
    )


def several_refused(
    refused: Mapping[str, MessageAlreadyExistsError], accepted: Sequence[str]
) -> MessageAlreadyExistsError:
    """Return the error for several messages of which some were refused."""
    first = next(iter(refused.values()))
    others = f" and {len(refused) - 1:,} more" if len(refused) > 1 else ""
    return MessageAlreadyExistsError(
        f"{len(refused):,} of {len(refused) + len(accepted):,} messages were refused, as the journal holds tasks of "
        f"their ids; the others were accepted. The first one{others}: {first}",
        tuple(refused),
        tuple(accepted),
    )
