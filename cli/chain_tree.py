"""Print a chain as a tree: its root, below it the links with their states."""

from typing import Final

from rich.console import Console
from rich.text import Text

from ..tasks.inspection.chain import Chain, ChainLink
from ..tasks.inspection.wording import number
from .shared.screen import printable


def print_chain(chain: Chain, console: Console, *, is_alone: bool) -> None:
    """Print the tree; `is_alone`: the task has no history, so the chain is all there is to show."""
    if is_alone:
        link = chain.link
        title = Text.assemble(
            (printable(link.name), "bold"), f"  {printable(link.id)}  ", (f"queue {printable(link.queue)}", "dim")
        )
        console.print(title, soft_wrap=True)
        console.print(Text("is not submitted yet: it is a link of a chain"), soft_wrap=True)
    console.print()
    count = number(len(chain.links) - 1, "link")
    console.print(Text.assemble(("chain ", "bold"), f"of {count} behind its root"), soft_wrap=True)
    last = len(chain.links) - 1
    names = max(len(printable(link.name or "?")) for link in chain.links)
    for place, link in enumerate(chain.links):
        branch = "" if place == 0 else "└─ " if place == last else "├─ "
        console.print(_line(chain, link, branch, names), soft_wrap=True)


def _line(chain: Chain, link: ChainLink, branch: str, columns: int) -> Text:
    state = chain.state_of(link)
    word, style = _WORDS[state]
    if state == "blocked":
        word = f"does not run: {_shown(chain)} {_CAUSES.get(chain.state_of(chain.stands_at()), '')}"
    name = printable(link.name or "?")
    here = ("  ← this task", "bold") if link.id == chain.of else ("", "")
    width = columns + 3 - len(branch)
    return Text.assemble(branch, name.ljust(width), f"  {printable(link.id)}  ", (word, style), here)


def _shown(chain: Chain) -> str:
    return printable(chain.stands_at().id)


_CAUSES: Final = {
    "succeeded": "ended the chain",
    "failed": "failed",
    "revoked": "was revoked",
}
_WORDS: Final = {
    "ready": ("waits to be run", "cyan"),
    "claimed": ("is running", "cyan"),
    "succeeded": ("succeeded", "green"),
    "failed": ("failed", "bold red"),
    "revoked": ("revoked", "yellow"),
    "waits": ("waits for the one before", "dim"),
    "blocked": ("does not run", "yellow"),
}
