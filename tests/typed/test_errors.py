"""Errors say the same in another process."""

from __future__ import annotations

import copy

import pytest

import matchcore as mc
from matchcore import errors


@pytest.mark.parametrize(
    "error",
    [
        mc.LogDamaged("torn", "e/journal.mcj", 128, 7), mc.LogFailed("full"), mc.KeyRefused("no"),
        errors.MissingExtra("it", "gm"), errors.ImportFormatError("x.csv", 3, "no price"),
        mc.UnknownInstrument("unknown instrument 'A'"), errors.OrderRejected("r", "f"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_an_error_is_the_same_when_it_was_handed_over(error: Exception) -> None:
    again = copy.copy(error)  # by the way that takes it to another process
    assert type(again) is type(error)
    assert str(again) == str(error) and vars(again) == vars(error)
