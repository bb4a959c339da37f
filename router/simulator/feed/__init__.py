"""The venues' private feeds as real WebSocket servers.

socket   one client's connection
faults   what goes wrong with it
venue    what the venues' feeds share; each venue's package says the rest
load     many events, to measure with
"""

from router.simulator.feed.faults import ArmedFeedFault, FeedFault
from router.simulator.feed.load import STAMP, Load, LoadReport, run_load
from router.simulator.feed.socket import Socket
from router.simulator.feed.venue import Frame, VenueFeed

__all__ = [
    "STAMP",
    "ArmedFeedFault",
    "FeedFault",
    "Frame",
    "Load",
    "LoadReport",
    "Socket",
    "VenueFeed",
    "run_load",
]
