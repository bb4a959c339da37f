"""Arms a fault at a simulator that runs in another process."""

import http.client
import ipaddress
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from router.config import Config
from router.errors import UserError
from router.simulator.control import PREFIX

TIMEOUT_S: Final = 10.0


def arm(config: Config, venue: str, fault: dict[str, Any], *, feed: bool) -> None:
    """Post a fault, of the feed or of requests, to the simulator that the configuration leads to.

    Raises `UserError` with the simulator's own words where it refuses, where nothing answers, and for an address that
    is not this machine's: no real venue is to hear of it.
    """
    if venue not in config.venues:
        known = ", ".join(sorted(config.venues)) or "none"
        raise UserError(f"the configuration has no venue {venue!r}; it has: {known}")
    url = urlsplit(config.venues[venue].rest_url)
    if not _is_here(url.hostname or ""):
        raise UserError(f"{venue} leads to {url.hostname}, which is no simulator on this machine")
    connection = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=TIMEOUT_S)
    try:
        connection.request("POST", f"{PREFIX}/feed/faults" if feed else f"{PREFIX}/faults", msgspec.json.encode(fault))
        answer = connection.getresponse()
        status, body = answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        raise UserError(f"no simulator answers at {url.netloc}: does `order-router dev` run?") from None
    finally:
        connection.close()
    if status != http.client.OK:
        raise UserError(f"{venue} refuses: {_words(body)}")


def _words(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body, type=dict[str, Any])["error"])
    except (msgspec.DecodeError, KeyError):
        return "it is no simulator of ours"


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
