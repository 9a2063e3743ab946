"""One broker: its directory, its process, and the ways to start, stop, kill and pause it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from .distribution import LOGGING, Distribution
from .errors import KafkaClusterError
from .limits import FORMAT_SECONDS_MAX, LOG_BYTES_READ, LOG_LINES_SHOWN, STOP_SECONDS_MAX
from .settings import EVERY_JVM, SMALL_JVM, Node, properties_text, server_properties


class Guard:
    """The process that kills our brokers, and removes ``scratch``, if this process ends without doing it."""

    def __init__(self, scratch: Path | None) -> None:
        """Start the guard; it ends by itself when this process does."""
        script = Path(__file__).with_name("guard.py")
        directories = [] if scratch is None else [str(scratch)]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script), *directories],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        """Kill this process group when the parent is gone."""
        self._order(f"watch {pid}\n")

    def forget(self, pid: int) -> None:
        """Do not kill this process group any more."""
        self._order(f"forget {pid}\n")

    def close(self) -> None:
        """End the guard, which kills the process groups that it still watches."""
        self._order("end\n")
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
        self._process.wait()

    def _order(self, line: str) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError):  # the guard was killed: this process still stops the brokers
            pipe.write(line.encode())
            pipe.flush()

    def __enter__(self) -> Self:
        """The guard itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


class Broker:
    """One combined broker and controller of a ``KafkaCluster``; made by it, numbered from 1."""

    def __init__(
        self,
        node: Node,
        everyone: Sequence[Node],
        directory: Path,
        distribution: Distribution,
        jvm: Sequence[str],
        guard: Guard,
        await_ready: Callable[[], None],
    ) -> None:
        self.node = node
        self.directory = directory
        self.properties = directory / "server.properties"
        self.log = directory / "broker.log"
        self._everyone = everyone
        self._distribution = distribution
        self._jvm = jvm
        self._guard = guard
        self._await_ready = await_ready
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def number(self) -> int:
        """The node id, from 1."""
        return self.node.number

    @property
    def address(self) -> str:
        """``host:port`` for clients of this broker."""
        return self.node.address

    @property
    def pid(self) -> int:
        """The process id; an error when the broker is not running."""
        return self._running_process().pid

    @property
    def running(self) -> bool:
        """Whether the process exists (a paused one does)."""
        return self._process is not None and self._process.poll() is None

    @property
    def paused(self) -> bool:
        """Whether it is stopped by ``pause``."""
        return self.running and self._paused

    def format(self, cluster_id: str) -> None:
        """Write the settings, and format the storage unless it is already."""
        data = self.directory / "data"
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = server_properties(self.node, self._everyone, data)
        self.properties.write_text(properties_text(settings), encoding="ascii")
        if (data / "meta.properties").exists():
            return
        arguments = ["format", "--cluster-id", cluster_id, "--config", str(self.properties)]
        done = subprocess.run(
            self._java(SMALL_JVM, "kafka.tools.StorageTool", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=FORMAT_SECONDS_MAX,
            check=False,
        )
        if done.returncode != 0:
            raise KafkaClusterError(f"formatting the storage of broker {self.number} failed:\n{done.stdout.strip()}")

    def launch(self, *, keep_log: bool = True) -> None:
        """Start the process and return at once; nothing is known about its health yet."""
        if self.running:
            raise KafkaClusterError(f"broker {self.number} is running already (process {self.pid}).")
        with self.log.open("ab" if keep_log else "wb") as log:
            self._process = subprocess.Popen(
                self._java(self._jvm, "kafka.Kafka", str(self.properties)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                start_new_session=True,  # Ctrl-C is for the caller, which then stops the broker in order
            )
        self._paused = False
        self._guard.watch(self._process.pid)

    def start(self) -> None:
        """Start it again and wait until it takes records."""
        self.launch()
        self._await_ready()

    def restart(self) -> None:
        """Stop it in order if it runs, start it, wait until it takes records. Its data stays."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone. Its data stays."""
        process = self._running_process()
        os.killpg(process.pid, signal.SIGKILL)
        self._reap(process)

    def stop(self, timeout: float = STOP_SECONDS_MAX) -> None:
        """SIGTERM if it runs, and wait; SIGKILL if it has not ended after ``timeout`` seconds."""
        self.ask_to_stop()
        self.await_stopped(timeout)

    def ask_to_stop(self) -> None:
        """SIGTERM without waiting; a paused process is resumed, or it could not obey."""
        if self.running:
            os.killpg(self.pid, signal.SIGTERM)
            os.killpg(self.pid, signal.SIGCONT)
            self._paused = False

    def await_stopped(self, timeout: float) -> None:
        """Wait for the end of the process, and force it after ``timeout`` seconds."""
        process = self._process
        if process is None:
            return
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        self._reap(process)

    def pause(self) -> None:
        """SIGSTOP: alive, holding its connections, and silent, from when this returns."""
        pid = self._running_process().pid
        os.killpg(pid, signal.SIGSTOP)
        self._paused = True
        if hasattr(
            os, "waitid"
        ):  # not everywhere: a busy broker may answer once more before its last thread has stopped
            with contextlib.suppress(ChildProcessError):  # not our child, or it has ended
                os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """SIGCONT after ``pause``."""
        os.killpg(self._running_process().pid, signal.SIGCONT)
        self._paused = False

    def release(self) -> None:
        """Let the process outlive this one; from here on this process does not wait for it."""
        process = self._running_process()
        self._guard.forget(process.pid)
        process.returncode = 0  # or Popen would warn of a child left running, which is intended here
        self._process = None

    def check_alive(self) -> None:
        """Raise ``KafkaClusterError`` with the end of the log if the process has ended by itself."""
        if self._process is not None and (status := self._process.poll()) is not None:
            raise KafkaClusterError(f"broker {self.number} ended with status {status}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The last lines of the broker's log, after its path."""
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_BYTES_READ))
            lines = log.read().decode(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return "\n".join([f"{self.log}:", *(f"    {line}" for line in lines)])

    def _java(self, jvm: Sequence[str], main: str, *arguments: str) -> list[str]:
        java = self._distribution
        logging = f"-Dlog4j2.configurationFile={LOGGING.as_uri()}"
        return [str(java.java), *jvm, *EVERY_JVM, logging, "-cp", java.classpath, main, *arguments]

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise KafkaClusterError(f"broker {self.number} is not running.")
        return self._process

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._guard.forget(process.pid)
        self._process = None
        self._paused = False
