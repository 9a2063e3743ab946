"""The routing key of a task's id: links and ticks share the partition of their root."""

import journeyman as jm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.tasks.state.routing import link_id, routing_key


@pytest.mark.parametrize(
    ("task_id", "key"),
    [
        ("0192f0c0-0000-7000-8000-000000000000", "0192f0c0-0000-7000-8000-000000000000"),
        ("0192f0c0-0000-7000-8000-000000000000@3", "0192f0c0-0000-7000-8000-000000000000"),
        ("nightly@1700000000", "nightly"),
        ("nightly@2026-11-30T09:00:00+01:00", "nightly"),
        ("nightly@2026-11-30T09:00:00Z@12", "nightly"),
        ("bob@163.com", "bob@163.com"),
        ("ada@example.org@1", "ada@example.org"),
        ("@7", "@7"),
        ("@7@1", "@7"),
        ("order@", "order@"),
    ],
)
def test_routing_key_is_the_id_without_its_endings(task_id: str, key: str) -> None:
    assert routing_key(task_id) == key


@given(st.text(min_size=1), st.integers(1, 1_000))
def test_link_has_the_routing_key_of_its_root(root: str, number: int) -> None:
    assert routing_key(link_id(root, number)) == routing_key(root)


def test_chosen_id_may_not_be_that_of_a_link_or_a_tick() -> None:
    with jm.Journal("memory://") as journal:
        work = jm.Task(lambda: 1, jm.Broker(journal), "work")
        with pytest.raises(jm.ValidationError, match="of a link of a chain"):
            work.generate(uuid="order@7")
        assert work.generate(uuid="bob@163.com").uuid == "bob@163.com"
