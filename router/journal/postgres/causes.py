"""What an error of asyncpg's or of the PostgreSQL server's means, in one sentence without a password.

The server's own messages are repeated for classes that speak of roles, databases and the server's state, never for
those that speak of rows. Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import ssl
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no types

from router.causes import Peer, of_connection
from router.config import masked

PORT: Final = 5432
REFUSALS: Final = (
    ValueError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
"""What says that the URL is wrong, or what its user may do: that does not pass by itself."""

PASSING: Final = ssl.SSLError
"""What passes once somebody renews a certificate; a `ValueError` too, if it did not verify."""

_SAID: Final = frozenset({"08", "25", "28", "3D", "53", "55", "57", "58"})
UNREADABLE: Final = (
    "journal.url: PostgreSQL's client cannot read this address; what is special in the user and the password is "
    "percent-encoded, and the parameters are those of libpq"
)


def refusal(error: BaseException, url: str) -> str:
    """Say why a server refused, or why a URL cannot be read, as a fault of the configuration."""
    state = getattr(error, "sqlstate", None) or ""
    where = _where(url)
    if state == "28P01":
        return f"journal.url: {where} does not know user {_user(url)}, or not with this password"
    if state == "3D000":
        return f"journal.url: there is no database {_database(url)} at {where}"
    if state == "42501":
        return f"journal.url: user {_user(url)} may not use database {_database(url)} at {where}: {_message(error)}"
    if state:
        return f"journal.url: {where} refused user {_user(url)}: {_message(error)}"
    if isinstance(error, asyncpg.ClientConfigurationError) and "certificate" in str(error):
        return f"journal.url: {_message(error)}"
    return UNREADABLE


def file_fault(url: str) -> str | None:
    """Say which of the files that the URL names for TLS is not there."""
    for name, path in _files(url).items():
        if not Path(path).is_file():
            return f"journal.url: {name}: there is no file {path}"
    return None


def in_words(error: BaseException, url: str, timeout_s: float | None = None) -> str:
    """Say why the server cannot be used now."""
    state = getattr(error, "sqlstate", None) or ""
    if state[:2] in _SAID or state == "42501":
        return f"{_where(url)} says: {_message(error)}"
    if "rejected SSL upgrade" in str(error):
        return f"{_where(url)} does not speak TLS, which sslmode asks for"
    said = None if state else of_connection(error, _peer(url), timeout_s)
    return said or f"{_where(url)}: {type(error).__name__}"


def _message(error: BaseException) -> str:
    return " ".join(str(getattr(error, "message", None) or type(error).__name__).split())[:200]


def _readable(url: str) -> str:
    """Return the URL if its parts are what they seem: a password with a raw "/" or "@" would show in another one."""
    return "" if masked(url).endswith("…") else url


def _peer(url: str) -> Peer:
    try:
        parts = urlsplit(_readable(url))
        return Peer(parts.hostname or "its socket", parts.port or PORT, _files(url).get("sslrootcert", ""))
    except ValueError:
        return Peer("its address", PORT)


def _files(url: str) -> dict[str, str]:
    given = parse_qs(urlsplit(_readable(url)).query)
    return {name: given[name][-1] for name in ("sslrootcert", "sslcert", "sslkey") if name in given}


def _where(url: str) -> str:
    return f"PostgreSQL at {_peer(url)}"


def _user(url: str) -> str:
    return unquote(urlsplit(_readable(url)).username or "") or "of the system"


def _database(url: str) -> str:
    return unquote(urlsplit(_readable(url)).path.removeprefix("/")) or _user(url)
