"""FIX 4.4 and FIX 5.0 SP2 over FIXT 1.1: a door that FIX clients connect to.

- `FixDoor`: listens, and has a `connection.Connection` for each client.
- `session`: the rules of the session layer. `store`: its numbers, which survive a kill.
- `reading`, `requests`: messages become commands. `telling`: reports become messages.
- `_frames`, `_orders`, `_reports`: what is hot of that, compiled. `plain` and `plain_reports`: the
  same rules in plain Python, which the tests compare, and which also read what is not plain.
"""

from __future__ import annotations

from .door import FixDoor
from .session import Settings

__all__ = ["FixDoor", "Settings"]
