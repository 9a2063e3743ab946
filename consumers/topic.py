"""Topics: which names a consumer follows."""

from typing import Final

_NAMES_MAX: Final = 4_096


class Topic(dict[str, bool]):
    """The names below a dotted prefix: ``task`` covers ``task`` and ``task.claimed``, never ``tasks.added``.

    The prefix ``""`` covers all. As a mapping it says for a name whether it is covered, worked out once for each name:
    names are few, events are many.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix

    def __missing__(self, name: str) -> bool:
        covered = not self.prefix or name == self.prefix or name.startswith(self.prefix + ".")
        if len(self) >= _NAMES_MAX:
            self.clear()
        self[name] = covered
        return covered
