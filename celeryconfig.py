"""Celery's settings, each with its reason; where they differ from Celery's own, that is on purpose."""

import re
import sys

from kombu import Exchange, Queue

from settings.environment import load_or_exit

_settings = load_or_exit()
#: Longest call, with room for the split of a long transcript into parts.
_CALL_SECONDS = max(_settings.llm_timeout, _settings.customer_api_timeout)

broker_url = _settings.broker_url()
# One redis-py client for a channel: a third less work for each message.
_ours = broker_url.startswith(("redis://", "rediss://"))
if _ours:
    broker_transport = "askonce.adapters.kombu.redis:Transport"
# With TLS the server's certificate is verified, and its name.
broker_use_ssl = _settings.broker_tls() or None
# A worker that starts before its broker waits for it; Celery 6 wants this said.
broker_connection_retry_on_startup = True
broker_transport_options = {
    # Our transport renews what a living worker holds, so this is the time without a sign of life
    # (docs/canvas.md). kombu's own does not: there it must be longer than any run. It is not what
    # recovers a job: leases and the reaper do that.
    "visibility_timeout": 60 if _ours else 3600,
    # Copies that Celery restores are refused by the record; restoring them sooner costs nothing.
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 10,
    # Without these a publish to a hanging server blocks for ever. Longer than a BRPOP's one second.
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    # A connection that died silently is noticed within this time.
    "health_check_interval": 25,
    # Several applications may share a server.
    "global_keyprefix": f"{{{_settings.namespace}}}:",
}
_rabbit = broker_url.startswith(("amqp://", "amqps://", "pyamqp://"))
if _rabbit:
    # With an end to every wait for the server.
    _tls = "SSL" if broker_url.startswith("amqps") else ""
    broker_transport = f"askonce.adapters.kombu.amqp:{_tls}Transport"
    broker_transport_options = {
        # Without it a message that the server lost, or never took, counts as sent.
        "confirm_publish": True,
        # For one reply, a message's confirmation among them.
        "reply_timeout": 5,
        # For a connection that a publish needs: an asker must not wait for the next try.
        "max_retries": 1,
        "interval_start": 0.2,
    }
    broker_connection_timeout = 2
    # A connection that died silently is noticed within two of these.
    broker_heartbeat = 25
if _sentinels := _settings.broker_sentinels():
    # Celery takes CELERY_BROKER_URL from the environment itself, where kombu stumbles over the name when it
    # goes from one sentinel to the next; these two come before it.
    broker_read_url = broker_write_url = broker_url
    # By what name the sentinels know the server, and how they themselves are asked.
    _patience = {k: v for k, v in broker_transport_options.items() if k.startswith("socket_")}
    broker_transport_options["master_name"] = _sentinels.master_name
    broker_transport_options["sentinel_kwargs"] = _patience | _sentinels.asking(_settings.broker_tls())

task_default_queue = "askonce"
if _rabbit:
    # Several applications may share a server; a dot would part the words that a topic exchange compares.
    task_default_queue = f"{_settings.namespace.replace('.', '/')}:askonce"
    # Quorum: kept by most of the servers, and so not lost with one. Celery's delay of messages on the server
    # (countdown, retries) needs a topic exchange.
    task_default_queue_type = task_create_missing_queue_type = "quorum"
    task_default_exchange_type = task_create_missing_queue_exchange_type = "topic"
    task_queues = [
        Queue(
            task_default_queue,
            Exchange(task_default_queue, type="topic"),
            routing_key=task_default_queue,
            queue_arguments={
                "x-queue-type": "quorum",
                # A message that kills its worker so often is dropped; the record has the job, and counts too.
                "x-delivery-limit": 20,
                # From 3.12 on: a run may be longer than the server's own half hour (milliseconds).
                "x-consumer-timeout": 86_400_000,
            },
        )
    ]
# A message counts as done when its job is: a killed worker's comes back, and the record refuses it
# when somebody else has the job by then.
task_acks_late = True
# What a failure means is in the record; the message is done either way.
task_acks_on_failure = True
task_acks_on_timeout = True
# Redelivery knows no limit, so a task that kills its worker would go round for ever. Idempotent tasks
# set it for themselves: their attempts are counted in the record.
task_reject_on_worker_lost = False
# The reaper sends a lost worker's job again, bounded by the attempts on the record.
task_retry_on_worker_lost = False

# Threads: a call waits for the network, and one process holds 64 of them in 60 MB (docs/pools.md).
# Celery takes "-P prefork" for "no pool was named" and would use these settings in spite of it.
_prefork = re.search(r"(^| )(-P ?|--pool[= ])(prefork|processes)( |$)", " ".join(sys.argv))
worker_pool = None if _prefork else "worker.pool:TaskPool"
worker_concurrency = None if _prefork else 64
# A message waits in the queue, where every worker can take it, not in one worker's memory.
worker_prefetch_multiplier = 1
# Celery knows it for Redis only; RabbitMQ keeps to the concurrency because messages are done late.
worker_disable_prefetch = not _rabbit
# A paid call is not aborted because the broker's link broke; the lease keeps others off it.
worker_cancel_long_running_tasks_on_connection_loss = False
# On SIGQUIT, or SIGTERM with REMAP_SIGTERM=SIGQUIT, calls under way may finish.
worker_soft_shutdown_timeout = _CALL_SECONDS + 5
# It deduplicates by task id only, needs results, and does nothing while the first run is live.
worker_deduplicate_successful_tasks = False
# Bounds what a leaking library can take (prefork only).
worker_max_tasks_per_child = 1000
# Our own log lines stay as they are.
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# The call's own timeout comes first, then these (prefork only).
task_soft_time_limit = _CALL_SECONDS + 15
task_time_limit = _CALL_SECONDS + 30

# Answers are read from the record; Celery's results would store and publish each one again.
task_ignore_result = True
# A refused publish is told to the asker soon; the record sends the job again anyway.
task_publish_retry_policy = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
if _rabbit:
    # A server that takes no messages costs each try a reply's whole time.
    task_publish_retry_policy["max_retries"] = 1

# JSON only: pickle lets whoever can write to the broker run code in a worker.
task_serializer = "json"
accept_content = ["json"]
result_accept_content = ["json"]

# Monitors see when a job began and how it ended. They never see payloads: the sender writes none.
task_track_started = True
worker_send_task_events = True
task_send_sent_event = False
