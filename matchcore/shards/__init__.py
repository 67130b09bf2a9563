"""An exchange on several engines: each instrument lives on one shard, an engine with its own log.

`Plan` is the file that says which; `Shards` gives each command to its shard; `move` takes an
instrument to another one between days, by commands in both logs.
"""

from .moving import Moved, move
from .plan import Plan, Shard
from .router import Outcome, Shards

__all__ = ["Moved", "Outcome", "Plan", "Shard", "Shards", "move"]
