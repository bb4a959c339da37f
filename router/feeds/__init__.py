"""What became of every order: one private feed per account, its events recorded, numbered and published.

owner       which accounts this process feeds: leases, taken over when an owner dies
account     one account's loop: connect or poll, announce a gap, reconcile, live, watch for silence
connection  one stream's protocol on one socket
recorder    what is sighted goes to the journal, which says what of it is news
outflow     what the journal has numbered goes to the broker, in order
copies      the same for the reply queues of commands; a queue that is stuck holds up nobody else
claims      the copies for commands that are found only later
evidence    what an event proves about a command in doubt or a cancel that waits
pacer       how often frames may leave for a venue from this address
"""

from router.commands.evidence import Settler
from router.feeds.account import Parts
from router.feeds.copies import Copies
from router.feeds.leases import Fed, Feeds

__all__ = ["Copies", "Fed", "Feeds", "Parts", "Settler"]
