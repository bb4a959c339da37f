"""Coinbase Advanced Trade (https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/, read 2026-11), US futures.

Authentication: a JWT per request, ES256 or EdDSA, bound to method, host and path by its `uri` claim, valid for two
minutes at most and without leeway on `nbf`. A rejected close is HTTP 200 with `success:false`; an unknown body field
is HTTP 400; a list of orders hides what another source placed and comes in pages; `batch_cancel` only queues.
A `client_order_id` that was used before creates nothing and returns the earlier order, under the terms of the new
request, as was seen at Create Order.
unverified: that replay at Close Position, and the answer to a size beyond the position; both are switches.
"""

from router.simulator.venues.coinbase.account import Coinbase

SIMULATOR = Coinbase
