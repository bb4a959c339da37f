"""The venues as real HTTP and WebSocket servers, for tests, benchmarks and the demonstration.

They are written from the venues' public documents and check signatures with code of their own: nothing here imports
`router.venues`, so a mistake there cannot hide here. Each keeps a ledger of what it really did.

    call, book           one request, one account
    market, ledger       what trades, what happened
    faults, wire, rates  what goes wrong
    feed                 the private feeds, and what goes wrong with them
    truth                what became of every order
    venue, seeds         what the venues share; `venues/` holds one file or folder per venue
    control, server      the way in from outside
"""

from router.simulator.server import Simulators

__all__ = ["Simulators"]
