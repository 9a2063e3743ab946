"""What the listener of a thread and that of an event loop have in common: their settings, and how errors are noted."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from .calls import ServerTraits
from .listening import Listening
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
            notes = "; ".join(getattr(error, "__notes__", ()))
            LOG.error("the listener of the service %s: %s (%s)", self.id, error, notes, exc_info=error)
