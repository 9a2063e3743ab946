"""Summaries and tags of messages: kept in the journal, shown by the commands, filtered by `dlq list`."""

import json
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.cli.app import main
from journeyman.tasks.limits import SUMMARY_CHARS_MAX, TAG_CHARS_MAX, TAGS_MAX


def test_labels_are_kept_and_shown_by_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path}/labels.db"

    def shown(*arguments: str) -> str:
        main([*arguments, "--journal", url])
        return " ".join(capsys.readouterr().out.split())

    with jm.Journal(url) as journal:
        work = jm.task(jm.Broker(journal), name="work")(print)
        one = work.generate([1], summary="the spring catalogue", tags=["print", "urgent"])
        two = work.generate([2])
        submitted = [event.context for event in journal.read().events]
        assert [each.get("tags") for each in submitted] == [["print", "urgent"], None]
        assert "summary" not in submitted[1]
        words = "the spring catalogue (tags print, urgent)"
        assert f"Its labels: {words}." in shown("why", one.uuid)
        assert words in shown("history", one.uuid)
        for message in (one, two):
            work.broker.fail(message)
        assert words in shown("dlq", "show", one.uuid)
        listed = json.loads(shown("dlq", "list", "--tag", "urgent", "--json"))
        assert (listed["id"], listed["tags"]) == (one.uuid, ["print", "urgent"])
        assert one.uuid not in shown("dlq", "list", "--tag", "slow")


def test_message_is_equal_to_one_of_its_data() -> None:
    plain, labelled = jm.Message("work"), jm.Message("work", summary="one", tags=["a"])
    assert (labelled.summary, labelled.tags) == ("one", ("a",))
    assert plain.uuid in plain.summary
    for message in (plain, labelled):
        assert jm.Message(**message.data) == message
        assert message.clone() == message
    assert jm.Message("work", summary=None, tags=None).tags == ()


@pytest.mark.parametrize(
    "labels",
    [
        {"summary": "x" * (SUMMARY_CHARS_MAX + 1)},
        {"summary": 5},
        {"tags": "urgent"},
        {"tags": [""]},
        {"tags": [1]},
        {"tags": ["x" * (TAG_CHARS_MAX + 1)]},
        {"tags": ["x"] * (TAGS_MAX + 1)},
    ],
)
def test_labels_of_another_form_are_refused(labels: dict[str, Any]) -> None:
    with pytest.raises(jm.ValidationError, match=r"tags are|a summary is"):
        jm.Message("work", **labels)
