"""The original TopChef servers, of both dialects, with their habits: real HTTP, jobs in memory, no claims.

What they do is described in their documentation and was seen on the wire: the older one (v1) knows PUT and `result`,
the newer one (v2) PATCH and `results`. Only REGISTERED jobs are in a queue; an empty one is 204.
"""

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import jsonschema_rs

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
STATUSES = {"v1": ("REGISTERED", "WORKING", "COMPLETED"), "v2": ("REGISTERED", "WORKING", "COMPLETED", "ERROR")}


class Reply(NamedTuple):
    """What a server answers: `body` None for no content."""

    status: int
    body: Any = None
    location: str = ""


class Refusal(Exception):
    """An error, in words; each dialect has its own shape for it."""

    def __init__(self, status: int, title: str, *details: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.details = details or (title,)


class Original:
    """Services and jobs in memory, and the requests that were answered."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.is_v2 = dialect == "v2"
        self.result_key = "results" if self.is_v2 else "result"
        self.services: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.check_ins = 0
        self.address = ""
        self.guard = threading.Lock()

    def reply(self, method: str, path: str, raw: bytes, headers: Any) -> Reply:
        """Answer a request as the original of this dialect does."""
        method = headers.get("X-HTTP-Method-Override", method).upper() if self.is_v2 else method
        with self.guard:
            self.requests.append(f"{method} {path}")
            for pattern, methods in self.routes():
                if match := re.fullmatch(pattern, path.partition("?")[0].rstrip("/")):
                    if method not in methods:
                        raise Refusal(405, "Method Not Allowed")
                    reply: Reply = methods[method](raw, *match.groups())
                    return reply
        raise Refusal(404, "Not Found")

    def routes(self) -> list[tuple[str, dict[str, Any]]]:
        job_writes = {"PATCH": self.patch_job} if self.is_v2 else {"PUT": self.put_job}
        return [
            ("", {"GET": lambda raw: Reply(200, {"data": {}, "meta": {"version": self.dialect}})}),
            ("/services", {"GET": self.list_services, "POST": self.new_service}),
            ("/services/([^/]+)", {"GET": self.show_service, "PATCH": self.check_in}),
            ("/services/([^/]+)/jobs", {"GET": self.list_jobs, "POST": self.new_job}),
            ("/services/([^/]+)/queue", {"GET": self.queue}),
            ("/jobs/([^/]+)", {"GET": self.show_job, **job_writes}),
            ("/validator", {"POST": self.validate}),
        ]

    def error(self, refusal: Refusal) -> Any:
        """The body of an error."""
        if self.is_v2:
            status = refusal.status
            entries = [{"status_code": status, "title": refusal.title, "detail": each} for each in refusal.details]
            return {"errors": entries}
        if refusal.status == 400 and refusal.details != (refusal.title,):
            return {"errors": {"message": refusal.title, "context": list(refusal.details)}}
        return {"errors": refusal.title}

    def list_services(self, raw: bytes) -> Reply:
        keys = ("id", "name", "description") if self.is_v2 else ("id", "name", "has_timed_out", "url")
        return Reply(200, {"data": [{key: each.get(key) for key in keys} for each in self.services.values()]})

    def new_service(self, raw: bytes) -> Reply:
        given = decoded(raw)
        needed = {"name", "description", "job_registration_schema"} | ({"job_result_schema"} if self.is_v2 else set())
        if missing := needed - given.keys():
            raise Refusal(400, "Deserialization Error From Client Data", f"missing: {sorted(missing)}")
        id_ = str(uuid.uuid4())
        url = f"{self.address}/services/{id_}"
        self.services[id_] = {
            "id": id_,
            "job_result_schema": {"type": "object"},
            "has_timed_out": False,
            **{key: given[key] for key in given if key in needed | {"job_result_schema"}},
            "url": url,
        }
        data: dict[str, Any] = {"message": "service successfully created"}
        if not self.is_v2:
            data["service_details"] = self.services[id_]
        return Reply(201, {"data": data}, url)

    def service(self, id_: str) -> dict[str, Any]:
        if id_ not in self.services:
            raise Refusal(404, "Service Not Found" if re.fullmatch(UUID, id_) else "Not UUID Error")
        return self.services[id_]

    def show_service(self, raw: bytes, id_: str) -> Reply:
        return Reply(200, {"data": self.service(id_)})

    def check_in(self, raw: bytes, id_: str) -> Reply:
        self.service(id_)
        self.check_ins += 1
        return Reply(200, {"meta" if self.is_v2 else "data": "Service checked in"})

    def list_jobs(self, raw: bytes, id_: str) -> Reply:
        self.service(id_)
        return Reply(200, {"data": [self.shown(job) for job in self.jobs.values() if job["service"] == id_]})

    def new_job(self, raw: bytes, id_: str) -> Reply:
        service, given = self.service(id_), decoded(raw)
        if not isinstance(given.get("parameters"), dict):
            raise Refusal(400, "Deserialization Error From Client Data", "parameters: expected an object")
        check(given["parameters"], service["job_registration_schema"])
        job = {
            "id": str(uuid.uuid4()),
            "service": id_,
            "date_submitted": datetime.now(UTC).isoformat(),
            "status": "REGISTERED",
            "parameters": given["parameters"],
            self.result_key: None if self.is_v2 else {},
        }
        self.jobs[job["id"]] = job
        url = f"{self.address}/jobs/{job['id']}"
        if self.is_v2:
            return Reply(201, {"data": self.shown(job), "meta": f"new job ID is {job['id']}"}, url)
        details = {key: value for key, value in self.shown(job).items() if key != "result"}
        return Reply(201, {"data": {"message": "job created", "job_details": details}}, url)

    def shown(self, job: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in job.items() if key != "service"}

    def queue(self, raw: bytes, id_: str) -> Reply:
        self.service(id_)
        waiting = [job for job in self.jobs.values() if job["service"] == id_ and job["status"] == "REGISTERED"]
        return Reply(200, {"data": [self.shown(job) for job in waiting[:10]]}) if waiting else Reply(204)

    def job(self, id_: str) -> dict[str, Any]:
        if id_ not in self.jobs:
            raise Refusal(404, "Job Not Found")
        return self.jobs[id_]

    def show_job(self, raw: bytes, id_: str) -> Reply:
        return Reply(200, {"data": self.shown(self.job(id_))})

    def patch_job(self, raw: bytes, id_: str) -> Reply:
        job, given = self.job(id_), decoded(raw)
        self.change(job, given.get("status"), given.get("results"))
        return Reply(200, self.shown(job))

    def put_job(self, raw: bytes, id_: str) -> Reply:
        job, given = self.job(id_), decoded(raw)
        if missing := {"id", "date_submitted", "status", "parameters"} - given.keys():
            raise Refusal(400, "cannot deserialize", f"missing: {sorted(missing)}")
        self.change(job, given["status"], given.get("result") or None)
        return Reply(200, {"data": {"message": "job updated", "job_schema": self.shown(job)}})

    def change(self, job: dict[str, Any], status: str | None, result: Any) -> None:
        if status is not None and status.upper() not in STATUSES[self.dialect]:
            raise Refusal(400, "Deserialization Error From Client Data", f"not a status: {status}")
        if result is not None:
            check(result, self.services[job["service"]]["job_result_schema"])
            job[self.result_key] = result
        job["status"] = (status or job["status"]).upper()

    def validate(self, raw: bytes) -> Reply:
        given = decoded(raw)
        check(given["object"], given["schema"])
        return Reply(200, {"data": {"status": "Validation was successful"} if self.is_v2 else {}})


def decoded(raw: bytes) -> dict[str, Any]:
    try:
        given = json.loads(raw)
    except ValueError:
        raise Refusal(400, "Request Not JSON") from None
    assert isinstance(given, dict)
    return given


def check(instance: Any, schema: Any) -> None:
    found = [error.message for error in jsonschema_rs.Draft4Validator(schema).iter_errors(instance)]
    if found:
        raise Refusal(400, "JSONSchema Validation Error", *found)


@contextmanager
def original_server(dialect: str) -> Iterator[Original]:
    """An original server of that dialect on loopback."""
    original = Original(dialect)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                reply = original.reply(self.command, self.path, raw, self.headers)
            except Refusal as refusal:
                reply = Reply(refusal.status, original.error(refusal))
            content = b"" if reply.body is None else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            if reply.location:
                self.send_header("Location", reply.location)
            if reply.status != 204:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 the library's names

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        original.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield original
        finally:
            server.shutdown()
            thread.join()
