"""Access tokens of GMO Coin's private WebSocket: an hour each, five at a time."""

import secrets
from typing import Final

LIFE_MS: Final = 60 * 60 * 1000
MOST: Final = 5


class Tokens:
    """The tokens of every account, with the moment each ends."""

    def __init__(self) -> None:
        self._ends_ms: dict[str, dict[str, int]] = {}

    def issue(self, account: str, now_ms: int) -> str:
        """Return a new token; a sixth silently deletes the one that would end first."""
        tokens = self._living(account, now_ms)
        if len(tokens) == MOST:
            del tokens[min(tokens, key=tokens.__getitem__)]
        token = secrets.token_urlsafe(24)
        tokens[token] = now_ms + LIFE_MS
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

    def owner(self, token: str, now_ms: int) -> str | None:
        """Return the account that a valid token belongs to."""
        return next((account for account in self._ends_ms if token in self._living(account, now_ms)), None)

    def clear(self) -> None:
        """Delete all of them."""
        self._ends_ms.clear()

    def _living(self, account: str, now_ms: int) -> dict[str, int]:
        tokens = {token: ends for token, ends in self._ends_ms.get(account, {}).items() if ends > now_ms}
        self._ends_ms[account] = tokens
        return tokens
