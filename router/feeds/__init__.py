"""What became of every order: one private feed per account, its events recorded, numbered and published.

leases      which accounts this process feeds: leases, taken over when an owner dies
account     one account's loop: connect or poll, announce a gap, reconcile, live, watch for silence
reconciliation what REST shows that the stream may not have told
connection  one stream's protocol on one socket
recorder    what is sighted goes to the journal, which says what of it is news
relay       what the journal has numbered goes to the broker, in order
copies      the same for the reply queues of commands; a queue that is stuck holds up nobody else
late_copies the copies for commands that are found only later
pacer       how often frames may leave for a venue from this address
"""

from router.feeds.copies import Copies
from router.feeds.leases import Feeds
from router.feeds.reconciliation import FedAccount, FeedParts

__all__ = ["Copies", "FedAccount", "FeedParts", "Feeds"]
