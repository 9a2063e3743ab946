"""The links of chains that are about to be submitted. Pure.

The success of a task that has a callback names the next link (`next`), and the submission of that link follows in the
same append. It carries the token of its predecessor's claim (`after`). The rules, in the order of one partition:

1. An accepted success with `next` has the link *expected*, with the success's token.
2. A submission with `after` is accepted only if its id is expected with that token; then it is no longer expected.
   Beyond that the rules of any submission hold: an id that is known is refused.

So a link is submitted if and only if its predecessor has succeeded, once, and by the same claim. Both events of a
former owner are refused: its success has no effect, so no link is expected with its token. Since both events are in one
append, which lands whole or not at all, no link is lost.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from .decoding import EventContext
from .part import Part
from .state import TaskState
from .verdict import Verdict

# The id of an expected link, with the token of its predecessor's claim, by partition.
_Dump = list[tuple[int, str, int]]
_decoder: Final = msgspec.msgpack.Decoder(_Dump)


class ExpectedLinks(Part[tuple[int, str], int, EventContext]):
    """The tokens of the successes whose links are expected, by partition and the link's id.

    No event is about it alone: the fold of the tasks calls `expect` and `take`.
    """

    name = "chains"
    events = ()
    context = EventContext

    def expect(self, partition: int, link: str, claim: int) -> None:
        """Expect the submission of a link whose predecessor has succeeded by that claim."""
        self[partition, link] = claim

    def take(self, partition: int, link: str, claim: int) -> bool:
        """Return whether a link is expected with that token; then it is no longer."""
        if self.get((partition, link)) != claim:
            return False
        del self[partition, link]
        return True

    def apply(self, name: str, context: EventContext, partition: int, offset: int, timestamp: float) -> Verdict:
        """See `Part.apply`: there are no such events."""
        return Verdict.FOREIGN

    def dump(self) -> Any:
        """See `Part.dump`."""
        return [(partition, link, claim) for (partition, link), claim in self.items()]

    def load(self, state: msgspec.Raw, live: Mapping[str, TaskState]) -> Mapping[tuple[int, str], int]:
        """See `Part.load`."""
        return {(partition, link): claim for partition, link, claim in _decoder.decode(state)}
