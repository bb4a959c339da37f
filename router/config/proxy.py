"""Which proxy a request leaves by, as the environment says: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, in either case.

`HTTPS_PROXY` is for `https://` and `wss://`, `HTTP_PROXY` for `http://`; `ws://` goes without. `NO_PROXY` lists hosts,
suffixes of hosts, `host:port`, or `*`. This machine itself is never asked for through a proxy. A proxy is an `http://`
address; its user and password stand in the URL, percent-encoded.
"""

import base64
import ipaddress
from collections.abc import Mapping
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from router.errors import ConfigError

_SCHEMES: Final = {"https": "https", "wss": "https", "http": "http"}


class Proxy(Struct, frozen=True, kw_only=True):
    """One proxy. Never prints its user and password."""

    host: str
    port: int
    user: str = ""
    password: str = ""

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What it is told of its user (RFC 9110, section 11.7.2)."""
        if not self.user:
            return {}
        return {"Proxy-Authorization": "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()}

    def __repr__(self) -> str:
        return f"Proxy({self.url})"


class Proxies(Struct, frozen=True):
    """The proxies by scheme (`http`, `https`), and the hosts that are reached without one."""

    by_scheme: Mapping[str, Proxy] = {}
    without: str = ""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read the environment. Raises `ConfigError` for a proxy that cannot be used, without quoting it."""
        found: dict[str, Proxy] = {}
        faults: list[str] = []
        for scheme in ("http", "https"):
            name = f"{scheme}_proxy"
            # A web server's CGI puts a request's `Proxy:` header into HTTP_PROXY (https://httpoxy.org).
            upper = "" if scheme == "http" and "REQUEST_METHOD" in environ else environ.get(name.upper(), "")
            value = (environ.get(name) or upper).strip()
            if not value:
                continue
            proxy = _parsed(value)
            if proxy is None:
                faults.append(f"{name.upper()}: must look like http://host:port or http://user:password@host:port")
            else:
                found[scheme] = proxy
        if faults:
            raise ConfigError(faults)
        return cls(found, environ.get("no_proxy") or environ.get("NO_PROXY") or "")

    def of(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy to reach an address by; `None`: there is none."""
        proxy = self.by_scheme.get(_SCHEMES.get(scheme, ""))
        if proxy is None or is_here(host):
            return None
        return None if any(_names(entry.strip(), host, port) for entry in self.without.split(",")) else proxy

    def secrets(self) -> frozenset[str]:
        """Return every password, for redaction."""
        return frozenset(proxy.password for proxy in self.by_scheme.values() if proxy.password)


def _parsed(value: str) -> Proxy | None:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port or 80
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        return None
    plain = (host or "").isascii() and "".join((host or "", user, password)).isprintable()
    if parts.scheme != "http" or not host or not plain or ":" in user:
        return None
    if parts.path not in {"", "/"} or parts.query or parts.fragment or any(c.isspace() for c in host):
        return None
    return Proxy(host=host, port=port, user=user, password=password)


def _names(entry: str, host: str, port: int) -> bool:
    """Say whether an entry of `NO_PROXY` speaks of a host. One for a domain speaks of all that is below it."""
    name, colon, only = entry.lower().rpartition(":")
    if colon and only.isdigit() and ":" not in name:
        entry, right = name, int(only) == port
    else:
        entry, right = entry.lower(), True
    entry, host = entry.lstrip("*").lstrip("."), host.lower().rstrip(".")
    if not entry:  # `*` alone is everything, and nothing is nothing
        return right and "*" in name + only
    return right and (host == entry or host.endswith(f".{entry}"))


def is_here(host: str) -> bool:
    """Say whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost")
