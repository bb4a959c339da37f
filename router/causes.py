"""What an error of the system's own means, in words for an operator: sockets, names, TLS, files.

Half a sentence each, which names the host, the port or the file, and never quotes an address as configured: that may
hold a password. What the libraries raise besides is put into words beside each of them: `router.broker.causes`,
`router.journal.postgres.causes`, `router.journal.sqlite.causes`, `router.transport.causes`.
"""

import errno
import socket
import ssl
from typing import Final, NamedTuple

HOSTNAME_MISMATCH, ADDRESS_MISMATCH = 62, 64
EXPIRED, NOT_YET_VALID = 10, 9
UNTRUSTED: Final = frozenset({2, 18, 19, 20, 21})
"""`X509_V_ERR_…` (https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/): nobody whom we know has signed it."""


class Peer(NamedTuple):
    """Whom we spoke to. `authorities` is the file of those who may sign its certificate; empty: the system's."""

    host: str
    port: int
    authorities: str = ""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def of_connection(error: BaseException, peer: Peer, timeout_s: float | None = None) -> str | None:
    """Say why there is no connection; `None` for what this does not know. What caused an error says it best."""
    for cause in reversed(_chain(error)):
        if isinstance(cause, ssl.SSLError):
            return _tls(cause, peer)
        if isinstance(cause, socket.gaierror):
            return f"there is no host {peer.host}, or no name server that knows it"
        if isinstance(cause, ConnectionRefusedError):
            return f"nothing listens at {peer}"
        if isinstance(cause, ConnectionResetError | BrokenPipeError | EOFError):
            return f"{peer} hung up"
        if isinstance(cause, OSError) and cause.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
            return f"no network leads to {peer}"
    if isinstance(error, TimeoutError):
        return f"no answer from {peer}{f' within {timeout_s:g} s' if timeout_s else ''}"
    return None


def of_file(error: OSError, path: object) -> str:
    """Say what is wrong with a file, and its name."""
    return f"{path}: {(error.strerror or 'it cannot be read').lower()}"


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found


def _tls(error: ssl.SSLError, peer: Peer) -> str:
    code = getattr(error, "verify_code", None)
    if code in {HOSTNAME_MISMATCH, ADDRESS_MISMATCH}:
        return f"the certificate of {peer} is for another host name than {peer.host}"
    if code in {EXPIRED, NOT_YET_VALID}:
        return f"the certificate of {peer} {'has expired' if code == EXPIRED else 'is not valid yet'}"
    if code in UNTRUSTED:
        whom = f"no authority in {peer.authorities}" if peer.authorities else "no authority that this machine knows"
        return f"the certificate of {peer} is signed by {whom}"
    if code:
        return f"the certificate of {peer} is not accepted: {getattr(error, 'verify_message', '')}"
    reason = (error.reason or "").lower().replace("_", " ")
    if reason in {"wrong version number", "record layer failure", "packet length too long"}:
        return f"{peer} does not speak TLS"
    if "certificate required" in reason or "handshake failure" in reason:
        return f"{peer} wants a certificate of ours"
    if "alert" in reason:
        return f"{peer} does not accept our certificate: {reason}"
    return f"TLS with {peer} failed: {reason or 'it hung up'}"
