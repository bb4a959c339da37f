"""BtcTurk: canned frames and reads of a feed."""

from hypothesis import strategies as st

from router.venue_protocol.stream import Feed
from router.venues.btcturk import BtcTurk, BtcTurkOptions

FEED: Feed = BtcTurk(BtcTurkOptions())

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["1", "-2e9"])
