"""Append the worker's events, then apply them by the positions they got, without reading them again."""

import logging
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from ...journal.async_journal import AsyncJournal
from ...journal.errors import EventConflict, JournalError
from ...journal.event import Distinct, Event
from ...journal.row_decoder import RowDecoder
from ...journal.runtime import blocking
from ...tasks.failure_detector import FailureDetector
from ...tasks.index.records import rows_at
from ...tasks.limits import LEASE_RENEWAL_FRACTION
from ...tasks.linked_lock import LockLink, release_link
from ...tasks.state import names
from ...tasks.state.routing import LINKED_MARK
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView, Verdict
from ..executors.pipeline import Outcome
from ..executors.tracing import TRACING, trace_commits
from ..limits import HOOK_SECONDS_MAX, LEASE_START_FRACTION, NEWEST_WEIGHT
from ..scheduling.decide import Beat
from ..settings import WorkerCounts
from .bound_release import alone, guarded
from .drafts import WorkerDraft, Written, outcome_entries
from .failure_log import FailureLog
from .hooks import OutcomeHooks
from .reader import JournalReader
from .sessions import OwnSessions

logger = logging.getLogger("journeyman.worker")


class _Context(msgspec.Struct):
    hooks: bool = True


class _Revocation(msgspec.Struct):
    context: _Context


_revocations: Final = RowDecoder(_Revocation)

_ACCEPTED: Final = Verdict.ACCEPTED
_ENDED: Final = (State.SUCCEEDED, State.FAILED, State.REVOKED)


