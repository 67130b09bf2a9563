"""Users, their secrets and their rights: a part of the log, so every gateway knows the same."""

from .entries import Entry
from .registered import RegisteredUsers

__all__ = ["Entry", "RegisteredUsers"]
