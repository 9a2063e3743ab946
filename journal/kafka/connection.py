"""Read a Kafka cluster's addresses and credentials from the URL and the environment. Secrets are never shown."""

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, unquote

from ..errors import BadJournalURL

DEFAULT_PORT: Final = 9092
SASL_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
SECURITY_OPTIONS: Final = ("tls", "cafile", "certfile", "keyfile", "sasl")
ENVIRONMENT_PREFIX: Final = "JOURNEYMAN_KAFKA_"
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:\s]+)(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True)
class Security:
    """The TLS and SASL options of a connection. The repr contains no passwords."""

    tls: bool = False
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    key_password: str | None = field(default=None, repr=False)
    sasl: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def protocol(self) -> str:
        """Kafka's name for the combination of TLS and SASL."""
        return ("SASL_" if self.sasl else "") + ("SSL" if self.tls else "PLAINTEXT")


class Connection:
    """A cluster's addresses and security options; every client is created with `client_options`."""

    def __init__(self, servers: tuple[tuple[str, int], ...], security: Security | None = None) -> None:
        self.servers = servers
        self.security = security or Security()
        self._options: dict[str, Any] | None = None

    @property
    def addresses(self) -> str:
        """Return ``host:port,host:port`` for messages and commands."""
        return ",".join(f"{host}:{port}" for host, port in self.servers)

    def client_options(self) -> dict[str, Any]:
        """Return the keyword arguments of every aiokafka client; the first call reads the TLS files."""
        if self._options is None:
            options: dict[str, Any] = {
                "bootstrap_servers": [f"{host}:{port}" for host, port in self.servers],
                "security_protocol": self.security.protocol,
            }
            if self.security.tls:
                options["ssl_context"] = _ssl_context(self.security)
            if self.security.sasl:
                options["sasl_mechanism"] = self.security.sasl
                options["sasl_plain_username"] = self.security.username
                options["sasl_plain_password"] = self.security.password
            self._options = options
        return dict(self._options)


def _ssl_context(security: Security) -> ssl.SSLContext:
    """Return a context that verifies certificates and host names; `cafile` replaces the system's authorities."""
    reading = security.cafile
    try:
        context = ssl.create_default_context(cafile=security.cafile)
        if security.certfile:
            reading = security.certfile
            context.load_cert_chain(security.certfile, security.keyfile, security.key_password)
    except (OSError, ssl.SSLError) as error:
        raise BadJournalURL(
            f"the TLS file {reading!r} (or the key that belongs to it) cannot be used: {error.strerror or error}. "
            "Expected PEM files that this process may read."
        ) from error
    return context


def connection_from_url(
    url: str, parts: SplitResult, given: Mapping[str, str], environment: Mapping[str, str] | None = None
) -> Connection:
    """Return the connection for a URL; `url` is the redacted one, `given` its options.

    Options not in the URL are taken from the environment: ``JOURNEYMAN_KAFKA_USERNAME``, ``_PASSWORD``, ``_SASL``,
    ``_TLS``, ``_CAFILE``, ``_CERTFILE``, ``_KEYFILE`` and ``_KEY_PASSWORD``.
    """
    environment = os.environ if environment is None else environment

    def option(name: str) -> str | None:
        return given.get(name) or environment.get(ENVIRONMENT_PREFIX + name.upper()) or None

    user, _, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    security = Security(
        tls=_truth(url, option("tls")),
        cafile=option("cafile"),
        certfile=option("certfile"),
        keyfile=option("keyfile"),
        key_password=environment.get(ENVIRONMENT_PREFIX + "KEY_PASSWORD"),
        sasl=option("sasl"),
        username=unquote(name) or option("username"),
        password=unquote(password) or option("password"),
    )
    _check(url, security)
    return Connection(tuple(_server(url, each) for each in hosts.split(",")), security)


def _truth(url: str, text: str | None) -> bool:
    if text not in (None, "true", "false"):
        raise BadJournalURL(f"{url!r}: tls is 'true' or 'false', got {text!r}")
    return text == "true"


def _check(url: str, security: Security) -> None:
    if security.sasl is not None and security.sasl not in SASL_MECHANISMS:
        raise BadJournalURL(f"{url!r}: sasl is one of {', '.join(SASL_MECHANISMS)}, got {security.sasl!r}")
    if security.sasl and not (security.username and security.password):
        raise BadJournalURL(
            f"{url!r}: sasl={security.sasl} needs a user and a password: kafka://user:password@host/topic, or "
            f"{ENVIRONMENT_PREFIX}USERNAME and {ENVIRONMENT_PREFIX}PASSWORD in the environment"
        )
    if (security.username or security.password) and not security.sasl:
        raise BadJournalURL(
            f"{url!r}: a user or password is given but no sasl=: add one of {', '.join(SASL_MECHANISMS)}"
        )
    if not security.tls and (security.cafile or security.certfile or security.keyfile):
        raise BadJournalURL(f"{url!r}: cafile, certfile and keyfile belong to TLS: add tls=true")
    if security.keyfile and not security.certfile:
        raise BadJournalURL(f"{url!r}: keyfile= is the key of a certificate: add certfile=")


def _server(url: str, text: str) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else DEFAULT_PORT
    if found is None or not 1 <= port <= 65_535:
        raise BadJournalURL(f"expected kafka://host:9092,host2:9092/topic, got {url!r}: {text!r} is no host:port")
    return found["host"], port
