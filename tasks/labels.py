"""The labels of a message, by which people recognize and filter it: a summary and tags."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .limits import SUMMARY_CHARS_MAX, TAG_CHARS_MAX, TAGS_MAX


class Labels(NamedTuple):
    """The labels in the context of a submission; empty where it has none, or in another form."""

    summary: str = ""
    tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> "Labels":
        """Return the labels in a submission's context."""
        summary, tags = context.get("summary"), context.get("tags")
        return cls(
            summary if isinstance(summary, str) else "",
            tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list | tuple) else (),
        )

    def in_words(self) -> str:
        """Return them in one line: "the spring catalogue (tags print, urgent)"; empty if there are none."""
        tags = f"tags {', '.join(self.tags)}" if self.tags else ""
        return " ".join(f"{self.summary} ({tags})".split()) if self.summary and tags else self.summary or tags

    def fields(self) -> dict[str, Any]:
        """Return them for JSON output."""
        return {"summary": self.summary or None, "tags": list(self.tags)}


def is_summary(value: object) -> bool:
    """Return whether a message may have that summary."""
    return isinstance(value, str) and len(value) <= SUMMARY_CHARS_MAX


def are_tags(value: object) -> bool:
    """Return whether a message may have those tags."""
    if not isinstance(value, tuple) or len(value) > TAGS_MAX:
        return False
    return all(isinstance(tag, str) and 0 < len(tag) <= TAG_CHARS_MAX for tag in value)
