"""Rules of venues as data with effective dates, and what they make of an instrument on a day."""

from __future__ import annotations

from .building import venue_day
from .day import PhaseAt, VenueDay
from .limits import price_limits
from .tables import TABLES, VENUES, Row, Rules, rules_of

__all__ = [
    "TABLES",
    "VENUES",
    "PhaseAt",
    "Row",
    "Rules",
    "VenueDay",
    "price_limits",
    "rules_of",
    "venue_day",
]
