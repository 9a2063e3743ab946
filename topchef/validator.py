"""Validators: check a JSON object against a JSON schema, by the server or by an object that the caller passes."""

from abc import ABC, abstractmethod
from typing import Any

from . import calls
from .errors import NetworkError, ProcessingError, ValidationError
from .library import HTTPLibrary
from .transport import Transport


class Validator:
    """Validates instances against schemas, by the server at `topchef_url`."""

    def __init__(self, topchef_url: str, http_library: HTTPLibrary | Transport | None = None) -> None:
        self.topchef_url = topchef_url
        self._http_library = Transport.of(topchef_url, http_library)

    def assert_instance_matches_schema(
        self, instance: Any, schema: Any, validator: "Validator.AbstractValidator | None" = None
    ) -> bool:
        """Return True if an instance matches a schema; `ProcessingError` if not.

        `NetworkError` if the server cannot be asked. Without a `validator` a `RemoteSchemaValidator` asks the server.
        """
        if validator is None:
            validator = self.RemoteSchemaValidator(self.topchef_url, self._http_library)
        if not validator.does_instance_match_schema(instance, schema):
            raise ProcessingError("the instance does not match the schema")
        return True

    class AbstractValidator(ABC):
        """What can tell whether an instance matches a schema."""

        @abstractmethod
        def does_instance_match_schema(self, instance: Any, schema: Any) -> bool:
            """Return whether an instance matches a schema."""

    class RemoteSchemaValidator(AbstractValidator):
        """Asks the server at `topchef_url`."""

        def __init__(self, topchef_url: str, http_library: HTTPLibrary | Transport | None = None) -> None:
            self.topchef_url = topchef_url
            self._http_library = Transport.of(topchef_url, http_library)

        @property
        def _validator_endpoint(self) -> str:
            return f"{self.topchef_url.rstrip('/')}/validator"

        def does_instance_match_schema(self, instance: Any, schema: Any) -> bool:
            """Return whether an instance matches a schema; `NetworkError` if the server cannot be asked."""
            try:
                self._http_library.run(calls.validate(instance, schema))
            except ValidationError:
                return False
            return True

        def _analyze_validation_response(self, response: Any) -> bool:
            """Return whether a response says that an instance matches; `NetworkError` for one that says neither."""
            if response.status_code not in (200, 400):
                raise NetworkError(f"the validator has answered {response.status_code}", status=response.status_code)
            return bool(response.status_code == 200)

        @staticmethod
        def _get_request_body(instance: Any, schema: Any) -> dict[str, Any]:
            """Return the body of a request to the validator."""
            return {"object": instance, "schema": schema}
