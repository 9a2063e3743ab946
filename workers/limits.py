"""The limits of worker processes, each named with its unit last, and the relations between them."""

from typing import Final

from ..journal.limits import BATCH_EVENTS_MAX, EVENT_BYTES_MAX, KIB, MIB

# What one crew holds claimed at most, in tasks, running and waiting; or one for each place, if it has more places.
CLAIMS_MAX: Final = 512
# How much work a worker claims ahead of its threads, in seconds of its own recent pace.
CLAIM_AHEAD_SECONDS: Final = 0.05
# How long a foreman with one short job in hand stands aside for the thread that runs it, in seconds.
STAND_ASIDE_SECONDS: Final = 0.002
# A claimed task that no thread came to for so long, in seconds, is given back.
CLAIM_IDLE_SECONDS_MAX: Final = 1.0
# How long a worker leaves a task to the worker whose turn it is, in seconds, before it takes it itself.
STEAL_DELAY_SECONDS: Final = 0.02
# Or for as long as so many of its own recent appends took, where that is more: then the other's claim takes long, too.
STEAL_DELAY_APPENDS: Final = 8
STEAL_DELAY_SECONDS_MAX: Final = 0.2
STEAL_TASKS_MAX: Final = 16
# While others run, outcomes wait for company in an append at most this long, in seconds.
OUTCOME_LINGER_SECONDS: Final = 0.005
# In a stream of tasks handed in one by one a worker commits once in so many seconds; where appends take long, once in
# twice as long as one of them, up to the maximum.
COMMIT_PACE_SECONDS: Final = 0.002
COMMIT_PACE_SECONDS_MAX: Final = 0.02
# So many outcomes are worth a commit at once.
COMMIT_OUTCOMES_ENOUGH: Final = 64

LEASE_MS_DEFAULT: Final = 15_000
LEASE_MS_MIN: Final = 500
LEASE_MS_MAX: Final = 24 * 60 * 60 * 1_000
# A session is renewed when a third of its lease has passed in silence; no work starts after 0.8 of it.
LEASE_RENEWAL_FRACTION: Final = 1 / 3
LEASE_START_FRACTION: Final = 0.8
# How long a worker waits at most before it tries again what the journal did not take: a fraction of its lease, and in
# seconds. Short, since others count on it that what a living holder has tried to append lands soon.
RETRY_LEASE_FRACTION: Final = 0.05
RETRY_SECONDS_MAX: Final = 0.125
# Nobody learns that the journal was away but by appending. So a watcher appends a sign of life after that fraction of a
# silent holder's lease, and leaves the holder the rest of it from the moment on at which that has landed.
LEASE_PROOF_FRACTION: Final = 0.5
# How long a living holder may take at most to reach the journal again after an outage, in seconds: a request that went
# to a broker that has stopped is given up after so long.
LEASE_RECOVERY_SECONDS: Final = 2.0
# By how much the silence of others grows at most from one observation to the next, as a fraction of the worker's lease:
# what is more was spent in waiting for a journal that does not work.
WATCH_STEP_FRACTION: Final = 1 / 12
# How often the sessions of other workers are looked at while they hold claims, in seconds.
WATCH_INTERVAL_SECONDS: Final = 0.1
# How often a worker looks, at least, for idle workers of its machine that ended without leaving, in seconds.
DEAD_PROCESSES_SECONDS: Final = 10.0
# Within how long, in seconds, a second signal is the echo of the first: too soon for anybody to have meant it.
SIGNAL_ECHO_SECONDS: Final = 0.2
# How long a worker that is stopped before it is ready tries to leave, in seconds.
STOP_UNSTARTED_SECONDS: Final = 1.0
# How long after a worker should have given up by itself its process is ended, in seconds.
FORCED_EXIT_SECONDS: Final = 1.0
# A worker logs at most so many failures one by one in so many seconds, retries apart; of the others it logs the count.
FAILURE_LINES_MAX: Final = 10
FAILURE_LINES_SECONDS: Final = 1.0
# How much of a failure's reason is told there, in characters.
FAILURE_CHARS_MAX: Final = 500
# What a worker says of the tasks it knows when it joins, at most, in characters of their names together.
WORKER_TASKS_CHARS_MAX: Final = 64 * KIB
# How often a worker publishes its vitals and they are judged, in seconds.
HEALTH_INTERVAL_SECONDS: Final = 1.0
# A loop that has not turned for so long, in seconds, is not well; longer than a fail-over of the journal takes.
HEALTH_TURN_SECONDS_MAX: Final = 10.0
# A worker that has something to apply and applies nothing for so long, in seconds, is not well.
HEALTH_PROGRESS_SECONDS_MAX: Final = 10.0
# How long one question over HTTP may take, in seconds.
HEALTH_REQUEST_SECONDS_MAX: Final = 5.0
# How often running tasks are compared with their timeouts, in ms.
ENFORCE_MS_DEFAULT: Final = 100
# A thread or coroutine that does not react to its timeout for so long, in seconds, is given up and replaced.
ABANDON_SECONDS: Final = 5.0
# How long a task's own do_retry and retry_at may take, in seconds, where a timeout or a death has ended its job.
HOOK_SECONDS_MAX: Final = 5.0
# The longest period in which a waiting task gains a step of priority, in ms, and the most a queue weighs at its turn.
PRIORITY_AGEING_MS_MAX: Final = 365 * 24 * 60 * 60 * 1_000
QUEUE_WEIGHT_MAX: Final = 1_000
COROUTINES_DEFAULT: Final = 100
COROUTINES_MAX: Final = 10_000
PROCESSES_MAX: Final = 256
# A child process is replaced after so many tasks, or when it has grown by so much.
CHILD_TASKS_MAX: Final = 100_000
CHILD_GROWTH_BYTES_MAX: Final = 512 * MIB
# A child that has not imported the tasks within so many seconds is killed and counts as one that does not start.
CHILD_READY_SECONDS_MAX: Final = 180.0
# How long a child that has closed its stream may take to end, in seconds, before it is killed, and a killed one as its
# worker leaves, before it is left behind.
CHILD_END_SECONDS_MAX: Final = 1.0
# How many short tasks a child is handed at a time, and how long, in seconds, one of them may hold the others up.
CHILD_CHUNK_TASKS_MAX: Final = 64
CHILD_STALL_SECONDS_MAX: Final = 0.05
# A child that has had nothing to do for so long, in seconds, is let go, down to the floor.
CHILD_IDLE_SECONDS_MAX: Final = 60.0

assert WORKER_TASKS_CHARS_MAX * 6 <= EVENT_BYTES_MAX // 2, "what a worker knows must fit the event of its joining"
assert HEALTH_INTERVAL_SECONDS * 3 < HEALTH_TURN_SECONDS_MAX, "one missed report is no illness"
assert CLAIMS_MAX <= BATCH_EVENTS_MAX, "all claims of a worker must fit one append"
assert LEASE_RENEWAL_FRACTION * 2 < LEASE_START_FRACTION, "a renewal may be missed once before work stops"
assert COMMIT_PACE_SECONDS_MAX * 1_000 < LEASE_MS_MIN * LEASE_RENEWAL_FRACTION / 4, "a pause delays no renewal by much"
assert LEASE_RENEWAL_FRACTION < LEASE_PROOF_FRACTION, "a living holder has tried to renew by then"
assert WATCH_STEP_FRACTION < LEASE_RENEWAL_FRACTION / 2, "several unnoticed outages leave a holder time to renew"
assert LEASE_PROOF_FRACTION <= 0.5, "what a living holder tries to append has as long again to land"
