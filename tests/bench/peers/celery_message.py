"""A command as Celery's own sender would publish it: a task message of protocol version 2.

https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2, and `celery.app.amqp.AMQP.as_task_v2` for what
5.7 really sends. Needs no Celery, so that one sender fills the queues of every contestant.
"""

from typing import Final

from aio_pika import DeliveryMode, Message
from pamqp.common import FieldTable

TASK: Final = "dispatch"
"""The name under which `celery_peer` registers its task. It is not imported from there: that needs Celery."""


def celery_message(number: int, command: bytes, reply_to: str) -> Message:
    """Return the message that calls the task with one command, given as JSON."""
    task_id = f"c-{number}"
    headers: FieldTable = {
        "lang": "py",
        "task": TASK,
        "id": task_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": task_id,
        "parent_id": None,
        "argsrepr": "()",
        "kwargsrepr": "{}",
        "origin": "bench",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    return Message(
        b'[[%b],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]' % command,
        headers=headers,
        content_type="application/json",
        content_encoding="utf-8",
        correlation_id=task_id,
        reply_to=reply_to,
        delivery_mode=DeliveryMode.PERSISTENT,
    )
