"""Explain a link of a chain that is not submitted, and what the end of a task means for the links behind it. Pure."""

from shlex import quote
from typing import Final

from ..state.state import TaskState
from ..state.transitions import State
from .chain import Chain
from .findings import Finding
from .wording import number


def why_not_submitted(chain: Chain) -> Finding:
    """Return why a link of a chain is not submitted: it waits for the one before, or does not follow by itself."""
    link, at = chain.link, chain.stands_at()
    place, last = chain.links.index(link), len(chain.links) - 1
    it = f"It is link {place} of {last} in the chain of {chain.links[0].id}"
    facts = {"root": chain.links[0].id, "link": place, "links": last, "stands_at": at.id, "state": chain.state_of(at)}
    distance = place - chain.links.index(at)
    before = "the task before it" if distance == 1 else f"{number(distance, 'link')} before it"
    if not chain.is_stopped():
        doing = "is running" if at.task is not None and at.task.state is State.CLAIMED else "waits to be run"
        sentence = (
            f"{it} and is submitted when the one before it has succeeded. The chain stands at {at.id}, {before}, which "
            f"{doing}: `journeyman why {quote(at.id)}` says why."
        )
        return Finding("link_waits", sentence, facts)
    state = at.task.state if at.task is not None else State.UNKNOWN
    ended = _ENDED[state].format(task=quote(at.id))
    return Finding("link_blocked", f"{it} and was never submitted: {at.id}, {before}, {ended}", facts)


_ENDED: Final = {
    State.FAILED: "failed for good. The chain goes on if that task is requeued and succeeds: "
    "`journeyman requeue {task}`. `journeyman why {task}` shows its error.",
    State.REVOKED: "was taken out, so this link does not run any more. `journeyman history {task}` shows who did that; "
    "submit the rest of the chain anew if it is still wanted.",
    State.SUCCEEDED: "succeeded and ended the chain: its do_callback said so, or it was acknowledged by hand, so "
    "this link does not run any more. `journeyman history {task}` shows which; submit the rest anew if it is wanted.",
}


def links_behind(chain: Chain, task: TaskState) -> list[Finding]:
    """Return what the failure or the revocation of a task means for the links behind it, if there are any."""
    if task.state not in (State.FAILED, State.REVOKED) or not chain.behind(chain.link):
        return []
    count = chain.behind(chain.link)
    behind = f"{number(count, 'link')} of its chain {'is' if count == 1 else 'are'} behind it"
    facts = {"root": chain.links[0].id, "behind": count}
    if task.state is State.FAILED:
        return [
            Finding(
                "chain_blocked",
                f"{behind}: {'it follows' if count == 1 else 'they follow'} if this task is requeued and succeeds.",
                facts,
            )
        ]
    return [
        Finding(
            "chain_blocked",
            f"{behind} and never {'runs' if count == 1 else 'run'}. Submit them anew if they are still wanted.",
            facts,
        )
    ]
