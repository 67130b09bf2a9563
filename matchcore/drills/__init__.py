"""A small exchange on one machine: to try (`matchcore cluster`), to rehearse (`matchcore drill`).

docs/availability says what runs where, and docs/reliability.md what the drills promise.
"""

from __future__ import annotations


class LeftOut(Exception):
    """This machine cannot do that; the text says why."""
