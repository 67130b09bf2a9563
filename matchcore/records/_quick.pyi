from .instruments import Directory
from .typed import Command

NAMES: tuple[str, ...]
MARKET_NAMES: tuple[str, ...]

def quick(command: Command, directory: Directory, now: int) -> bytes | None: ...
