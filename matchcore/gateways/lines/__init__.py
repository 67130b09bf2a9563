"""Lines between gateways and the engine, over Unix sockets or TCP.

`EngineService` is the engine's end, `Lines` the gateway's: a `Way` over one or several of them.
"""

from .service import EngineService
from .way import Lines

__all__ = ["EngineService", "Lines"]
