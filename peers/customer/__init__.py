"""A customer from outside, as a library: it is no peer, but buys, sells and asks like one.

It knows a name server and nothing else. Whatever happens to the trader, it asks again, with the same id, of whoever
is trader now, until there is an answer or its patience ends.
"""

from peers.customer.answers import Earnings, Trader
from peers.customer.certificate import show_certificate
from peers.customer.customer import Customer
from peers.customer.errors import CircuitOpen, NoAnswer, NotAsked, RefusedLater

__all__ = [
    "CircuitOpen",
    "Customer",
    "Earnings",
    "NoAnswer",
    "NotAsked",
    "RefusedLater",
    "Trader",
    "show_certificate",
]
