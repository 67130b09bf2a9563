"""Verification of a replicated log: every message, and what the servers promise."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import LogDamaged
from ..verifying import Finding, Report
from .address import Address
from .reader import StreamReader


def verify(address: Address, progress: Callable[[int], None] = lambda count: None) -> Report:
    """Reads every message of a log and checks it; damage is a finding, and ends the reading.

    ``progress`` receives the number of bytes of each frame.  LogError without a log, `LogFailed`
    if the servers cannot be reached.
    """
    report = Report()
    place = str(address)
    try:
        with StreamReader(address) as reader:
            report.identity, report.segments, report.rules = reader.identity.hex(), 1, reader.rules
            if wrong := reader.promises_less():
                report.findings.append(Finding(wrong, place, 0, 0))
            for frame in reader.read():
                report.frames += 1
                report.commands += frame.count
                report.last_sequence = frame.first_sequence + frame.count - 1
                report.rules = frame.rules or frame.under
                size = reader.walk.size - report.bytes
                report.bytes += size
                progress(size)
    except LogDamaged as error:
        report.findings.append(Finding(error.what, error.path, error.offset, error.sequence))
    return report
