"""Create a journal's topic with settings that keep history, and refuse an existing topic whose settings do not.

With Kafka's defaults a topic deletes records after seven days, takes timestamps from the producers' clocks and refuses
a large append; `wanted_settings` states the required settings and their reasons.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..errors import JournalNotFound, JournalUnavailable, UnsafeTopic
from .client import (
    AUTHENTICATION_FAILED,
    CONNECTION_CLOSED,
    LOGGER,
    NOT_ALLOWED,
    NOT_AUTHORIZED,
    TOPIC_EXISTS,
    UNKNOWN_TOPIC,
    KafkaError,
    create_topic,
    describe_settings,
    make_admin,
    stop_admin,
    unreachable_advertised,
    why_unreachable,
)
from .client_types import Admin
from .connection import Connection
from .limits import (
    KAFKA_OPEN_SECONDS_MAX,
    SAFE_REPLICATION_MIN,
    TOPIC_LOOK_SECONDS,
    TOPIC_MESSAGE_BYTES_MIN,
    TOPIC_RETRY_SECONDS,
)

_REQUEST_MS: Final = int(KAFKA_OPEN_SECONDS_MAX * 1_000 / 3)

_warned_of: set[tuple[str, str]] = set()


class TopicFacts(NamedTuple):
    """The facts about a topic that passed the checks."""

    partitions: int
    replication: int
    message_bytes: int


class Wanted(NamedTuple):
    """A required setting of a topic; `accepts` checks a given value."""

    name: str
    value: str
    at_least: bool = False
    at_most: int | None = None

    def accepts(self, value: str) -> bool:
        """Whether this value satisfies the journal's guarantees."""
        if not self.at_least:
            return value == self.value
        return int(value) >= int(self.value) and (self.at_most is None or int(value) <= self.at_most)


def wanted_settings(replication: int) -> tuple[Wanted, ...]:
    """Return the required settings of a journal's topic with `replication` replicas.

    The broker assigns timestamps, so that retention and look-ups by time do not depend on producers' clocks; nothing
    expires; a whole append fits one record batch; of three replicas two must store a write before it is acknowledged
    (more than there are replicas could never be reached); a replica that is not in sync never becomes the leader.
    """
    in_sync = 2 if replication >= SAFE_REPLICATION_MIN else 1
    return (
        Wanted("message.timestamp.type", "LogAppendTime"),
        Wanted("retention.ms", "-1"),
        Wanted("retention.bytes", "-1"),
        Wanted("cleanup.policy", "delete"),
        Wanted("max.message.bytes", str(TOPIC_MESSAGE_BYTES_MIN), at_least=True),
        Wanted("min.insync.replicas", str(in_sync), at_least=True, at_most=max(replication, 1)),
        Wanted("unclean.leader.election.enable", "false"),
    )


async def ensure_topic(
    connection: Connection, topic: str, partitions: int | None, replication: int | None, url: str, *, create: bool
) -> TopicFacts:
    """Connect to the cluster, create the topic if missing (with `create`), check its settings, wait for its leaders.

    `partitions` and `replication` are the URL's options, None if not given. Raises `JournalUnavailable`,
    `JournalNotFound`, `UnsafeTopic` or `BadJournalURL`, each with what to do; never waits longer than
    `KAFKA_OPEN_SECONDS_MAX`.
    """
    last: list[Exception] = []
    try:
        async with asyncio.timeout(KAFKA_OPEN_SECONDS_MAX):
            while True:
                try:
                    return await _ensure_once(connection, topic, partitions, replication, url, create)
                except _WrongAddressError as error:
                    last[:] = [error]
                except (KafkaError, OSError, TimeoutError, _NotYetError) as error:
                    last[:] = [await why_unreachable(connection, _REQUEST_MS) or error]
                _refuse_if_final(connection, topic, last[0])
                await asyncio.sleep(TOPIC_RETRY_SECONDS)
    except TimeoutError as error:
        if last and isinstance(last[0], _WrongAddressError):
            raise JournalUnavailable(str(last[0])) from last[0].__cause__
        reason = f": {_reason(last[0])}" if last else ": it accepts connections and does not answer"
        raise JournalUnavailable(
            f"no usable Kafka at {connection.addresses} within {KAFKA_OPEN_SECONDS_MAX:g} s{reason}. "
            "Start it, or correct the address in the journal's URL."
        ) from (last[0] if last else error)


