"""3. A view folds events into a state, as a SQL table could be rebuilt from the log of its changes.

`apply` is pure: it reads no clock and nothing else but the event. So every process that replays the same events reaches
the same state, and the state of any past moment can be computed: replay up to there.
"""

from journeyman import Event, Journal, Replica, View
from journeyman.consumers import as_of


class Shelf(View):
    """How many loaves lie on the shelf."""

    def __init__(self) -> None:
        self.loaves = 0

    def apply(self, event: Event) -> None:
        if event.name == "bread.baked":
            self.loaves += event.context["loaves"]
        elif event.name == "bread.sold":
            self.loaves -= event.context["loaves"]


def test_replica_keeps_a_view_current(journal: Journal) -> None:
    journal.append("bread.baked", {"loaves": 12})
    shelf = Replica(journal.asynchronous, Shelf())
    journal.run(shelf.catch_up())
    assert shelf.view.loaves == 12

    # Read your own write: wait until the replica has applied the event that you appended.
    sold = journal.append("bread.sold", {"loaves": 5})
    journal.run(shelf.wait_for(sold.position, timeout=60))
    assert shelf.view.loaves == 7
    journal.run(shelf.aclose())


def test_as_of_computes_the_state_of_a_past_moment(journal: Journal) -> None:
    baked = journal.append("bread.baked", {"loaves": 12})
    sold = journal.append("bread.sold", {"loaves": 5})

    # By time, in seconds since the epoch: the events up to and with that time count.
    assert journal.run(as_of(journal.asynchronous, Shelf, baked.timestamp)).loaves == 12
    assert journal.run(as_of(journal.asynchronous, Shelf, sold.timestamp)).loaves == 7

    # Or by cursor, an offset for each partition: the events before it count.
    assert journal.run(as_of(journal.asynchronous, Shelf, {0: 1})).loaves == 12
