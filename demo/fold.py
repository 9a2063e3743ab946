"""The demonstration's view: the state that it derives from the journal while it runs."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..consumers.views.view import View
from ..journal.event import Event
from ..journal.log import Page
from ..tasks.state import names
from ..tasks.state.remembering import RememberingView
from ..tasks.state.view import Verdict
from .source import Facts


class DemoView(View):
    """The tasks of one run, by id; `begin` is where the run began, what lies before it is only folded.

    `owners` are the workers whose claims on a task were accepted, in order; `results` the accepted ones, with how often
    one was accepted; `held` how many tasks a worker holds now; `takeovers` counts the claims of tasks whose worker had
    expired. Times are seconds since the epoch, by the journal.
    """

    def __init__(self, task_ids: Mapping[str, str], begin: Mapping[int, int]) -> None:
        self.tasks = RememberingView()
        self.owners: dict[str, list[str]] = {}
        self.results: dict[str, Facts] = {}
        self.successes: Counter[str] = Counter()
        self.failures: dict[str, str] = {}
        self.done_by: Counter[str] = Counter()
        self.events = 0
        self.refused_outcomes = 0
        self.refused_claims = 0
        self.takeovers = 0
        self.first_claim_at = 0.0
        self.last_success_at = 0.0
        self.workers: dict[int, str] = {}
        self._task_ids = task_ids
        self.begin = begin

    @property
    def done(self) -> int:
        """How many tasks are over."""
        return len(self.successes) + len(self.failures)

    @property
    def attempts(self) -> int:
        """How many claims were accepted and not given back, over all tasks of the run."""
        return sum(task.attempts for task in map(self.tasks.find, self._task_ids) if task is not None)

    @property
    def changed_owner(self) -> list[str]:
        """The tasks that more than one worker has owned."""
        return [task for task, owners in self.owners.items() if len(set(owners)) > 1]

    def held(self, worker: str) -> int:
        """How many tasks a worker holds."""
        return sum(len(session.claims) for session in self.tasks.all_sessions() if session.worker == worker)

    def apply_page(self, page: Page) -> None:
        """Apply a page to the state; pages before this run only to the tasks, which is faster."""
        if page.next_offset <= self.begin.get(page.partition, 0):
            self.tasks.apply_page(page)
        else:
            super().apply_page(page)

    def apply(self, event: Event) -> Verdict:
        """Apply one event to the state."""
        takeovers = self.tasks.takeovers
        verdict = self.tasks.apply(event)
        if event.offset >= self.begin.get(event.partition, 0):
            self.events += 1
            if event.name == names.JOINED:
                self.workers[event.context["pid"]] = event.context["worker"]
            elif event.key is not None and event.key in self._task_ids:
                self.takeovers += self.tasks.takeovers - takeovers
                self._apply_own(event, event.key, verdict)
        return verdict

    def _apply_own(self, event: Event, task: str, verdict: Verdict) -> None:
        if verdict is not Verdict.ACCEPTED:
            self.refused_outcomes += event.name in names.OUTCOMES
            self.refused_claims += event.name == names.CLAIMED
        elif event.name == names.CLAIMED:
            self.owners.setdefault(task, []).append(event.context["worker"])
            self.first_claim_at = self.first_claim_at or event.timestamp
        elif event.name == names.SUCCEEDED:
            context: dict[str, Any] = event.context
            self.results[task] = context["result"]
            self.successes[task] += 1
            self.done_by[context["worker"]] += 1
            self.last_success_at = event.timestamp
        elif event.name == names.FAILED:
            self.failures[task] = str(event.context.get("exception", {}).get("text", "no attempt was left"))
