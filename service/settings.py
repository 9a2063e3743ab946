"""The settings of a service."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .keys import Keyring
from .limits import DRAIN_SECONDS, PORT, TOPCHEF_PATH

_LOOPBACK: Final = ("127.", "::1")


@dataclass(frozen=True)
class Settings:
    """What `journeyman serve` and an application that mounts the service can choose.

    `origins` are the origins whose pages may call (CORS), `proxies` the addresses whose `X-Forwarded-*` headers are
    trusted; by default there are none of either. `drain_seconds` is the time that requests have to end after SIGTERM.
    `access_log` is the file of the access log, `-` for stdout, None for none.
    `topchef` is the path of services and jobs, None for none.
    """

    keyring: Keyring = field(default_factory=Keyring)
    host: str = "127.0.0.1"
    port: int = PORT
    origins: Sequence[str] = ()
    proxies: Sequence[str] = ()
    certificate: Path | None = None
    private_key: Path | None = None
    drain_seconds: int = DRAIN_SECONDS
    access_log: str | None = None
    topchef: str | None = TOPCHEF_PATH

    @property
    def is_on_loopback(self) -> bool:
        """Whether the address to listen on can be reached from this machine only."""
        return self.host == "localhost" or self.host.startswith(_LOOPBACK)
