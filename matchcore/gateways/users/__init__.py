"""Users, their secrets and their rights: a part of the log, so every gateway knows the same."""

from .entries import Entry, entries_of
from .listing import listed
from .registered import RegisteredUsers

__all__ = ["Entry", "RegisteredUsers", "entries_of", "listed"]
