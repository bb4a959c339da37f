"""The vocabulary a venue is written in. Values in, values out: no I/O, no clock, no randomness.

request    what is sent, what signs it, what comes back, which limits count it
outcome    what an answer means, and what a look saw
adapter    `VenueAdapter`: what every venue offers, its options and secrets
stream     the order feed: what a connection wants and tells, and what is read after a gap
reading    text into decimals, times and ids, alike for all venues
pages      lists read to their end: whole, or proof of nothing
statuses   what an HTTP status means where the venue's own words do not say
"""

from router.venue_protocol.adapter import Attempt, NoParams, Options, Secrets, VenueAdapter, read_params
from router.venue_protocol.outcome import (
    Absent,
    Accepted,
    Done,
    Flow,
    Look,
    LookOutcome,
    Outcome,
    Refused,
    Retry,
    Unknown,
    Working,
    with_venue_words,
)
from router.venue_protocol.request import Limit, Per, Request, Response, SignedRequest, Signer, Stamp, retry_after_s

__all__ = [
    "Absent",
    "Accepted",
    "Attempt",
    "Done",
    "Flow",
    "Limit",
    "Look",
    "LookOutcome",
    "NoParams",
    "Options",
    "Outcome",
    "Per",
    "Refused",
    "Request",
    "Response",
    "Retry",
    "Secrets",
    "SignedRequest",
    "Signer",
    "Stamp",
    "Unknown",
    "VenueAdapter",
    "Working",
    "read_params",
    "retry_after_s",
    "with_venue_words",
]
