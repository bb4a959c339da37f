"""The venues as real HTTP servers, for tests, benchmarks and the demonstration.

They are written from the venues' public documents and check signatures with code of their own: nothing here imports
`router.exchanges`, so a mistake there cannot hide here. Each keeps a ledger of what it really did.

    call, book           one request, one account
    market, ledger       what trades, what happened
    faults, wire, rates  what goes wrong
    venue, seeds         what the venues share; `venues/` holds one file per venue
    control, server      the way in from outside
"""

from router.simulator.server import Simulators

__all__ = ["Simulators"]
