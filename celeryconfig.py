"""Celery's settings, each with its reason. A value that differs from Celery's default does so on purpose."""

import re
import sys

from settings.brokers import broker_settings
from settings.environment import load_or_exit

_settings = load_or_exit()
_CALL_SECONDS = _settings.longest_call()
#: A long transcript takes several calls, and gives its slot back between two of them in time.
_ATTEMPT_SECONDS = _settings.longest_attempt()

# Celery's command line takes "-P prefork" for "no pool was named" and would use the settings for threads.
_prefork = re.search(r"(^| )(-P ?|--pool[= ])(prefork|processes)( |$)", " ".join(sys.argv))

broker_url = _settings.broker_url()
# With TLS, the client verifies the server's certificate and its name.
broker_use_ssl = _settings.broker_tls() or None
# A worker that starts before its broker waits for it. Celery 6 requires this setting.
broker_connection_retry_on_startup = True
# Transport, queue and publish retries depend on the kind of broker: see settings/brokers.py.
globals().update(broker_settings(_settings))

# A message counts as done when its job is. The message of a killed worker comes back, and the record
# refuses it when another worker has the job by then.
task_acks_late = True
# What a failure means is in the record. The message is done either way.
task_acks_on_failure = True
task_acks_on_timeout = True
# Redelivery has no limit: a task that kills its worker would be delivered forever. Idempotent tasks set
# this for themselves, because the record counts their attempts.
task_reject_on_worker_lost = False
# The reaper sends a lost worker's job again, limited by the attempts in the record.
task_retry_on_worker_lost = False

# Threads: a call waits for the network, and one process holds 64 of them in 60 MB (docs/pools.md).
worker_pool = None if _prefork else "worker.pool:TaskPool"
worker_concurrency = None if _prefork else 64
# A message waits in the queue, where every worker can take it, not in one worker's memory.
worker_prefetch_multiplier = 1
# A lost connection to the broker must not abort a paid call. The lease keeps other workers off the job.
worker_cancel_long_running_tasks_on_connection_loss = False
# On SIGQUIT, or on SIGTERM with REMAP_SIGTERM=SIGQUIT, running calls may finish.
worker_soft_shutdown_timeout = _CALL_SECONDS + 5
# Celery deduplicates by task id only, needs results, and does nothing while the first run is live.
worker_deduplicate_successful_tasks = False
# Limits the memory that a leaking library can take (prefork only).
worker_max_tasks_per_child = 1000
# Celery must not reformat our log lines.
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# The call's own timeout ends first, then these (prefork only). A call may wait 6 s for its turn.
task_soft_time_limit = _ATTEMPT_SECONDS + 30
task_time_limit = _ATTEMPT_SECONDS + 45

# Answers are read from the record. Celery's results would store and publish each one again.
task_ignore_result = True

# JSON only: with pickle, a client that can write to the broker can run code in a worker.
task_serializer = "json"
accept_content = ["json"]
result_accept_content = ["json"]

# Monitors see when a job began and how it ended. They never see payloads: the sender writes none.
task_track_started = True
worker_send_task_events = True
task_send_sent_event = False

# Fires the slots of tasks/schedule.py, and what stands in Celery's own beat_schedule (docs/scheduling.md). It
# shows with each tick that it lives (docs/health.md). The interval bounds the seconds between two ticks: by
# default they are five minutes.
beat_scheduler = "worker.signs:Scheduler"
beat_max_loop_interval = 10
