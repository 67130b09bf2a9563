"""Versions of the rules: which of them this matchcore knows (docs/compatibility.md)."""

from __future__ import annotations

from typing import SupportsIndex

from ..errors import UnknownRules
from .arguments import integer
from .schema import RULES_LATEST


def checked_rules(version: int, now: int = 0) -> int:
    """The version; `UnknownRules` unless this matchcore knows it and it comes after `now`."""
    if version > RULES_LATEST:
        raise UnknownRules(
            f"version {version} of the rules is not known to this matchcore, which knows up to"
            f" version {RULES_LATEST}: use a newer matchcore"
        )
    if version <= now:
        raise UnknownRules(f"version {version} of the rules does not come after version {now}")
    return version


def first_rules(version: SupportsIndex | None) -> int:
    """The version that an exchange begins under: the newest, unless another one is given."""
    if version is None:
        return RULES_LATEST
    return checked_rules(integer(version, "rules", None, None))


def newer_rules(now: int) -> int | None:
    """The newest version that this matchcore knows, if it comes after `now`."""
    return RULES_LATEST if now < RULES_LATEST else None
