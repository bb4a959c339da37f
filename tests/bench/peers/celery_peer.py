"""The bare script's work in Celery, with requests.

    python -m tests.bench.peers.celery_peer --broker URL --venue URL --prefix PREFIX [--prefetch 64]

It consumes the router's own queues, but only messages that `celery_message` made. A task is acknowledged after it has
published its result with a confirm; the result backend, events, gossip and remote control are off.
"""

import threading
from argparse import Namespace
from typing import Any, Final

import requests
from celery import Celery
from kombu import Queue
from msgspec import convert

from schemas.commands import Command
from tests.bench.peers.call import LANES, arguments, request_of, result_of

TASK: Final = "dispatch"
"""What `celery_message` asks for."""

# The fastest of what was tried on two cores, with a venue that answers at once: backlogs of 3,000 commands, four rounds
# in turn, median commands/s and µs of CPU per command. gevent with 16 came behind the threads in rounds of its own.
#   threads 4: 781, 1,200   threads 8: 718, 1,330   threads 16: 634, 1,410
#   prefork 2: 624, 1,530   prefork 4: 728, 1,700
# Before a venue that takes 20 ms, 4 threads or processes end at 160/s and 16 threads at 330 to 450/s.
POOL: Final = "threads"
CONCURRENCY: Final = 4


class Local(threading.local):
    """A session for each thread: requests does not promise that one may be shared."""

    def __init__(self) -> None:
        self.session = requests.Session()
        # It would look for proxies and a .netrc in the environment before each request.
        self.session.trust_env = False


def worker(options: Namespace) -> Celery:
    """Return the application, set up to consume the queues."""
    app = Celery("peer", broker=options.broker)
    names = [f"{options.prefix}.commands.gmo_coin.{lane}" for lane in LANES]
    app.conf.update(
        # The queues are there. Celery must know their type: a quorum queue refuses the global prefetch it would set.
        task_queues=[Queue(name, no_declare=True, queue_arguments={"x-queue-type": "quorum"}) for name in names],
        task_acks_late=True,
        task_ignore_result=True,
        worker_pool=POOL,
        worker_concurrency=CONCURRENCY,
        worker_prefetch_multiplier=options.prefetch // CONCURRENCY,
        worker_enable_remote_control=False,
        broker_pool_limit=CONCURRENCY,  # a connection to publish on for each thread
        broker_transport_options={"confirm_publish": True},
        broker_heartbeat=4,  # also how often an idle worker looks whether it shall end
        broker_native_delayed_delivery_queue_type="classic",  # 28 queues that Celery declares and nobody uses here
    )
    app.task(dispatcher(app, options.venue), name=TASK, bind=True)
    return app


def dispatcher(app: Celery, venue: str) -> Any:
    """Return the task's function."""
    local = Local()

    def dispatch(task: Any, fields: dict[str, Any]) -> None:
        command: Command = convert(fields, Command)
        path, body, headers = request_of(command)
        answer = local.session.post(venue + path, data=body, headers=headers)
        with app.producer_pool.acquire(block=True) as producer:
            producer.publish(
                result_of(command, answer.content),
                exchange="",
                routing_key=task.request.reply_to,
                content_type="application/json",
                content_encoding="utf-8",
                correlation_id=task.request.correlation_id,
                message_id=command.command_id,
                delivery_mode="persistent",
                mandatory=True,
            )

    return dispatch


if __name__ == "__main__":
    quiet = ("--loglevel=WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat")
    worker(arguments(__doc__).parse_args()).worker_main(["worker", *quiet])
