"""BtcTurk (https://docs.btcturk.com/, read 2026-11), spot: cancelling is all there is.

Signature: base64 HMAC-SHA256, keyed with the decoded secret, of key and stamp; nothing else of a request is signed. A
stamp is good for five seconds and once per key; a refused one is HTTP 401 with `success: true`.
`DELETE /order?id=` only queues: HTTP 200, no data, and the order is canceled a moment later unless it fills first; an
order that is canceled already is answered alike. An id anywhere but in the query is no id. A stop that fires becomes
`Canceled`, and a new order with the same client id executes.
unverified: the HTTP status of an unknown order at `GET /order/{id}`, the code of most 401s.
"""

from router.simulator.venues.btcturk.account import KEY, KEY_TEXT, BtcTurk, signature

SIMULATOR = BtcTurk

__all__ = ["KEY", "KEY_TEXT", "SIMULATOR", "BtcTurk", "signature"]
