"""A record batch that changed on the broker's disk is refused with its reason; no byte of it is handed out."""

import uuid

import pytest
from journeyman.deploy.kafka import KafkaCluster
from journeyman.journal import Cursor, Journal, JournalError

pytestmark = pytest.mark.kafka


def test_changed_letter_in_a_batch_is_refused(kafka_cluster: KafkaCluster) -> None:
    topic = f"orders-{uuid.uuid4().hex}"
    url = f"kafka://{kafka_cluster.bootstrap}/{topic}?partitions=1"
    with Journal(url) as journal:
        for number in range(5):
            journal.append("order.paid", {"order": number})
    (segment,) = kafka_cluster.broker(1).directory.glob(f"**/{topic}-0/*.log")
    content = segment.read_bytes()
    with segment.open("r+b") as file:
        file.seek(content.index(b'"order":3') + len('"order":'))
        file.write(b"7")
    with Journal(url) as journal:
        with pytest.raises(JournalError, match=r"is damaged: the checksum of a record batch.*another replica lead"):
            journal.read(Cursor({0: 0}))
        with pytest.raises(JournalError, match=r"is damaged at 0:\d or after it: the checksum of a record batch"):
            list(journal.tail(Cursor({0: 0})))
