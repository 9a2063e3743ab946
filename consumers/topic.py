"""Match event names against the topic that a consumer follows."""

import re
from typing import Final

from ..journal.limits import NAME_CHARS_MAX
from .limits import TOPIC_NAMES_REMEMBERED

_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_SEPARATORS: Final = re.compile(r"[,;|\s]+")
_WILDCARDS: Final = frozenset("*?#>%+[]{}")


class Topic(dict[str, bool]):
    """The names below a dotted prefix: ``task`` covers ``task`` and ``task.claimed``, never ``tasks.added``.

    The prefix ``""`` covers all. As a mapping it caches for each name whether it is covered: names are few, events are
    many. A prefix that no name can have raises `ValueError`, which says how to write it.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__()
        if not is_topic(prefix):
            raise ValueError(_advice(prefix))
        self.prefix = prefix

    def __missing__(self, name: str) -> bool:
        covered = not self.prefix or name == self.prefix or name.startswith(self.prefix + ".")
        if len(self) >= TOPIC_NAMES_REMEMBERED:
            self.clear()
        self[name] = covered
        return covered


def is_topic(prefix: str) -> bool:
    """Return whether an event can have this topic."""
    return not prefix or (_TOPIC.fullmatch(prefix) is not None and len(prefix) <= NAME_CHARS_MAX)


def _advice(topic: str) -> str:
    """Return why no event can have this topic, with a suggestion."""
    parts = [part for part in _SEPARATORS.split(topic) if part]
    if len(parts) > 1:
        how = (
            "One consumer follows one topic: name a prefix that they share, or '' for all, and choose with "
            "where=lambda event: event.name in (…)"
        )
    elif _WILDCARDS & set(topic):
        meant = topic.split(".")
        while meant and _WILDCARDS & set(meant[-1]):
            meant.pop()
        prefix = ".".join(meant)
        how = (
            f"There are no wildcards, a topic covers all names below it: write {prefix!r}"
            if not prefix or _TOPIC.fullmatch(prefix)
            else "There are no wildcards: name the part before the first one, and choose with where=lambda event: …"
        )
    else:
        prefix = ".".join(re.sub(r"[^A-Za-z0-9_-]", "", part) for part in topic.split("."))
        prefix = re.sub(r"\.+", ".", prefix).strip(".")
        how = f"Write {prefix!r}" if prefix and len(prefix) <= NAME_CHARS_MAX else "Write '' for all events"
    return (
        f"no event can be of the topic {topic!r:.80}: a topic is '' for all, or a dotted prefix of names, such as "
        f"'task' or 'task.failed', of letters, digits, '_' and '-', at most {NAME_CHARS_MAX} characters. {how}."
    )
