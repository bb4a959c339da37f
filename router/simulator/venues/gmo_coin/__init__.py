"""GMO Coin (https://api.coin.z.com/docs/, read 2026-11), margin close and cancel.

Signature: hex HMAC-SHA256 of timestamp, method, path from `/v1` on and body; PUT and DELETE leave the body out, a
query never counts. Errors come with HTTP 200 and a body `status` of 1 (business), 4 (throttle) or 5 (maintenance);
the maintenance envelope has no `responsetime`; an empty list is `"data": {}`; a cancel is answered without `data`.
`cancelOrder` says ERR-151 for an order that does not exist, not the documented ERR-5123 (seen live).
unverified: the size of the timestamp window, the shape of the rate limit's window, and that PUT and DELETE draw from
the POST limit.
"""

from router.simulator.venues.gmo_coin.account import GmoCoin

SIMULATOR = GmoCoin
