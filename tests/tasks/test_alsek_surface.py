"""The documented surface of Alsek: names, the order of parameters, defaults and errors, with `journal` for `backend`.

The tables hold what its reference page says. A default that differs on purpose stands in `OTHER_DEFAULTS`, with the
value that it has here; `docs/from-alsek.md` gives the reasons.
"""

import inspect
import logging
import signal
from collections.abc import Callable, Iterator
from typing import Any, Final

import journeyman as jm
import pytest

WEEK_MS: Final = 604_800_000
HOUR_MS: Final = 3_600_000
REQUIRED: Final = inspect.Parameter.empty
_TASK: Final = {
    "name": None,
    "queue": None,
    "timeout": HOUR_MS,
    "max_retries": 3,
    "backoff": jm.ExponentialBackoff(),
}
_READERS: Final = {"result_store": None, "status_tracker": None, "mechanism": "thread", "no_positional_args": False}
_BOUNDS: Final = {"floor": 60_000, "ceiling": HOUR_MS, "zero_override": True}
_POOL: Final = {"tasks": REQUIRED, "queues": None, "task_specific_mode": False}

# Parameters in the page's order, with its defaults. Those of the pools are passed by keyword there.
SIGNATURES: Final[dict[str, dict[str, Any]]] = {
    "Broker": {"journal": REQUIRED, "dlq_ttl": WEEK_MS},
    "Broker.submit": {"message": REQUIRED, "ttl": WEEK_MS},
    **{
        f"Broker.{name}": {"message": REQUIRED}
        for name in ("ack", "exists", "fail", "in_dlq", "remove", "retry", "sync_from_backend", "sync_to_backend")
    },
    "Backoff": _BOUNDS,
    "ConstantBackoff": {"constant": 60_000},
    "LinearBackoff": {"factor": 30_000},
    "ExponentialBackoff": {"base": 4, "factor": 10_000},
    "settings2backoff": {"settings": REQUIRED},
    "Lock": {"name": REQUIRED, "journal": REQUIRED, "ttl": HOUR_MS, "auto_release": True, "owner_id": None},
    "ProcessLock": {"name": REQUIRED, "journal": REQUIRED, "ttl": HOUR_MS, "auto_release": True, "owner_id": None},
    "ThreadLock": {"name": REQUIRED, "journal": REQUIRED, "ttl": HOUR_MS, "auto_release": True, "owner_id": None},
    "Lock.acquire": {"wait": None, "if_already_acquired": "raise_error"},
    "Lock.release": {"raise_if_not_acquired": False},
    "Consumer": {
        "broker": REQUIRED,
        "subset": None,
        "backoff": jm.LinearBackoff(1_000, floor=1_000, ceiling=30_000, zero_override=False),
    },
    "Consumer.stream": {},
    "Message.duplicate": {"uuid": None},
    "Message.link_lock": {"lock": REQUIRED, "override": False},
    "Message.release_lock": {"not_linked_ok": REQUIRED, "target_journal": REQUIRED},
    "StatusTracker": {"journal": REQUIRED, "ttl": WEEK_MS, "enable_pubsub": None},
    "StatusTracker.delete": {"message": REQUIRED, "check": True},
    "StatusTracker.exists": {"message": REQUIRED},
    "StatusTracker.get": {"message": REQUIRED},
    "StatusTracker.get_pubsub_name": {"message": REQUIRED},
    "StatusTracker.get_storage_name": {"message": REQUIRED},
    "StatusTracker.listen_to_updates": {"message": REQUIRED, "auto_exit": True},
    "StatusTracker.publish_update": {"message": REQUIRED, "update": REQUIRED},
    "StatusTracker.set": {"message": REQUIRED, "status": REQUIRED, "details": None},
    "StatusTracker.wait_for": {"message": REQUIRED, "status": REQUIRED, "timeout": 5.0, "poll_interval": 0.05},
    "StatusTrackerIntegryScanner": {"status_tracker": REQUIRED},
    "StatusTrackerIntegryScanner.scan": {},
    "Task": {"function": REQUIRED, "broker": REQUIRED, **_TASK, **_READERS},
    "TriggerTask": {"function": REQUIRED, "trigger": REQUIRED, "broker": REQUIRED, **_TASK, **_READERS},
    "task": {"broker": REQUIRED, **_TASK, "trigger": None, **_READERS, "base_task": None},
    "Task.generate": {
        "args": None,
        "kwargs": None,
        "priority": 0,
        "metadata": None,
        "result_ttl": None,
        "uuid": None,
        "timeout_override": None,
        "delay": None,
        "previous_result": None,
        "callback": None,
        "queue": None,
        "submit": True,
    },
    **{f"Task.{name}": {} for name in ("cancel_defer", "defer")},
    **{f"Task.{name}": {"message": REQUIRED} for name in ("execute", "is_revoked", "on_submit", "op", "pre_op")},
    **{f"Task.{name}": {"message": REQUIRED, "result": REQUIRED} for name in ("do_callback", "on_success", "post_op")},
    **{f"Task.{name}": {"message": REQUIRED, "exception": REQUIRED} for name in ("do_retry", "on_failure", "on_retry")},
    "Task.on_revocation": {"message": REQUIRED, "exception": REQUIRED, "result": REQUIRED},
    "Task.revoke": {"message": REQUIRED, "skip_if_running": False},
    "Task.update_status": {"message": REQUIRED, "status": REQUIRED},
    **{f"TriggerTask.{name}": {} for name in ("clear", "pause", "resume", "shutdown")},
    "ResultStore": {"journal": REQUIRED},
    "ResultStore.delete": {"message": REQUIRED, "descendants": True, "missing_ok": False},
    "ResultStore.exists": {"message": REQUIRED, "descendants": False},
    "ResultStore.get": {
        "message": REQUIRED,
        "timeout": 0,
        "keep": False,
        "with_metadata": False,
        "descendants": False,
    },
    "ResultStore.get_storage_name": {"message": REQUIRED},
    "ResultStore.set": {"message": REQUIRED, "result": REQUIRED, "nx": True},
    "ResultPool": {"result_store": REQUIRED},
    **{
        f"{kind}.{name}": {"obj": REQUIRED}
        for kind in ("Serializer", "JsonSerializer", "BinarySerializer")
        for name in ("forward", "reverse")
    },
    "ThreadWorkerPool": {
        **_POOL,
        "slot_wait_interval": 50,
        "backoff": None,
        "n_threads": 8,
        "n_processes": None,
        "n_process_floor": 1,
        "complete_only_on_thread_exit": False,
    },
    "ProcessWorkerPool": {
        **_POOL,
        "slot_wait_interval": 100,
        "backoff": None,
        "n_processes": None,
        "prune_interval": 100,
    },
    **{
        f"{pool}.{name}": {}
        for pool in ("ThreadWorkerPool", "ProcessWorkerPool")
        for name in ("on_boot", "on_shutdown")
    },
    "StopSignalListener": {"stop_signals": (signal.SIGTERM, signal.SIGINT), "exit_override": True},
    "StopSignalListener.wait": {"timeout": REQUIRED},
    "ExceptionDetails": {"name": REQUIRED, "text": None, "traceback": None},
    "ExceptionDetails.as_dict": {},
    "ExceptionDetails.as_exception": {"strict": True},
    "get_exception_name": {"exception": REQUIRED},
    "parse_exception": {"error": REQUIRED},
    "collect_tasks": {"module": REQUIRED},
    "setup_logging": {"level": REQUIRED},
    "get_logger": {},
    "smart_cpu_count": {},
}
OTHER_DEFAULTS: Final = {
    ("Broker", "journal"): None,
    ("Broker", "dlq_ttl"): None,
    ("Broker.submit", "ttl"): None,
    ("StatusTracker", "ttl"): None,
    ("Message.release_lock", "not_linked_ok"): False,
    ("Message.release_lock", "target_journal"): None,
    **{(name, "mechanism"): None for name in ("Task", "TriggerTask", "task")},
}
BY_KEYWORD: Final = ("ThreadWorkerPool", "ProcessWorkerPool")
PROPERTIES: Final = {
    "Backoff": ("parameters", "settings"),
    "Lock": ("full_name", "held", "holder", "owner_id"),
    "Message": ("data", "descendant_uuids", "exception_details", "ready", "ready_at", "summary", "ttr"),
    "StopSignalListener": ("received",),
    "Task": ("deferred", "name"),
    "TriggerTask": ("generated",),
}
METHODS: Final = {
    "Message": ("add_to_metadata", "clone", "get_backoff_duration", "increment_retries", "update"),
    "ResultPool": ("istream", "stream"),
    "ThreadWorkerPool": ("run",),
    "ProcessWorkerPool": ("run",),
}
ERRORS: Final = (
    "MessageAlreadyExistsError",
    "MessageDoesNotExistsError",
    "MultipleBrokersError",
    "NoTasksFoundError",
    "RevokedError",
    "SchedulingError",
    "TaskNameCollisionError",
    "TerminationError",
    "ValidationError",
)
FIELDS: Final = {
    "task_name": "work",
    "queue": "default",
    "args": (),
    "kwargs": {},
    "priority": 0,
    "metadata": None,
    "exception_details": None,
    "result_ttl": None,
    "uuid": ...,
    "progenitor_uuid": None,
    "retries": 0,
    "timeout": HOUR_MS,
    "created_at": ...,
    "updated_at": ...,
    "delay": 0,
    "previous_result": None,
    "previous_message_uuid": None,
    "callback_message_data": None,
    "backoff_settings": None,
    "mechanism": "thread",
}