class Appender:
    """Appends for one worker loop, applies its events to `view`, and counts outcomes in `counts`.

    `seconds` is the recent average duration of an append.
    """

    def __init__(
        self,
        journal: AsyncJournal,
        reader: JournalReader,
        view: TaskView,
        detector: FailureDetector,
        lease_seconds: float,
        counts: WorkerCounts,
        hooks: OutcomeHooks,
    ) -> None:
        self._journal = journal
        self._reader = reader
        self._view = view
        self._detector = detector
        self._lease_seconds = lease_seconds
        self._counts = counts
        self._hooks = hooks if hooks.any else None
        self.failures = FailureLog()
        self.seconds = 0.0
        self._links: list[tuple[LockLink, str]] = []  # the locks of tasks that have ended, to be released
        # The refused outcomes of revoked tasks, and the offset of each revocation.
        self._revoked: list[tuple[Outcome, int, int]] = []

    async def aclose(self) -> None:
        """Wait until the hooks for the outcomes were called, at most `HOOK_SECONDS_MAX`."""
        if self._hooks is not None:
            await self._hooks.aclose(HOOK_SECONDS_MAX)

    async def append(self, entries: Sequence[WorkerDraft], sessions: OwnSessions) -> Sequence[Event]:
        """Append `entries`, which fit one append, and apply them, after the records of other writers before them."""
        begun = time.monotonic()
        drafts = Distinct([entry.draft for entry in entries])
        # An outcome must not be lost, and appending is idempotent: repeating a draft never doubles it.
        events = await self._reader.available(lambda: self._journal.append_drafts(drafts), "does not take appends")
        took = time.monotonic() - begun
        self.seconds += (took - self.seconds) * NEWEST_WEIGHT
        if took > self._lease_seconds * LEASE_RENEWAL_FRACTION:
            logger.warning("an append took %.1f s: that time does not count as silence of other workers", took)
        await self._apply(entries, events, begun, sessions)
        return events

    async def append_with_release(self, entries: Sequence[WorkerDraft], sessions: OwnSessions) -> None:
        """Append an outcome and the release of its task's lock together if the claim is not over, else apart."""
        partition = entries[0].outcome.job.lease.partition if entries[0].outcome is not None else 0
        together = guarded(entries, self._view, self._reader.position[partition] - 1)
        if together is not None:
            try:
                await self.append(together, sessions)
            except EventConflict as conflict:
                logger.debug("the lock of a task is released behind its outcome: %s", conflict)
            else:
                return
        await self.append(alone(entries), sessions)

    def write_alone(self, outcome: Outcome) -> None:
        """Write the outcome of a lone job in the thread that ran it: its reader waits for one thread switch less.

        One with a large result, which takes several events, is left to the worker loop, and that of a task with a lock,
        whose append is conditional.
        """
        if outcome.large or LINKED_MARK in outcome.job.row:
            return
        entries, begun, events = (
            outcome_entries(outcome, self._journal.log.partition_of),
            time.monotonic(),
            list[Event](),
        )
        try:
            events = blocking.run(self._journal.append_drafts([entry.draft for entry in entries]))
        except JournalError as error:
            logger.debug("the worker loop will write the outcome: %s", error)
        except Exception:  # the thread goes on whatever has failed, and hands the outcome over
            logger.exception("the task's thread could not write the outcome: the worker loop will")
        outcome.written = Written(entries, events, begun)

    async def still_to_write(self, written: Written, sessions: OwnSessions) -> Sequence[WorkerDraft]:
        """Apply what `write_alone` has written and return nothing; return the entries to append if it could not."""
        if not written.events:
            return written.entries  # the same drafts, so none is doubled if they have landed after all
        await self._apply(written.entries, written.events, written.begun, sessions)
        return ()

    # -- applying ------------------------------------------------------------------------------------------------------

    async def _apply(
        self, entries: Sequence[WorkerDraft], events: Sequence[Event], begun: float, sessions: OwnSessions
    ) -> None:
        self._counts.appends += 1
        if TRACING.tracer is not None:
            outcomes = (entry.outcome for entry in entries if entry.outcome is not None)
            trace_commits(((outcome.name, outcome.detail) for outcome in outcomes), begun)
        await self._reader.stop_waiting()
        own = list(zip(entries, events, strict=True))
        partitions = {event.partition for event in events}
        for partition in partitions:
            here = own if len(partitions) == 1 else [pair for pair in own if pair[1].partition == partition]
            await self._apply_own(partition, here)
            sessions[partition].renew(begun, self._lease_seconds * LEASE_START_FRACTION)
        self._reader.count_own(len(events))
        while self._links:
            await release_link(self._journal, *self._links.pop(), self._reader.taking_appends)
        while self._revoked and self._hooks is not None:
            outcome, partition, at = self._revoked.pop()
            if await self._calls_hooks(partition, at):
                self._hooks.revoked(outcome)

    async def _calls_hooks(self, partition: int, revocation: int) -> bool:
        """Return whether the revocation at that offset has hooks called; `Broker.remove` appends one that has not."""
        try:
            row = (await rows_at(await self._journal.open(), partition, [revocation])).get(revocation)
        except JournalError:  # the journal is away: the hook is called rather than left out
            return True
        said = None if row is None else _revocations.read(row)
        return said is None or said.context.hooks

    async def _apply_own(self, partition: int, own: Sequence[tuple[WorkerDraft, Event]]) -> None:
        notes_successes = self._hooks is not None or logger.isEnabledFor(logging.DEBUG)
        apply_fact, counts = self._view.apply_fact, self._counts
        applied = await self._reader.read_before(partition, own[0][1].offset)
        for entry, event in own:
            name, offset = event.name, event.offset
            if offset > applied:  # what comes before it was a repeat, and others have appended since that landed
                self._reader.skip(partition, applied)
                applied = await self._reader.read_before(partition, offset)
            if offset >= applied:
                accepted = apply_fact(name, entry.fact, partition, offset, event.timestamp) is _ACCEPTED
                applied = offset + 1
            else:  # it was read before its acknowledgement came
                accepted = self._was_accepted(partition, entry, offset)
            if name == names.CLAIMED:  # `ClaimedTasks` asks the view what became of it
                continue
            if entry.link is not None and self._may_release(partition, entry, entry.link, accepted=accepted):
                self._links.append((entry.link, entry.fact.task))
            if accepted and name == names.SUCCEEDED:  # as nearly always
                counts.succeeded += 1
                if notes_successes:
                    self._note_success(entry)
            elif name in names.OUTCOMES:
                self._count(partition, entry, accepted=accepted)
            elif isinstance(entry.command, Beat) and entry.command.probe:
                self._detector.probed(partition)
        self._reader.skip(partition, applied)

    def _note_success(self, entry: WorkerDraft) -> None:
        logger.debug("task %s has succeeded", entry.fact.task)
        if self._hooks is not None:
            assert entry.outcome is not None, "the outcomes of a worker are those of its jobs"
            self._hooks.ended(entry.outcome)

    def _was_accepted(self, partition: int, entry: WorkerDraft, offset: int) -> bool:
        """Return whether an own event was accepted that has been read, perhaps together with later ones of its task.

        As long as the session lives, only this outcome or a revocation can have ended its claim.
        """
        last = self._view.last_change(partition, entry.fact.task)
        return last == offset or (last > offset and self._view.session(partition, entry.fact.worker) is not None)

    def _may_release(self, partition: int, entry: WorkerDraft, link: LockLink, *, accepted: bool) -> bool:
        """Return whether the task has ended, by this outcome or, as by a revocation, before it.

        Without a token, the hold of the lock may be another one by then.
        """
        return (accepted or link.token >= 0) and self._view.state_of(partition, entry.fact.task) in _ENDED

    def _count(self, partition: int, entry: WorkerDraft, *, accepted: bool) -> None:
        """Count an outcome, log a failure, and have the hook called; see `_note_success` for the most frequent one."""
        outcome, counts = entry.outcome, self._counts
        assert outcome is not None, "the outcomes of a worker are those of its jobs"
        if not accepted:
            counts.refused += 1
            self._note_refusal(partition, outcome)
            return
        if self._hooks is not None:
            self._hooks.ended(outcome)
        attempts = outcome.job.prior_attempts + 1  # the task may have made others since
        if outcome.name == names.RETRIED:
            counts.retried += 1
            self.failures.retried(outcome.job.state, attempts, entry.draft.context)
        elif outcome.name == names.FAILED:
            counts.failed += 1
            self.failures.failed(outcome.job.state, attempts, entry.draft.context)
        else:
            counts.interrupted += 1

    def _note_refusal(self, partition: int, outcome: Outcome) -> None:
        task_id = outcome.job.state.id
        if self._view.state_of(partition, task_id) is not State.REVOKED:
            logger.warning("%s of task %s was refused: this worker had lost its claim", outcome.name, task_id)
            return
        logger.info("what came of task %s after it was revoked is not recorded", task_id)
        if self._hooks is not None:
            self._revoked.append((outcome, partition, self._view.last_change(partition, task_id)))
