"""The URL of a log on Kafka: ``kafka://host:9092,host2:9092/topic`` and its options."""

import re
from typing import Final
from urllib.parse import SplitResult, unquote

from ..errors import BadJournalURL
from ..limits import PARTITIONS_MAX
from ..redaction import redacted
from ..url_options import CREATE, options, whole_number
from .connection import SECURITY_OPTIONS, connection_from_url
from .limits import REPLICATION_MAX
from .log import KafkaLog

_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


def kafka_log_from_url(url: str, parts: SplitResult) -> KafkaLog:
    """The log of ``kafka://[user:password@]host:9092,host2:9092/topic?partitions=N&replication=R&state=D&tls=true…``."""
    shown = redacted(url)
    if "@" in parts.path + parts.query:
        raise BadJournalURL(
            f"expected kafka://user:password@host:9092/topic, got {shown!r}, with an '@' after the host. In a "
            "password write / as %2F, # as %23, ? as %3F and @ as %40, or set it in JOURNEYMAN_KAFKA_PASSWORD; "
            "elsewhere write @ as %40"
        )
    given = options(shown, parts, ("partitions", "replication", "added", "state", CREATE, *SECURITY_OPTIONS))
    topic = unquote(parts.path[1:])
    if given.get("added") not in (None, "ignore"):
        raise BadJournalURL(f"{shown!r}: added is 'ignore' or left out, got {given['added']!r}")
    if not parts.netloc or not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise BadJournalURL(
            f"expected kafka://host:9092,host2:9092/topic with a topic of letters, digits, '._-', got {shown!r}"
        )
    return KafkaLog(
        connection_from_url(shown, parts, given),
        topic,
        partitions=whole_number(shown, "partitions", given["partitions"], PARTITIONS_MAX)
        if "partitions" in given
        else None,
        replication=whole_number(shown, "replication", given["replication"], REPLICATION_MAX)
        if "replication" in given
        else None,
        state=given.get("state"),
        ignore_added="added" in given,
        url=shown,
    )
