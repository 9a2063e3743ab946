"""What the journal says of chains: each link comes once, right behind the accepted success of the task before it."""

import journeyman as jm

from torture.verdicts import Verdicts


class ChainLedger:
    """The chains of one partition."""

    def __init__(self, verdicts: Verdicts) -> None:
        self.verdicts = verdicts
        self._owed: tuple[str, int, int, int] | None = None  # the link, its offset, the token before it, its result

    def admits(self, event: jm.Event) -> bool:
        """Whether a submission is to be accepted as far as chains go."""
        said = event.context
        if "after" not in said:
            return True
        owed, self._owed = self._owed, None
        if owed is None or (said["task"], event.offset, said["after"]) != owed[:3]:
            self.verdicts.counts["refused links"] += 1
            return False
        if said["previous_result"] != owed[3]:
            self._violated(f"{said['task']} is given {said['previous_result']}, and {owed[3]} came before it")
        self.verdicts.counts["links"] += 1
        return True

    def succeeded(self, event: jm.Event) -> None:
        """Note the accepted success of a task, and the link that has to come next."""
        link = event.context.get("next")
        if link is not None:
            self._owed = (link, event.offset + 1, event.context["claim"], event.context["result"])

    def take(self, event: jm.Event) -> None:
        """Check that the link which has to come next is what comes, before the event is judged."""
        owed = self._owed
        if owed is not None and event.context.get("task") != owed[0]:
            self._owed = None
            self._violated(f"the link {owed[0]} does not come right behind the success before it")

    def close(self) -> None:
        """Nothing comes any more."""
        if self._owed is not None:
            self._violated(f"the link {self._owed[0]} is missing")

    def _violated(self, what: str) -> None:
        self.verdicts.violations.append(what)
