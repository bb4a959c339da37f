"""Access tokens of GMO Coin's private WebSocket: an hour each, five at a time."""

import secrets
from typing import Final

LIFE_MS: Final = 60 * 60 * 1000
MOST: Final = 5


class Tokens:
    """The tokens of every account, with the moment each ends.

    What a token may not hear is fixed when it is issued: a permission given to the key later needs a new one.
    """

    def __init__(self) -> None:
        self._ends_ms: dict[str, dict[str, int]] = {}
        self._denied: dict[str, frozenset[str]] = {}

    def issue(self, account: str, now_ms: int, denied: frozenset[str] = frozenset()) -> str:
        """Return a new token, deaf for the channels `denied`; a sixth silently deletes the one that would end first."""
        tokens = self._living(account, now_ms)
        if len(tokens) == MOST:
            self.evict(account, now_ms)
        token = secrets.token_urlsafe(24)
        self._ends_ms[account][token] = now_ms + LIFE_MS
        self._denied[token] = denied
        return token

    def extend(self, account: str, token: str, now_ms: int) -> bool:
        """Give a token a full hour from now; `False` when it is not valid any more."""
        tokens = self._living(account, now_ms)
        if token in tokens:
            tokens[token] = now_ms + LIFE_MS
        return token in tokens

    def revoke(self, account: str, token: str, now_ms: int) -> bool:
        """Delete a token; `False` when it is not valid any more."""
        return self._living(account, now_ms).pop(token, None) is not None

    def evict(self, account: str, now_ms: int) -> None:
        """Delete the token that would end first, if there is one."""
        tokens = self._living(account, now_ms)
        if tokens:
            del tokens[min(tokens, key=tokens.__getitem__)]

    def forget(self, account: str) -> None:
        """Delete every token of an account."""
        self._ends_ms.pop(account, None)

    def valid(self, account: str, token: str, now_ms: int) -> bool:
        """Say whether a token of the account is still good."""
        return self._ends_ms.get(account, {}).get(token, 0) > now_ms

    def owner(self, token: str, now_ms: int) -> str | None:
        """Return the account that a valid token belongs to."""
        return next((account for account in self._ends_ms if self.valid(account, token, now_ms)), None)

    def denied(self, token: str) -> frozenset[str]:
        """Return the channels that a token may not hear."""
        return self._denied.get(token, frozenset())

    def living(self, account: str, now_ms: int) -> dict[str, int]:
        """Return the valid tokens of an account and when each ends."""
        return dict(self._living(account, now_ms))

    def clear(self) -> None:
        """Delete all of them."""
        self._ends_ms.clear()
        self._denied.clear()

    def _living(self, account: str, now_ms: int) -> dict[str, int]:
        tokens = {token: ends for token, ends in self._ends_ms.get(account, {}).items() if ends > now_ms}
        self._ends_ms[account] = tokens
        return tokens
