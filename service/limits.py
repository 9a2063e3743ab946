"""The limits of the service, each with its unit."""

from typing import Final

from ..journal.limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX, KIB, MIB

# -- keys --------------------------------------------------------------------------------------------------------------

KEY_CHARACTERS_MIN: Final = 16
KEY_CHARACTERS_MAX: Final = 512
KEYS_MAX: Final = 1_000
# How often, in seconds, the file of the keys is looked at for a change.
KEYS_RELOAD_SECONDS: Final = 1.0
# What each key may use unless its line says otherwise: requests a second, bytes a second of bodies and answers, and
# requests in progress at a time, streams among them.
KEY_REQUESTS_PER_SECOND: Final = 10_000.0
KEY_BYTES_PER_SECOND: Final = 512.0 * MIB
KEY_STREAMS_MAX: Final = 1_000
# How much of a second's allowance may be used at once, in seconds.
BURST_SECONDS: Final = 2.0

# -- requests ----------------------------------------------------------------------------------------------------------

# The largest body of a request, in bytes: one append of the largest size, with its encoding around it.
BODY_BYTES_MAX: Final = 2 * BATCH_BYTES_MAX
# The request line and the headers together, in bytes.
HEAD_BYTES_MAX: Final = 64 * KIB
# How long a client may take to send the head of a request, and its body, in seconds.
HEAD_SECONDS_MAX: Final = 20.0
BODY_SECONDS_MAX: Final = 60.0
# The longest part of an answer, in bytes, that is copied to be sent with the head.
JOINED_BYTES_MAX: Final = 64 * KIB
# How many connections are served at a time.
CONNECTIONS_MAX: Final = 2_000
# How many connections above that are answered with 503; any more are closed unanswered.
CONNECTIONS_REFUSED_MAX: Final = 128
# How many connections wait to be accepted.
BACKLOG_CONNECTIONS: Final = 512
# How many open files are kept for the journal, the log and others that are no connections.
FILES_SPARE: Final = 512
# How long an idle connection is kept open, in seconds.
KEEP_ALIVE_SECONDS: Final = 75
# How long a request may wait for a position, a result or an event, in seconds.
WAIT_SECONDS_MAX: Final = 60.0
# How long an answer waits for a position that `at_least` names, in seconds.
AT_LEAST_SECONDS: Final = 10.0

# -- tasks and queues --------------------------------------------------------------------------------------------------

# How many items a page of a list has by default, and at most.
LIST_ITEMS: Final = 100
LIST_ITEMS_MAX: Final = 1_000
# How many events a page of the list of all tasks reads at a time, and in total before it is answered as it is.
LIST_STEP_EVENTS: Final = 1_000
LIST_EVENTS_MAX: Final = 50_000
# How many hits a search has at most.
HITS_MAX: Final = 200
# A look-up of a task that the state has forgotten counts as so many of them.
LIST_LOOKUP_EVENTS: Final = 50
# The longest filter for arguments.
ARGUMENT_CHARACTERS_MAX: Final = 1_000
# How many messages a request may submit, and on how many tasks it may act.
SUBMISSIONS_MAX: Final = 10_000
ACTS_MAX: Final = 1_000
REASON_CHARACTERS_MAX: Final = 1_000
IDEMPOTENCY_KEY_CHARACTERS_MAX: Final = 200
# How many events of a lock or a schedule an answer has at most, and how many ticks to come.
STEPS_MAX: Final = 10_000
TICKS_MAX: Final = 10_000
# For how many seconds a summary of the queues is answered again while no event comes.
SUMMARY_SECONDS: Final = 1.0
# While events come, the share of its time that the service spends at most on summaries.
SUMMARY_TIME_SHARE: Final = 0.1
# For how many seconds the state of a past moment is kept after it was asked about.
PAST_SECONDS_KEPT: Final = 60.0
# A stream without an update says so often that it lives, in seconds.
UPDATES_HEARTBEAT_SECONDS: Final = 15.0
# The waits after which the reader of a stream that the service ends is to come again, in ms; random between them.
COME_AGAIN_MS_MIN: Final = 500
COME_AGAIN_MS_MAX: Final = 3_000
# -- events ------------------------------------------------------------------------------------------------------------

# How often a stream without events says that it lives, in seconds.
HEARTBEAT_SECONDS: Final = 15.0
# A stream that ends asks its reader to come again within these times, drawn at random, in milliseconds.
RETRY_MS_MIN: Final = 500
RETRY_MS_MAX: Final = 3_000
# A reader of live events that is so many bytes or pages of them behind is told that it is too slow, and dropped.
READER_BYTES_MAX: Final = 4 * MIB
READER_PAGES_MAX: Final = 4_096
# A reader that takes nothing for so long, in seconds, is disconnected; how often that is looked at, in seconds.
READER_STALL_SECONDS: Final = 60.0
READER_LOOK_SECONDS: Final = 5.0
# A reader reads history in pages of about so many bytes, by the size of the pages before.
PAGE_BYTES: Final = 256 * KIB
# How long an answer waits for a page of history, which only has to be fetched, in seconds.
READ_SECONDS: Final = 10.0
# Events are sent in pieces of about so many bytes; one larger event is a piece of its own.
PIECE_BYTES: Final = 64 * KIB
# How many events, and about how many bytes, one answer to a poll contains; the first is the default of `limit`.
POLL_EVENTS: Final = 500
POLL_EVENTS_MAX: Final = 10_000
POLL_BYTES_MAX: Final = 4 * MIB

