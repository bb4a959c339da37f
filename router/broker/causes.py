"""What an error of aio-pika's or of the broker's means, in one sentence that names the object, the vhost and the user.

The broker's own texts are those of RabbitMQ 3.10 to 4.x; the later ones also say which permission it was that lacked.
"""

import re
from typing import Final, NamedTuple

from yarl import URL

from router.causes import Peer, of_connection
from router.config import BrokerSettings

MAX_WORDS: Final = 300

_CONFLICT: Final = re.compile(
    r"inequivalent arg '(?P<argument>[^']+)' for (?P<kind>queue|exchange) '(?P<name>.*?)' in vhost '(?P<vhost>.*?)': "
    r"received (?P<wanted>.+) but current is (?P<found>.+)"
)
_REFUSED: Final = re.compile(
    r"ACCESS_REFUSED - (?:(?P<permission>configure|read|write) )?access to (?P<kind>queue|exchange) '(?P<name>.*?)' "
    r"in vhost '(?P<vhost>.*?)' refused for user '(?P<user>.*?)'"
)
_MISSING: Final = re.compile(r"NOT_FOUND - no (?P<kind>queue|exchange) '(?P<name>.*?)' in vhost '(?P<vhost>.*?)'")
_BINDING: Final = {"queue": "write", "exchange": "read"}
"""Which permissions a binding takes (https://www.rabbitmq.com/docs/access-control#authorisation)."""
_VALUE: Final = re.compile(r"(?:the value )?'(?P<value>.*?)'(?: of type '\w+')?")
_REPLY_CODE: Final = re.compile(r"^[A-Z_]+ - ")


class Closing(NamedTuple):
    """Why the broker ended a connection: a reply code and its words (AMQP 0-9-1, section 1.4.2.7)."""

    code: int
    words: str


def in_words(error: BaseException, permission: str = "use") -> str:
    """Say on one line what an error means.

    `permission` was needed, where the broker does not say which: `configure`, `read`, `write` or, for two, `bind`.
    """
    if isinstance(error, TimeoutError) and not str(error):
        return "the broker did not answer in time"
    text = " ".join(str(error).split())
    if (found := _CONFLICT.search(text)) is not None:
        has, wanted = _value(found["found"]), _value(found["wanted"])
        there = f"has {found['argument']} {has}" if has else f"has no {found['argument']}"
        return f"{found['kind']} {found['name']} in vhost {found['vhost']} {there}, wanted is {wanted or 'none'}"
    if (found := _REFUSED.search(text)) is not None:
        thing = f"{found['kind']} {found['name']} in vhost {found['vhost']}"
        needed = found["permission"] or (_BINDING[found["kind"]] if permission == "bind" else permission)
        return f"user {found['user']} may not {'write to' if needed == 'write' else needed} {thing}"
    if (found := _MISSING.search(text)) is not None:
        return f"there is no {found['kind']} {found['name']} in vhost {found['vhost']}"
    return type(error).__name__ if not text or " object at 0x" in text else text[:MAX_WORDS]


def of_connecting(error: BaseException, closing: Closing | None, config: BrokerSettings, timeout_s: float) -> str:
    """Say why no connection came about. `closing` is what the broker said as it ended it, if it did."""
    url = URL(config.url)
    vhost = url.path.removeprefix("/") or "/"
    peer = Peer(url.host or "", url.port or (5671 if url.scheme == "amqps" else 5672), config.ca_file)
    if closing is not None:
        if closing.code == 403:
            return f"{peer} does not know user {url.user or 'guest'}, or not with this password"
        if closing.code == 530 and closing.words.endswith("not found"):
            return f"there is no vhost {vhost}"
        if closing.code == 530 and closing.words.endswith(f"refused for user '{url.user or 'guest'}'"):
            return f"user {url.user or 'guest'} may not use vhost {vhost}"
        return f"{peer} refused: {_REPLY_CODE.sub('', closing.words)[:MAX_WORDS]}"
    ended = isinstance(error, StopAsyncIteration)  # how aiormq's reader of frames can meet the end
    said = f"{peer} hung up" if ended else of_connection(error, peer, timeout_s) or in_words(error)
    # With TLS 1.3 a server that misses the client's certificate says so after the handshake, which goes under.
    wants = said.endswith("hung up") and url.scheme == "amqps" and not config.cert_file
    return f"{said}: it may want a certificate of ours (broker.cert_file)" if wants else said


def _value(text: str) -> str:
    """Return an argument's value from the broker's words; empty for none."""
    if text == "none":
        return ""
    found = _VALUE.match(text)
    return found["value"] if found else text
