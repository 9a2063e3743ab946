"""Build the events to append from a worker's commands and from the outcomes of its jobs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from ...journal.event import Draft, Event, check
from ...journal.limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX
from ...tasks.chains import submission_after
from ...tasks.large_results import pieces
from ...tasks.linked_lock import LockLink, link_in, release_draft
from ...tasks.state import names
from ...tasks.state.decoding import FactContext, TaskContext, read_context
from ...tasks.state.locks import LockContext
from ...tasks.state.routing import LINKED_MARK, routing_key
from ..executors.pipeline import Job, Outcome, SessionLease
from ..executors.reported import Fields, Reported
from ..limits import ENTRY_BYTES_MAX
from ..scheduling.decide import Beat, Claim, Command, Expire, Join, Lapse
from .known_tasks import KnownTasks
from .registration import joining
from .sessions import OwnSessions

_FINAL: Final = frozenset({names.SUCCEEDED, names.FAILED})

# Returns the partition of a key.
PartitionOf = Callable[[str], int]


class ReleaseContext(LockContext, gc=False):
    """The fields that the fold needs of the release of a lock, and the task that was linked to it."""

    task: str = ""


class WorkerDraft(msgspec.Struct, gc=False):
    """One event to append, and the same event as the fold will read it.

    `bound`: it goes into the same append as the entry before it.
    """

    draft: Draft
    fact: TaskContext | ReleaseContext
    command: Command | None = None
    link: LockLink | None = None  # the lock to be released when the task has ended
    outcome: Outcome | None = None
    bound: bool = False


class Written(NamedTuple):
    """An outcome that the job's thread tried to append from `begun` (monotonic) on; no `events` if that failed."""

    entries: Sequence[WorkerDraft]
    events: Sequence[Event]
    begun: float


class WorkerFacts(NamedTuple):
    """The facts about the worker that the drafts of commands contain; `rows` are the submissions of lapsing tasks."""

    sessions: OwnSessions
    known: KnownTasks
    lease_ms: int
    slots: int
    rows: Mapping[str, bytes]


def outcome_entries(outcome: Outcome, partition_of: PartitionOf) -> list[WorkerDraft]:
    """Return the outcome of a job, behind its last report of progress and the parts of a large result.

    Bound to it are the submission of the next link of its chain, if there is one, and the release of the task's lock,
    if both have the same partition.
    """
    entry = outcome_entry(outcome)
    if outcome.plain and not outcome.large:  # without lock, progress or chain, as nearly always
        return [entry]
    entries = [*part_entries(outcome), entry]
    if fields := outcome.job.lease.reported.end(outcome.job):
        entries.insert(0, progress_entry(outcome.job, fields))
    if outcome.link and not outcome.large:
        entries.append(_next_link(outcome, entry.fact))
    if entry.link is not None and (release := _release(outcome, entry.link, partition_of)) is not None:
        entry.link = None
        entries.append(release)
    return entries


def _next_link(outcome: Outcome, ended: TaskContext | ReleaseContext) -> WorkerDraft:
    assert isinstance(ended, TaskContext), "an outcome is about a task"
    job: Job = outcome.job
    context = submission_after(outcome.link, job.claim)
    fact = read_context(names.SUBMITTED, context)
    ended.next = fact.task
    draft = Draft(names.SUBMITTED, context, routing_key(fact.task), job.lease.partition)
    return WorkerDraft(draft, fact, bound=True)


def _release(outcome: Outcome, link: LockLink, partition_of: PartitionOf) -> WorkerDraft | None:
    """The release of the lock linked to a task that ends, if it can be bound to the outcome.

    The release takes effect even if the outcome is refused. So a worker that may have lost its claim releases the lock
    only behind the outcome; the others append both under a condition, see `bound_release`.
    """
    job: Job = outcome.job
    may_bind = outcome.name in _FINAL and link.token >= 0 and job.may_start
    if not may_bind or partition_of(link.name) != job.lease.partition:
        return None
    fact = ReleaseContext(lock=link.name, token=link.token, task=job.state.id)
    return WorkerDraft(release_draft(link, job.state.id), fact, bound=True)


def outcome_entry(outcome: Outcome) -> WorkerDraft:
    """The outcome of a job, with its fencing token."""
    job: Job = outcome.job
    lease, task_id = job.lease, job.state.id
    fact = TaskContext(lease.worker, task_id, job.claim, outcome.due)
    key = routing_key(task_id) if job.claimed is None else job.claimed.key
    draft = Draft(outcome.name, outcome.context(), key, lease.partition)
    link = None if outcome.plain or job.row.find(LINKED_MARK) < 0 else link_in(job.row)
    return WorkerDraft(draft, fact, None, link, outcome)


def progress_entry(job: Job, fields: Fields) -> WorkerDraft:
    """The latest reports of a job's progress, with its fencing token."""
    detail = b"".join(b',"%b":%b' % (name.encode(), value) for name, value in fields.items())
    context = Outcome(job, names.PROGRESSED, detail).context()
    fact = TaskContext(task=job.state.id, worker=job.lease.worker, claim=job.claim)
    return WorkerDraft(Draft(names.PROGRESSED, context, routing_key(job.state.id), job.lease.partition), fact)


def progress_entries(reported: Reported) -> list[WorkerDraft]:
    """Return the reports of progress to append: those of jobs whose claim has ended are dropped."""
    entries: list[WorkerDraft] = []
    for job, fields in reported.take():
        assert isinstance(job, Job), "a worker's runs are its jobs"
        if job.state.claim == job.claim:
            entries.append(progress_entry(job, fields))
        else:
            reported.end(job)
    return entries