# How many events a page of the latest ones has by default, and at most.
LATEST_EVENTS: Final = 100
LATEST_EVENTS_MAX: Final = 1_000

# How long the events of an Idempotency-Key are known, in seconds, and how many keys at most: the newest.
IDEMPOTENCY_SECONDS: Final = 86_400.0
IDEMPOTENCY_KEYS_MAX: Final = 200_000
# How long a request waits until the keys of the log have been read, in seconds.
IDEMPOTENCY_WAIT_SECONDS: Final = 10.0

# -- the process -------------------------------------------------------------------------------------------------------

PORT: Final = 8080
# After SIGTERM requests have so many seconds to end.
DRAIN_SECONDS: Final = 10
# The waits between two tries to follow the journal, in seconds.
FOLLOW_AGAIN_SECONDS: Final = 0.5
FOLLOW_AGAIN_SECONDS_MAX: Final = 10.0
# How many tasks a scrape counts before it lets requests run: some milliseconds.
COUNTED_TASKS: Final = 10_000
# How long a probe or a scrape waits for the replica to come to the journal's end, in seconds.
CURRENT_SECONDS_MAX: Final = 2.0
# How long the applied position may stand still while events wait, in seconds, before the service is unhealthy.
PROGRESS_SECONDS_MAX: Final = 10.0
# For how many seconds after a failed append, without a later one that succeeded, the service is not ready.
APPEND_TROUBLE_SECONDS: Final = 10.0

assert KEY_CHARACTERS_MIN < KEY_CHARACTERS_MAX < HEAD_BYTES_MAX
assert LIST_ITEMS <= LIST_ITEMS_MAX
assert LIST_STEP_EVENTS <= LIST_EVENTS_MAX
assert COME_AGAIN_MS_MIN < COME_AGAIN_MS_MAX
assert FOLLOW_AGAIN_SECONDS < FOLLOW_AGAIN_SECONDS_MAX

# -- remote workers ----------------------------------------------------------------------------------------------------

# How many tasks one request claims at most, and how many outcomes one reports.
REMOTE_CLAIMS_MAX: Final = 500
REMOTE_OUTCOMES_MAX: Final = 500
REMOTE_TASK_NAMES_MAX: Final = 1_000
REMOTE_TEXT_CHARS_MAX: Final = 2_000
REMOTE_TRACEBACK_CHARS_MAX: Final = 32_000
# A remote worker that claims while it holds nothing writes a beat this often, in seconds; one that has written nothing
# for longer than the second is taken for gone.
REMOTE_IDLE_BEAT_SECONDS: Final = 300.0
REMOTE_IDLE_SECONDS_MAX: Final = 900.0
REMOTE_IDLE_LOOK_SECONDS: Final = 30.0
# Of so many tasks the service remembers when a remote worker last reported their progress, to bound how often.
REMOTE_PROGRESS_REMEMBERED: Final = 10_000
# An append of claims in doubt is handed in again after so many seconds.
REMOTE_REPEAT_SECONDS: Final = 0.1
# The index of ready tasks is built anew when it has so many more entries than twice the tasks.
READY_ENTRIES_SPARE: Final = 10_000

assert 2 * REMOTE_IDLE_BEAT_SECONDS < REMOTE_IDLE_SECONDS_MAX, "one missed beat ends no idle worker"
assert 2 * REMOTE_OUTCOMES_MAX <= BATCH_EVENTS_MAX, "an outcome may bring the next link of its chain"
assert RETRY_MS_MIN < RETRY_MS_MAX
assert PIECE_BYTES <= PAGE_BYTES
assert PIECE_BYTES < EVENT_BYTES_MAX < READER_BYTES_MAX, "a reader is not too slow because of one event"
assert READER_LOOK_SECONDS < READER_STALL_SECONDS
assert POLL_EVENTS <= POLL_EVENTS_MAX

# -- requests of web servers -------------------------------------------------------------------------------------------

# How many completed requests `/tracker` answers with, and how many one request records at most.
TRACKER_COMPLETED_TASKS: Final = 256
TRACKER_TASKS_MAX: Final = 1_000
# How many active requests `GET /requests` lists.
REQUESTS_LISTED: Final = 500

# -- services and jobs -------------------------------------------------------------------------------------------------

