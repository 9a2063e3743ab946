"""What the listener of a thread and that of an event loop have in common: their settings, and how errors are noted."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from .calls import ServerTraits
from .errors import ClaimLostError, NetworkError
from .exchange import Answer
from .listening import Listening
from .outage import Outage
from .transport import shown
from .validator import Validator

LOG: Final = logging.getLogger("journeyman.topchef")


class ListenerBase(ABC):
    """A listener of the service `service_id`.

    - `checks`: whether the listener itself compares parameters and results with the schemas, too.
    - `is_stopping`: whether the listener is to end.
    """

    def __init__(
        self,
        address: str,
        service_id: str | UUID,
        timeout: float,
        server: ServerTraits,
        lease_ms: int,
        validator: Validator.AbstractValidator | None,
        on_error: Callable[[Exception], None] | None,
        *,
        checks: bool,
        is_stopping: Callable[[], bool],
    ) -> None:
        self.address = address
        self.id = str(service_id)
        self.timeout = timeout
        self._validator = validator
        self._on_error = on_error
        self._lease_ms = lease_ms
        self._outage = Outage()
        self._listening = Listening(
            server,
            self.id,
            lease_ms,
            checks=checks or validator is not None,
            is_stopping=is_stopping,
            on_error=self.on_error,
        )

    @abstractmethod
    def run(self, parameters: Any) -> Any:
        """Process a job's parameters and return its result, both JSON. An exception ends the job with ERROR."""
        raise NotImplementedError

    def on_error(self, error: Exception) -> None:
        """Take note of an error with which the listener goes on; its notes name the job."""
        if self._on_error is not None:
            self._on_error(error)
        else:
            self._log(error)

    def _log(self, error: Exception) -> None:
        """Log an error: one line for an outage or a lost job, with the traceback at DEBUG; in full for any other."""
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        if not isinstance(error, NetworkError):
            LOG.error("the listener of the service %s: %s%s", self.id, error, notes, exc_info=error)
            return
        if isinstance(error, ClaimLostError):
            LOG.warning(
                "the listener of the service %s has lost a job, which another listener runs or has run: %s%s. Its "
                "lease is %s ms: raise lease_ms if the listener is silent for longer without an outage",
                self.id,
                error,
                notes,
                f"{self._lease_ms:,}",
            )
        elif self._outage.begin():
            LOG.warning(
                "the listener of the service %s is cut off: %s%s. It tries again until the server answers: check that "
                "the server runs, and is reached at %s",
                self.id,
                error,
                notes,
                shown(self.address),
            )
        LOG.debug("the listener of the service %s: %s%s", self.id, error, notes, exc_info=error)

    def _answered(self, answer: Answer | None) -> Answer | None:
        """Note an answer of the server and return it: one that is no refusal ends an outage."""
        if answer is not None and answer.status < HTTPStatus.BAD_REQUEST:
            self._reached()
        return answer

    def _reached(self) -> None:
        """Note that the server has done what it was asked."""
        if self._outage.end():
            LOG.info("the listener of the service %s reaches the server again", self.id)