@pytest.fixture
def journal() -> Iterator[jm.Journal]:
    with jm.Journal("memory://") as opened:
        yield opened


def at(path: str) -> Any:
    found: Any = jm
    for part in path.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("path", SIGNATURES)
def test_signature_is_that_of_the_page(path: str) -> None:
    listed, ours = SIGNATURES[path], inspect.signature(at(path)).parameters
    defaults = {name: each.default for name, each in ours.items() if name != "self"}
    wanted = {name: OTHER_DEFAULTS.get((path, name), default) for name, default in listed.items()}
    assert {name: defaults[name] for name in listed} == wanted
    if path not in BY_KEYWORD:
        assert list(defaults)[: len(listed)] == list(listed)
        assert all(ours[name].kind is not inspect.Parameter.KEYWORD_ONLY for name in listed)
    added = {name: each for name, each in ours.items() if name not in listed and name != "self"}
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    assert all(each.default is not REQUIRED or each.kind in kinds for each in added.values()), "none more is required"


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, found in PROPERTIES.items() for name in found])
def test_property_of_the_page_is_one(kind: str, name: str) -> None:
    assert isinstance(inspect.getattr_static(getattr(jm, kind), name), property)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, found in METHODS.items() for name in found])
def test_method_of_the_page_is_there(kind: str, name: str) -> None:
    assert inspect.isfunction(getattr(getattr(jm, kind), name))


