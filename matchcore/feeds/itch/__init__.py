"""NASDAQ's binary feed: TotalView-ITCH 5.0 messages over MoldUDP64, SoupBinTCP and GLIMPSE.

`Encoder` and `Decoder` are the messages, `ItchOutlet` serves them; docs/feeds/itch.md.
"""

from ._messages import Decoder, Encoder
from .glimpse import Glimpse
from .logins import Logins, add_login
from .mold import MoldPublisher, MoldRequests
from .outlet import ItchOutlet
from .sequenced import SoupFeed

__all__ = [
    "Decoder",
    "Encoder",
    "Glimpse",
    "ItchOutlet",
    "Logins",
    "MoldPublisher",
    "MoldRequests",
    "SoupFeed",
    "add_login",
]
