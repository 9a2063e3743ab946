"""The programs a broker needs: Java, and Kafka's jars, fetched once by Maven into the user's cache."""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import KafkaUnavailable
from .limits import FETCH_SECONDS_MAX, JAVA_ANSWER_SECONDS_MAX

HERE: Final = Path(__file__).parent
POM: Final = HERE / "pom.xml"
LOGGING: Final = HERE / "log4j2.properties"
COPY_JARS: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
JAVA_MAJOR_MIN: Final = 17

_JAVA_VERSION: Final = re.compile(r'version "(?:1\.)?(\d+)')
_DOWNLOADED: Final = re.compile(r"Downloaded from .*\(([\d.]+) (B|kB|MB) at ")
_UNIT_BYTES: Final = {"B": 1, "kB": 1_000, "MB": 1_000_000}

Report = Callable[[str], None]


def _pinned_version() -> str:
    found = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", POM.read_text(encoding="utf-8"))
    assert found is not None, "pom.xml names kafka.version"
    return found[1]


KAFKA_VERSION: Final = _pinned_version()


@dataclass(frozen=True)
class Distribution:
    """The files that start a broker: the ``java`` program and the directory of jars."""

    java: Path
    libs: Path

    @property
    def classpath(self) -> str:
        """For ``java -cp``; Java itself expands the star."""
        return f"{self.libs}/*"


def require_kafka() -> None:
    """Make sure that a broker can be started here; fetches the jars if they are not in the cache yet.

    Raises ``KafkaUnavailable``: one sentence that names what is missing and how to get it.
    """
    ensure_distribution()


def ensure_distribution(report: Report | None = None) -> Distribution:
    """Java and the jars, checked, and fetched if need be.

    ``report`` gets progress lines; by default they go to standard error. Raises ``KafkaUnavailable``.
    """
    if importlib.util.find_spec("aiokafka") is None:
        raise KafkaUnavailable("Kafka needs the Python package aiokafka: pip install 'journeyman[kafka]'.")
    java = _find_java()
    libs = _cache() / f"{KAFKA_VERSION}-{_pom_digest()}"
    if not libs.is_dir():
        _fetch_once(libs, report or _to_stderr)
    return Distribution(java, libs)


def _find_java() -> Path:
    advice = f"install a JRE {JAVA_MAJOR_MIN} or newer (Debian: apt install default-jre-headless)"
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        where = f"in JAVA_HOME ({home})" if home else "on the PATH"
        raise KafkaUnavailable(f"Kafka needs Java and there is no java {where}: {advice}.")
    try:
        answer = subprocess.run(
            [found, "-version"], capture_output=True, text=True, check=False, timeout=JAVA_ANSWER_SECONDS_MAX
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KafkaUnavailable(f"Kafka needs Java and {found} -version does not answer ({error}): {advice}.") from error
    version = _JAVA_VERSION.search(answer.stderr + answer.stdout)
    if version is None or int(version[1]) < JAVA_MAJOR_MIN:
        what = f"Java {version[1]}" if version else "of an unknown version"
        raise KafkaUnavailable(f"Kafka {KAFKA_VERSION} needs Java {JAVA_MAJOR_MIN} and {found} is {what}: {advice}.")
    return Path(found)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "journeyman" / "kafka"


def _pom_digest() -> str:
    # In the directory's name, so that a new pin beside the same Kafka version is fetched anew.
    return hashlib.sha256(POM.read_bytes()).hexdigest()[:8]


def _fetch_once(libs: Path, report: Report) -> None:
    """Fetch into a directory of its own and rename: a killed process leaves ``libs`` whole or absent."""
    libs.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(libs.parent / "fetch.lock", report):
        if libs.is_dir():
            return
        for abandoned in libs.parent.glob("fetch-*"):
            shutil.rmtree(abandoned)  # of a process that was killed: a living one would hold the lock
        scratch = Path(tempfile.mkdtemp(prefix="fetch-", dir=libs.parent))
        try:
            _run_maven(scratch, report)
            scratch.chmod(0o755)
            scratch.rename(libs)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _one_at_a_time(path: Path, report: Report) -> Iterator[None]:
    # Two Mavens at once may damage each other's local repository, so the second process waits for the first.
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("Another process is fetching Kafka; waiting for it.\n")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run_maven(libs: Path, report: Report) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise KafkaUnavailable(
            f"Kafka {KAFKA_VERSION} is not in the cache yet and fetching it needs Maven, but there is no mvn on the "
            "PATH: install it (Debian: apt install maven)."
        )
    command = [mvn, "-B", "-f", str(POM), COPY_JARS, "-DincludeScope=runtime", f"-DoutputDirectory={libs}"]
    report(f"Fetching Apache Kafka {KAFKA_VERSION} from Maven Central (44 MB, once) …\n")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as maven:
        alarm = threading.Timer(FETCH_SECONDS_MAX, maven.kill)
        alarm.start()
        try:
            assert maven.stdout is not None
            errors = _follow_maven(maven.stdout, report)
        except BaseException:
            maven.kill()
            raise
        finally:
            alarm.cancel()
    if maven.returncode != 0 or not any(libs.glob("kafka-clients-*.jar")):
        reason = errors[0] if errors else f"exit status {maven.returncode}"
        raise KafkaUnavailable(
            f"Maven could not fetch Apache Kafka {KAFKA_VERSION} ({reason}): it needs access to Maven Central or a "
            "mirror named in ~/.m2/settings.xml."
        )
    jars = [jar.stat().st_size for jar in libs.glob("*.jar")]
    report(f"Fetched {len(jars)} jars, {sum(jars) / 1e6:.0f} MB.\n")


def _follow_maven(output: Iterable[str], report: Report) -> list[str]:
    """Report the megabytes as they come; return Maven's error lines."""
    fetched = 0.0
    errors: list[str] = []
    for line in output:
        if size := _DOWNLOADED.search(line):
            fetched += float(size[1]) * _UNIT_BYTES[size[2]]
            report(f"\r{fetched / 1e6:6.1f} MB ")
        elif line.startswith("[ERROR]"):
            errors.append(line.removeprefix("[ERROR]").strip())
    if fetched:
        report("\r")
    return errors


def _to_stderr(text: str) -> None:
    # The line that rewrites itself is for a terminal; a log file gets the first line and the last.
    if sys.stderr.isatty() or not text.startswith("\r"):
        sys.stderr.write(text)
        sys.stderr.flush()