@pytest.mark.parametrize("name", ERRORS)
def test_error_of_the_page_is_a_task_error(name: str) -> None:
    assert issubclass(getattr(jm, name), jm.TaskError)


def test_every_name_of_the_page_is_public() -> None:
    tables = (SIGNATURES, PROPERTIES, METHODS)
    named = {path.partition(".")[0] for table in tables for path in table} | {*ERRORS, "Message", "TaskStatus"}
    assert named | {"CronTrigger", "DateTrigger", "IntervalTrigger", "StatusUpdate"} <= set(jm.__all__)


def test_fields_of_a_message_are_those_of_the_page() -> None:
    given: list[Any] = ["work", *[None] * (len(FIELDS) - 1)]
    data = jm.Message(*given).data
    assert list(data)[: len(FIELDS)] == list(FIELDS)
    assert {name: value for name, value in data.items() if FIELDS.get(name, ...) is not ...} == {
        name: value for name, value in FIELDS.items() if value is not ...
    }


def test_statuses_are_numbered_as_on_the_page() -> None:
    numbered = ["UNKNOWN", "SUBMITTED", "RUNNING", "RETRYING", "FAILED", "SUCCEEDED"]
    assert [status.name for status in sorted(jm.TaskStatus, key=lambda status: status.value)] == numbered
    assert [status.value for status in jm.TaskStatus] == list(range(6))
    assert jm.StatusUpdate._fields == ("status", "details")