# Where the services and jobs stand, unless the operator names another path.
TOPCHEF_PATH: Final = "/topchef"
# How long an answer about an empty queue is held back while no job comes, in seconds: an idle listener asks without
# pause, and has no time-out of its own.
TOPCHEF_QUEUE_SECONDS: Final = 1.0
# How many jobs of a queue one answer has.
TOPCHEF_QUEUE_JOBS: Final = 10
# How many jobs an answer lists by their states, of a service or of all of them: those that were submitted last.
TOPCHEF_LISTED_JOBS: Final = 1_000
# How many jobs of a service one answer describes in full: those that were submitted last.
TOPCHEF_DETAILED_JOBS: Final = 1_000
# How long a claim may wait for a job, in seconds.
TOPCHEF_CLAIM_SECONDS_MAX: Final = 20.0
# A service has timed out when its listener has been silent for so many times its time-out: listeners check in just as
# often as the default time-out, so a single late one does not count.
TOPCHEF_GRACE: Final = 2.0
# A check-in that follows another one of the same service within so many seconds is not written.
TOPCHEF_CHECK_IN_SECONDS: Final = 1.0
# The lease of a listener that names itself is this, in ms, unless it asks for another. Of one that does not, the
# service holds the jobs, for so many times the time-out of the service, but at least so many ms.
TOPCHEF_SERVICE_LEASE_TIMEOUTS: Final = 3.0
TOPCHEF_SERVICE_LEASE_MS_MIN: Final = 60_000
# Such a listener checks in even when it has stopped working. So check-ins alone renew the claim of a job only until it
# is so many seconds old.
TOPCHEF_JOB_SECONDS_MAX: Final = 3_600.0
TOPCHEF_TEXT_CHARS_MAX: Final = 10_000
TOPCHEF_LISTENER_CHARS_MAX: Final = 100
TOPCHEF_TIMEOUT_SECONDS_MAX: Final = 366 * 24 * 3_600
# The encoded size of a schema, in bytes.
TOPCHEF_SCHEMA_BYTES_MAX: Final = 256 * KIB
# How many compiled schemas are kept, and how many violations an answer names.
TOPCHEF_SCHEMAS_KEPT: Final = 256
TOPCHEF_VIOLATIONS_MAX: Final = 100
# How many ways through a schema there may be for one part of a value, and in how many steps they are counted.
# To tell every violation takes a thousand times as long as to tell whether there is one.
TOPCHEF_SCHEMA_WAYS_MAX: Final = 10_000_000
TOPCHEF_SCHEMA_WAYS_TOLD_MAX: Final = 10_000
TOPCHEF_SCHEMA_STEPS_MAX: Final = 200_000
# How many steps a regular expression of a schema may go back before it counts as no match.
TOPCHEF_PATTERN_STEPS_MAX: Final = 100_000

assert TOPCHEF_QUEUE_SECONDS <= 1.0 < TOPCHEF_CLAIM_SECONDS_MAX <= WAIT_SECONDS_MAX
assert 2 * TOPCHEF_SCHEMA_BYTES_MAX < EVENT_BYTES_MAX, "both schemas of a service are in one event"

# -- trends ------------------------------------------------------------------------------------------------------------

# The window that is kept for charts, and the width of its buckets, in seconds.
TREND_RECENT_SECONDS: Final = 3_600.0
TREND_WIDTH_SECONDS: Final = 60.0
# A caller that asks for this window has read its clock up to so many seconds before.
TREND_SLACK_SECONDS: Final = 60.0
# It is given up once no caller has asked for it for so many seconds.
TREND_IDLE_SECONDS: Final = 900.0
# How long a request waits until it has been read, in seconds.
TREND_WAIT_SECONDS: Final = 10.0
# How many events of another window a request reads at most, and how many buckets it answers.
TREND_EVENTS_MAX: Final = 2_000_000
TREND_POINTS_MAX: Final = 1_000
# How many queues have a series in an answer, by default and at most.
TREND_QUEUES: Final = 20
TREND_QUEUES_LISTED_MAX: Final = 100
# How many kinds of failures and how many expired workers an answer names.
TREND_INCIDENTS: Final = 50

# -- commands on many tasks --------------------------------------------------------------------------------------------

# How many commands run at once, and how many are listed: those of so many seconds.
COMMANDS_RUNNING_MAX: Final = 4
COMMANDS_KEPT: Final = 200
COMMANDS_KNOWN_SECONDS: Final = 86_400.0
# How many tasks a command acts on at most, how many a second by default and at most, and how many at the same time.
COMMAND_TASKS_MAX: Final = 1_000_000
COMMAND_RATE: Final = 100.0
COMMAND_RATE_MAX: Final = 2_000.0
COMMAND_ACTS_AT_ONCE: Final = 16
# In how many portions a second it divides its work, and how often a slow one looks whether it was stopped, in seconds.
COMMAND_PORTIONS_PER_SECOND: Final = 10
COMMAND_LOOK_SECONDS: Final = 0.5
# How many tasks a dry run shows.
COMMAND_SAMPLE: Final = 20
# A command says how far it is this often, in seconds; one that is silent for so long was abandoned.
COMMAND_PROGRESS_SECONDS: Final = 5.0
COMMAND_SILENCE_SECONDS: Final = 30.0
# How often it tries to act on a task while the journal is away, and how long it may take to write its end, in seconds.
COMMAND_TRIES: Final = 10
COMMAND_END_SECONDS: Final = 3.0

assert 3 * COMMAND_PROGRESS_SECONDS < COMMAND_SILENCE_SECONDS, "a late report is no silence"