def part_entries(outcome: Outcome) -> Iterator[WorkerDraft]:
    """The events that hold the large result of an outcome, which stand before it, with the same fencing token."""
    job: Job = outcome.job
    fact = TaskContext(task=job.state.id, worker=job.lease.worker, claim=job.claim)
    for number, piece in enumerate(pieces(outcome.large)):
        context = b'{"task":%b,"worker":"%b","claim":%d,"part":%d,"text":%b}' % (
            orjson.dumps(job.state.id),
            job.lease.encoded,
            job.claim,
            number,
            orjson.dumps(piece),
        )
        draft = Draft(names.RESULT_STORED, context, routing_key(job.state.id), job.lease.partition)
        yield WorkerDraft(draft, fact)


def _claim(command: Claim, lease: SessionLease) -> WorkerDraft:
    task_id = command.task.id
    context = b'{"task":%b,"worker":"%b"}' % (orjson.dumps(task_id), lease.encoded)
    draft = Draft(names.CLAIMED, context, routing_key(task_id), lease.partition)
    return WorkerDraft(draft, TaskContext(lease.worker, task_id), command)


def _lapse(command: Lapse, facts: WorkerFacts) -> WorkerDraft:
    task = command.task
    lease = facts.sessions[task.kind.partition]
    context = orjson.dumps({"task": task.id, "worker": lease.worker, "reason": names.EXPIRED_REASON})
    draft = Draft(names.LAPSED, context, routing_key(task.id), task.kind.partition)
    link = link_in(facts.rows.get(task.id, b""))
    return WorkerDraft(draft, TaskContext(lease.worker, task.id), command, link)


def _join(command: Join, facts: WorkerFacts) -> WorkerDraft:
    lease, known = facts.sessions.fresh(command.partition), facts.known
    fact, context = joining(lease.worker, facts.lease_ms, known.accepts, known.selection, facts.slots)
    return _worker_entry(names.JOINED, context, lease, fact, command)


def _beat(command: Beat, facts: WorkerFacts) -> WorkerDraft:
    lease = facts.sessions[command.partition]
    return _worker_entry(names.BEAT, _own_name(lease), lease, FactContext(worker=lease.worker), command)


def _expire(command: Expire, facts: WorkerFacts) -> WorkerDraft:
    lease = facts.sessions[command.partition]
    context = orjson.dumps({"worker": command.worker, "last": command.last, "by": lease.worker})
    fact = FactContext(worker=command.worker, last=command.last, by=lease.worker)
    return _worker_entry(names.EXPIRED, context, lease, fact, command)


# The draft of each type of command but `Claim`.
_DRAFTS: Final[dict[type, Callable[[Any, WorkerFacts], WorkerDraft]]] = {
    Lapse: _lapse,
    Join: _join,
    Beat: _beat,
    Expire: _expire,
}


def entries_of(commands: Sequence[Command], facts: WorkerFacts) -> list[WorkerDraft]:
    """Return the events to append for the commands."""
    leases, drafts = facts.sessions.leases, _DRAFTS
    return [
        _claim(command, leases[command.task.kind.partition])
        if isinstance(command, Claim)
        else drafts[type(command)](command, facts)
        for command in commands
    ]


def leave_entry(lease: SessionLease) -> WorkerDraft:
    """The end of a session by its own worker: the claims it still holds return without using up an attempt."""
    return session_entry(names.LEFT, lease)


def session_entry(name: str, lease: SessionLease) -> WorkerDraft:
    """An event of that name about a session, by its own worker."""
    return _worker_entry(name, _own_name(lease), lease, FactContext(worker=lease.worker))


def _own_name(lease: SessionLease) -> bytes:
    return b'{"worker":"%b"}' % lease.worker.encode()


def _worker_entry(
    name: str, context: bytes, lease: SessionLease, fact: FactContext, command: Command | None = None
) -> WorkerDraft:
    return WorkerDraft(Draft(name, context, fact.worker, lease.partition), fact, command)


def appends_of(entries: Sequence[WorkerDraft]) -> Iterator[Sequence[WorkerDraft]]:
    """Split the entries into appends: one for each outcome with the release of a lock, and few for all others."""
    part: list[WorkerDraft] = []
    if ReleaseContext in {type(entry.fact) for entry in entries}:
        for group in _groups(entries):
            if not isinstance(group[-1].fact, ReleaseContext):
                part += group
                continue
            if part:
                yield from within_limits(part)
            yield group
            part = []
        entries = part
    if entries:
        yield from within_limits(entries)


def within_limits(entries: Sequence[WorkerDraft]) -> Iterator[Sequence[WorkerDraft]]:
    """Split the entries into as few appends as the limits allow: results can be large."""
    bytes_max = sum([len(entry.draft.context) for entry in entries]) + ENTRY_BYTES_MAX * len(entries)
    if bytes_max <= BATCH_BYTES_MAX and len(entries) <= BATCH_EVENTS_MAX:
        yield entries
        return
    part: list[WorkerDraft] = []
    size = 0
    for group in _groups(entries):
        needed = sum(check(entry.draft) for entry in group)
        if part and (len(part) + len(group) > BATCH_EVENTS_MAX or size + needed > BATCH_BYTES_MAX):
            yield part
            part, size = [], 0
        part += group
        size += needed
    yield part


def _groups(entries: Sequence[WorkerDraft]) -> Iterator[list[WorkerDraft]]:
    """Yield each entry with those that are bound to it."""
    group: list[WorkerDraft] = []
    for entry in entries:
        if group and not entry.bound:
            yield group
            group = []
        group.append(entry)
    yield group