def _refuse_if_final(connection: Connection, topic: str, error: Exception) -> None:
    if isinstance(error, AUTHENTICATION_FAILED):
        raise JournalUnavailable(
            f"authentication failed at Kafka {connection.addresses} ({_reason(error)}). Check user, password and "
            "sasl= of the journal's URL, or JOURNEYMAN_KAFKA_USERNAME and JOURNEYMAN_KAFKA_PASSWORD."
        ) from error
    if isinstance(error, ssl.SSLError):
        raise JournalUnavailable(
            f"no trusted TLS connection to Kafka at {connection.addresses} ({_reason(error)}). Pass the CA certificate "
            "that signed the broker's as cafile=, and use the host name in the certificate; or omit tls=."
        ) from error
    if isinstance(error, NOT_ALLOWED):
        raise JournalUnavailable(
            f"Kafka at {connection.addresses} denies access to the topic {topic!r} ({_reason(error)}). Request the "
            "rights to describe, read and write it."
        ) from error


def _reason(error: Exception) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    if isinstance(error, CONNECTION_CLOSED):
        text += " by the broker, as when its port requires TLS (tls=true) or a password (sasl=)"
    return text


class _WrongAddressError(Exception):
    """The cluster answers, but advertises an address at which nothing answers."""


class _NotYetError(Exception):
    """The cluster answers, but is not ready for this topic."""


async def _ensure_once(
    connection: Connection, topic: str, partitions: int | None, replication: int | None, url: str, create: bool
) -> TopicFacts:
    admin = make_admin(connection, _REQUEST_MS)
    try:
        await admin.start()
        described = await _describe(admin, topic)
        if described is None and not create:
            await asyncio.sleep(TOPIC_RETRY_SECONDS)  # another process may just have created it, unknown to this broker
            described = await _describe(admin, topic)
            if described is None:
                raise JournalNotFound(
                    f"there is no journal at {url}: expected a topic {topic!r} created by a worker or a producer. "
                    "Add create=1 to the URL to create it"
                )
        if described is None:
            await _create(admin, topic, partitions or 1, replication)
            described = await _described(admin, topic)
        return await _check(admin, connection, topic, described, replication)
    except (KafkaError, OSError, TimeoutError) as error:
        is_refused = isinstance(error, (*AUTHENTICATION_FAILED, *NOT_ALLOWED))
        wrong = None if is_refused else await unreachable_advertised(connection, admin, _REQUEST_MS)
        if wrong is None:
            raise
        address, reason = wrong
        raise _WrongAddressError(
            f"Kafka answers at {connection.addresses}, but a broker advertises the address {address}, where nothing "
            f"answers: {_reason(reason)}. Correct advertised.listeners of that "
            f"broker, start it, or make {address} reachable from here."
        ) from error
    finally:
        await stop_admin(admin)


async def _describe(admin: Admin, topic: str) -> Sequence[Mapping[str, Any]] | None:
    """Return the topic's partitions, or None if it does not exist."""
    found = (await admin.describe_topics([topic]))[0]
    if found["error_code"] == UNKNOWN_TOPIC:
        return None
    if found["error_code"] == NOT_AUTHORIZED:
        raise NOT_ALLOWED[0](f"no right to describe the topic {topic!r}")
    if found["error_code"]:
        raise _NotYetError(f"the topic {topic!r} cannot be described (Kafka's error {found['error_code']})")
    partitions: Sequence[Mapping[str, Any]] = found["partitions"]
    return partitions


