"""The schemas that answers carry in `meta`: of draft 4, as in the original; the OpenAPI document shows them, too."""

from collections.abc import Mapping
from typing import Any, Final

from ..version import VERSION

Meta = Mapping[str, Any]
_DRAFT: Final = "http://json-schema.org/draft-04/schema#"
_TEXT: Final = {"type": "string"}
_ID: Final = {"type": "string", "description": "A UUID."}
_OBJECT: Final = {"type": "object"}
_FLAG: Final = {"type": "boolean"}
_STATUS: Final = {"type": "string", "enum": ["REGISTERED", "WORKING", "COMPLETED", "ERROR"]}
_OPTIONAL: Final = {"type": ["object", "null"]}


def _schema(title: str, description: str, properties: Meta, required: tuple[str, ...] = ()) -> dict[str, Any]:
    found = {"$schema": _DRAFT, "title": title, "description": description, "type": "object", "properties": properties}
    return found | ({"required": list(required)} if required else {})


API: Final = _schema(
    "API metadata",
    "What this API is.",
    dict.fromkeys(
        ("maintainer_name", "maintainer_email", "documentation_url", "source_code_repository_url", "version"), _TEXT
    ),
)
SERVICE: Final = _schema(
    "Service",
    "A service, and the schemas of its jobs.",
    {
        "id": _ID,
        "name": _TEXT,
        "description": _TEXT,
        "job_registration_schema": _OBJECT,
        "job_result_schema": _OBJECT,
        "is_service_available": _FLAG,
        "has_timed_out": _FLAG,
        "timeout": {"type": "integer", "description": "In seconds."},
        "jobs": {"type": "array", "items": _OBJECT},
    },
)
_NEEDED: Final = ("name", "description", "job_registration_schema")
NEW_SERVICE: Final = _schema(
    "New service",
    "A service to be registered.",
    {
        "name": _TEXT | {"minLength": 1},
        "description": _TEXT,
        "job_registration_schema": _OBJECT,
        "job_result_schema": _OBJECT,
    },
    _NEEDED,
)
SERVICE_CHANGE: Final = _schema(
    "Service change",
    "What to change of a service; without a body the request is a check-in.",
    {
        "name": _TEXT | {"minLength": 1},
        "description": _TEXT,
        "is_available": _FLAG,
        "timeout": {"type": "number", "minimum": 0},
    },
)
_JOB: Final = {
    "id": _ID,
    "status": _STATUS,
    "date_submitted": _TEXT | {"format": "date-time"},
}
JOB_LINE: Final = _schema("Job", "A job in a list.", _JOB)
JOB: Final = _schema(
    "Job", "A job, its parameters and its results.", _JOB | {"parameters": _OBJECT, "results": _OPTIONAL}
)
JOB_CHANGE: Final = _schema(
    "Job change", "What to change of a job; null leaves a field as it is.", {"status": _STATUS, "results": _OPTIONAL}
)
OLDER_JOB: Final = _schema(
    "Job", "A job as GET has answered it, with a new status or result.", {"status": _STATUS, "result": _OBJECT}
)
INSTANCE: Final = _schema(
    "Instance", "An object, and the schema that it is to fit.", {"object": _OBJECT, "schema": _OBJECT},
    ("object", "schema"),
)  # fmt: skip
CLAIM: Final = _schema(
    "Claim",
    "A listener asks for a job, for at most `wait` seconds.",
    {
        "listener": _TEXT | {"minLength": 1, "maxLength": 100},
        "wait": {"type": "number", "minimum": 0, "maximum": 20},
        "holding": {"type": "array", "items": _ID},
        "lease_ms": {"type": "integer", "minimum": 500, "maximum": 86_400_000},
    },
    ("listener",),
)
ANYTHING: Final[dict[str, Any]] = {"description": "Any JSON."}
NEW_JOB: Final = _schema("New job", "A job to be done.", {"parameters": _OBJECT}, ("parameters",))

API_META: Final = {
    "schema": API,
    "source_repository": "",
    "version": VERSION,
    "author": "The Journeyman authors",
    "email": "",
}
API_DATA: Final = {
    "maintainer_name": "The Journeyman authors",
    "maintainer_email": "",
    "documentation_url": "/schema",
    "source_code_repository_url": "",
    "version": VERSION,
}
SERVICES_META: Final = {"service_schema": SERVICE, "new_service_schema": NEW_SERVICE, "POST_schema": NEW_SERVICE}
SERVICE_META: Final = {"service_schema": SERVICE, "service_modification_schema": SERVICE_CHANGE}
JOBS_META: Final = {"data_schema": JOB_LINE}
QUEUE_META: Final = {"data_schema": JOB}
NEXT_META: Final = {"job_schema": JOB}
JOB_META: Final = {"job_info_schema": JOB, "patch_request_schema": JOB_CHANGE}
VALIDATOR_META: Final = {"validator_schema": INSTANCE}


def jobs_of_service(parameters: Any) -> dict[str, Any]:
    """Return the `meta` of a service's jobs; `parameters` is the schema of theirs."""
    new = {"type": "object", "properties": {"parameters": parameters}, "required": ["parameters"]}
    return {"new_job_schema": new, "data_schema": JOB}
