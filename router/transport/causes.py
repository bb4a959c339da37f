"""Why a venue could not be reached, in half a sentence. The text of a client's error may quote the URL, which can be a
credential: what is told is the host, and for what is not known the error's type."""

import aiohttp
from yarl import URL

from router.causes import Peer, of_connection


def in_words(error: BaseException, url: str) -> str:
    """Say what a failed connection or request means."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused the connection with status {error.status}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return "no connection to the proxy"
    try:
        where = URL(url, encoded=True)
        peer = Peer(where.host or "the venue", where.port or 0)
    except ValueError:
        return "the URL cannot be read"
    return of_connection(error, peer) or type(error).__name__