async def _described(admin: Admin, topic: str) -> Sequence[Mapping[str, Any]]:
    """Wait until each partition of the topic has a leader, and return the partitions."""
    while True:
        described = await _describe(admin, topic)
        if described and all(each["leader"] >= 0 for each in described):
            return described
        await asyncio.sleep(TOPIC_LOOK_SECONDS)


async def _create(admin: Admin, topic: str, partitions: int, replication: int | None) -> None:
    copies = replication if replication is not None else await _default_replication(admin)
    settings = {each.name: each.value for each in wanted_settings(copies)}
    refusal = await create_topic(admin, topic, partitions, copies, settings)
    # Another process may have created it concurrently: its settings are checked like those of any existing topic.
    if refusal is not None and refusal.code != TOPIC_EXISTS:
        raise JournalUnavailable(
            f"Kafka refused to create the topic {topic!r} with {partitions} partition(s) and {copies} replicas: "
            f"{refusal.message or f'error {refusal.code}'}. Correct partitions= or replication= in the URL, or create "
            "the topic yourself."
        )


async def _default_replication(admin: Admin) -> int:
    """Return the cluster's default replication factor; -1 (the cluster's own choice) if it is not reported."""
    brokers = (await admin.describe_cluster())["brokers"]
    if not brokers:
        raise _NotYetError("the cluster lists no brokers yet")
    name = "default.replication.factor"
    found = await describe_settings(admin, "broker", str(brokers[0]["node_id"]), [name])
    return int(found[name]) if found and name in found else -1


async def _check(
    admin: Admin,
    connection: Connection,
    topic: str,
    described: Sequence[Mapping[str, Any]],
    replication: int | None,
) -> TopicFacts:
    if any(each["leader"] < 0 for each in described):
        described = await _described(admin, topic)
    copies = min(len(each["replicas"]) for each in described)
    if replication is not None and copies < replication:
        raise UnsafeTopic(
            f"the topic {topic!r} has {copies} replicas, the URL asks for replication={replication}. "
            "Reassign its partitions with kafka-reassign-partitions, or omit replication=."
        )
    wanted = wanted_settings(copies)
    found = await describe_settings(admin, "topic", topic, [each.name for each in wanted])
    if found is None:
        raise _NotYetError(f"the settings of the topic {topic!r} cannot be read")
    _refuse_unsafe(connection, topic, wanted, found)
    _warn_of_single_copy(connection, topic, copies)
    return TopicFacts(len(described), copies, int(found["max.message.bytes"]))


def _refuse_unsafe(connection: Connection, topic: str, wanted: Sequence[Wanted], found: Mapping[str, str]) -> None:
    wrong = [each for each in wanted if not each.accepts(found[each.name])]
    if not wrong:
        return
    named = ", ".join(
        f"{each.name} is {found[each.name]} and must be {'at least ' if _too_small(each, found) else ''}{each.value}"
        for each in wrong
    )
    fixes = ",".join(f"{each.name}={each.value}" for each in wrong)
    raise UnsafeTopic(
        f"the topic {topic!r} could lose history or refuse events: {named}. Fix it with: "
        f"kafka-configs --bootstrap-server {connection.addresses} --alter --entity-type topics "
        f"--entity-name {topic} --add-config {fixes}"
    )


def _too_small(wanted: Wanted, found: Mapping[str, str]) -> bool:
    return wanted.at_least and int(found[wanted.name]) < int(wanted.value)


def _warn_of_single_copy(connection: Connection, topic: str, copies: int) -> None:
    if copies > 1 or (connection.addresses, topic) in _warned_of:
        return
    _warned_of.add((connection.addresses, topic))
    LOGGER.warning(
        "the journal %r has one replica only: it survives a crash of the broker, but not the loss of its disk.",
        topic,
    )
