"""The habits of the original client of TopChef, from its wire: a connection for each request, no key, no patience.

As a program it is the original listener: `python -m support.topchef_original BASE SERVICE DOING`. With `square` it
answers with the square of the parameter `n`, with `hang` it says so on stdout and never comes back.
"""

import http.client
import json
import sys
import threading
from typing import Any, NamedTuple
from urllib.parse import urlsplit

REQUEST_SECONDS = 60.0
PARAMETERS = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
RESULT = {"type": "object", "properties": {"square": {"type": "integer"}}, "required": ["square"]}


class Answer(NamedTuple):
    """The answer to a request: its body as text."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.text)


class NetworkError(Exception):
    """The original's: a status that it did not expect."""


def ask(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None, raw: bytes = b"") -> Answer:
    """Send one request over a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=REQUEST_SECONDS)
    try:
        sent = {"Content-Type": "application/json"} if body is not None else {}
        content = raw or (None if body is None else json.dumps(body).encode())
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, content, sent | (headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, {k.title(): v for k, v in answer.getheaders()}, answer.read().decode())
    finally:
        connection.close()


def must(answer: Answer, status: int = 200) -> Any:
    """Return the body; `NetworkError` for another status, as the original raises it."""
    if answer.status != status:
        raise NetworkError(f"expected {status}, got {answer.status}: {answer.text}")
    return answer.json


def new_service(base: str, name: str = "squares", **more: Any) -> str:
    """Register a service as the original does; its id."""
    body = {"name": name, "description": "squares n", "job_registration_schema": PARAMETERS, **more}
    made = must(ask("POST", f"{base}/services", {"job_result_schema": RESULT} | body), 201)
    return str(made["data"]["service_details"]["id"])


def new_job(base: str, service: str, n: int = 2) -> str:
    """Submit a job as the original does; its id."""
    made = must(ask("POST", f"{base}/services/{service}/jobs", {"parameters": {"n": n}}), 201)
    return str(made["data"]["job_details"]["id"])


class OriginalListener:
    """One service's listener, call by call as the original's."""

    def __init__(self, base: str, service: str) -> None:
        self.base = base
        self.service = service

    def is_server_alive(self) -> bool:
        """GET the base URL."""
        return ask("GET", self.base).status == 200

    def queue(self) -> list[Any]:
        """GET the queue, which must be 200 also when it is empty."""
        return list(must(ask("GET", f"{self.base}/services/{self.service}/queue"))["data"])

    def check_in(self) -> None:
        """PATCH the service, without a body and without a content type."""
        must(ask("PATCH", f"{self.base}/services/{self.service}"))

    def current_job(self) -> dict[str, Any]:
        """The job at the head of the queue, asked for anew each time."""
        return dict(must(ask("GET", f"{self.base}/jobs/{self.queue()[0]['id']}"))["data"])

    def put(self, **change: Any) -> None:
        """PUT the whole current job with one key changed."""
        job = self.current_job() | change
        must(ask("PUT", f"{self.base}/jobs/{job['id']}", job))

    def validate(self, instance: Any, kind: str) -> None:
        """POST an object and the service's schema to the validator."""
        schema = must(ask("GET", f"{self.base}/services/{self.service}"))["data"][kind]
        must(ask("POST", f"{self.base}/validator", {"object": instance, "schema": schema}))

    def run_iteration(self, run: Any) -> None:
        """Do the first job of the queue."""
        parameters = self.current_job()["parameters"]
        self.validate(parameters, "job_registration_schema")
        self.put(status="WORKING")
        result = run(parameters)
        self.validate(result, "job_result_schema")
        self.put(result=result)
        self.put(status="COMPLETED")

    def processing_loop(self, run: Any, stopped: threading.Event) -> None:
        """Ask without pause, and do what is there."""
        while not stopped.is_set():
            if self.is_server_alive() and self.queue():
                self.run_iteration(run)


def square(parameters: dict[str, Any]) -> dict[str, Any]:
    """The work of the tests."""
    return {"square": parameters["n"] ** 2}


def _hang(parameters: dict[str, Any]) -> dict[str, Any]:
    print(f"works on {parameters['n']}", flush=True)
    threading.Event().wait()
    return {}


if __name__ == "__main__":
    base, service, doing = sys.argv[1:4]
    OriginalListener(base, service).processing_loop({"square": square, "hang": _hang}[doing], threading.Event())
