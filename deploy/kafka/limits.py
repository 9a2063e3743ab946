"""The limits of the Kafka for development and tests, each named with its unit last."""

from typing import Final

# How long starting takes at most, in seconds: of a cluster until it answers, of a partition until it has a leader, of
# the tool that formats a broker's directory.
READY_SECONDS_MAX: Final = 90.0
LEADER_SECONDS_MAX: Final = 30.0
FORMAT_SECONDS_MAX: Final = 120.0
# How long one attempt to ask a broker may take, in seconds, and how long to wait before the next one.
ATTEMPT_SECONDS_MAX: Final = 10.0
ATTEMPT_RETRY_SECONDS: Final = 0.1
# How long a stopped broker may take to end before it is killed, in seconds; how long a killed one may; how often it is
# looked whether they have.
STOP_SECONDS_MAX: Final = 20.0
KILL_SECONDS_MAX: Final = 10.0
GONE_LOOK_SECONDS: Final = 0.02
# How many of the last lines of a broker's log an error shows, and in how many of its last bytes they are looked for.
LOG_LINES_SHOWN: Final = 20
LOG_BYTES_READ: Final = 64 * 1024
# How long `java -version`, and the download of Kafka by Maven, may take, in seconds.
JAVA_ANSWER_SECONDS_MAX: Final = 60.0
FETCH_SECONDS_MAX: Final = 900.0
# How many ports are tried to find free ones.
PORT_TRIES_MAX: Final = 1_000

assert ATTEMPT_SECONDS_MAX < READY_SECONDS_MAX, "a cluster is asked more than once"