# -- errors: what was expected, what came ------------------------------------------------------------------------------

WRONG_MESSAGE: Final = r"expected a message(, or its id)?, got None\. A message is what task\.generate"


CALLS: Final = ("exists", "ack", "fail", "retry", "remove", "in_dlq", "sync_from_backend", "sync_to_backend", "submit")


@pytest.mark.parametrize("call", CALLS)
def test_broker_says_what_a_message_is(journal: jm.Journal, call: str) -> None:
    with pytest.raises(jm.ValidationError, match=WRONG_MESSAGE):
        getattr(jm.Broker(journal), call)(None)


@pytest.mark.parametrize("call", ["exists", "get", "delete"])
@pytest.mark.parametrize("reader", [jm.StatusTracker, jm.ResultStore])
def test_reader_says_what_a_message_is(journal: jm.Journal, reader: Callable[[jm.Journal], Any], call: str) -> None:
    with pytest.raises(jm.ValidationError, match=WRONG_MESSAGE):
        getattr(reader(journal), call)(None)


def test_submission_with_ttl_says_what_a_message_is(journal: jm.Journal) -> None:
    with pytest.raises(jm.ValidationError, match=WRONG_MESSAGE):
        jm.Broker(journal).submit(None, ttl=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: jm.settings2backoff({}), ValueError, r"a backoff has settings as .* got \{\}"),
        (lambda: jm.settings2backoff("x"), ValueError, "got 'x'"),  # type: ignore[arg-type]
        (
            lambda: jm.settings2backoff({"algorithm": "LinearBackoff", "parameters": {"step": 1}}),
            ValueError,
            "LinearBackoff cannot be made of the parameters",
        ),
        (lambda: jm.LinearBackoff("1"), TypeError, "factor is a number, in ms, got '1'"),  # type: ignore[arg-type]
        (lambda: jm.ConstantBackoff(True), TypeError, "constant is a number, in ms, got True"),
        (lambda: jm.ExponentialBackoff("2"), TypeError, "base is a number"),  # type: ignore[arg-type]
        (lambda: jm.ConstantBackoff(5, "0"), TypeError, "floor is a number, in ms, or None"),  # type: ignore[arg-type]
        (lambda: jm.parse_exception("x"), TypeError, "expected an exception, .* got 'x'"),  # type: ignore[arg-type]
        (lambda: jm.get_exception_name(int), TypeError, "expected an exception, or its class"),  # type: ignore[arg-type]
        (lambda: jm.collect_tasks(5), ValueError, "by its name such as 'shop.tasks', got 5"),  # type: ignore[arg-type]
        (lambda: jm.StopSignalListener(15), ValueError, "signals in a tuple, .* got 15"),  # type: ignore[arg-type]
        (lambda: jm.StopSignalListener([signal.SIGKILL]), ValueError, "other than SIGKILL"),
        (lambda: jm.ResultPool("x"), TypeError, r"takes a ResultStore\(journal\), got 'x'"),  # type: ignore[arg-type]
        (lambda: jm.AsyncResultPool("x"), TypeError, "takes an AsyncResultStore"),  # type: ignore[arg-type]
        (lambda: jm.Message("work").link_lock("x"), TypeError, "expected a lock, such as"),  # type: ignore[arg-type]
    ],
)
def test_argument_of_another_kind_is_explained(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_timeout_that_is_no_number_is_explained(journal: jm.Journal) -> None:
    jm.Broker(journal).submit(jm.Message("work", uuid="mine"))
    with pytest.raises(TypeError, match="a number of ms, or None for no end, got '1'"):
        jm.ResultStore(journal).get("mine", timeout="1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a number of seconds, or None for no end, got '1'"):
        jm.StatusTracker(journal).wait_for("mine", jm.TaskStatus.RUNNING, timeout="1")  # type: ignore[arg-type]


def test_scanner_takes_its_trigger_in_either_place(journal: jm.Journal) -> None:
    tracker, trigger = jm.StatusTracker(journal), jm.IntervalTrigger(hours=2)
    for given in ((trigger,), (None, trigger), (jm.Broker(journal), trigger)):
        with jm.StatusTrackerIntegryScanner(tracker, *given) as scanner:
            assert scanner.trigger is trigger
    with pytest.raises(jm.ValidationError, match="broker is the Broker of the tasks, or None, got 'x'"):
        jm.StatusTrackerIntegryScanner(tracker, "x")  # type: ignore[arg-type]
    with pytest.raises(jm.ValidationError, match="trigger is one of apscheduler's"):
        jm.StatusTrackerIntegryScanner(tracker, None, "x")  # type: ignore[arg-type]


# -- what signatures do not show ---------------------------------------------------------------------------------------


def test_backoff_of_the_user_passes_its_bounds_by_position() -> None:
    class Fixed(jm.Backoff):
        @property
        def parameters(self) -> dict[str, Any]:
            return {"floor": self.floor, "ceiling": self.ceiling, "zero_override": self.zero_override}

        def formula(self, incidents: int) -> int:
            return 7

    backoff = Fixed(1, 5, False)
    assert [backoff.get(0), backoff.get(1)] == [5, 5]
    assert jm.settings2backoff(backoff.settings) == backoff


def test_options_of_generate_are_those_of_submit(journal: jm.Journal) -> None:
    work = jm.Task(lambda: None, jm.Broker(journal), "work")
    message = work.generate(ttl=60_000)
    assert 0 < message.expires - message.created_at / 1_000 <= 61
    assert jm.Broker(journal).sync_from_backend(message).expires == message.expires
    assert not work.generate(submit=False, ttl=60_000).expires, "it counts from the submission"
    with pytest.raises(jm.ValidationError, match="ttl is a whole number of ms"):
        work.generate(ttl=0)


def test_schedule_takes_no_ttl(journal: jm.Journal) -> None:
    work = jm.TriggerTask(lambda: None, jm.IntervalTrigger(hours=1), jm.Broker(journal), "work")
    with pytest.raises(jm.ValidationError, match="a ttl counts from one submission"):
        work.generate(ttl=5)


def test_lock_is_not_acquired_by_its_block(journal: jm.Journal) -> None:
    with jm.Lock("mutex", journal) as lock:
        assert not lock.held
        assert lock.acquire()
        assert (lock.held, lock.holder) == (True, lock.owner_id)
        assert lock.full_name == "lock:mutex"
    assert lock.holder is None
    with pytest.raises(ValueError, match="the name of a lock"):
        jm.Lock("", journal)
    with pytest.raises(ValueError, match="if_already_acquired is one of"):
        lock.acquire(if_already_acquired="wait")  # type: ignore[arg-type]


def test_duplicate_has_no_lock_of_its_own(journal: jm.Journal) -> None:
    message = jm.Message("work").link_lock(jm.Lock("stock", journal))
    assert message.duplicate().linked_lock is None
    assert message.clone().linked_lock == message.linked_lock


@pytest.mark.parametrize("callback", [5, "text", [5]])
def test_callback_that_is_no_message_is_explained(journal: jm.Journal, callback: Any) -> None:
    work = jm.Task(lambda: None, jm.Broker(journal), "work")
    with pytest.raises(jm.ValidationError, match="a callback is a message"):
        work.generate(callback=callback)


@pytest.mark.parametrize("base_task", [5, jm.Message, lambda *_: None])
def test_base_task_that_is_no_task_is_explained(journal: jm.Journal, base_task: Any) -> None:
    with pytest.raises(jm.ValidationError, match="base_task is a subclass of Task, got"):
        jm.task(jm.Broker(journal), base_task=base_task)


def test_logger_is_the_one_above_all() -> None:
    assert logging.getLogger("journeyman.worker").parent is jm.get_logger()
