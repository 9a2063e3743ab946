"""Lower bounds for the end offsets of a log's partitions, raised by each event that is read or appended."""

from collections.abc import Mapping


class Reached:
    """The offsets that a log is known to have reached; a draft that gets its number now stands behind them."""

    def __init__(self, end: Mapping[int, int]) -> None:
        self._offsets = dict(end)

    def note(self, partition: int, offset: int) -> None:
        """Note that a partition has reached an offset: the one behind an event that was read or appended."""
        if offset > self._offsets.get(partition, 0):
            self._offsets[partition] = offset

    def of(self, partitions: set[int]) -> dict[int, int]:
        """The offsets of these partitions."""
        return {each: self._offsets.get(each, 0) for each in partitions}
