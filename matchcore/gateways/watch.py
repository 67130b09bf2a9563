"""What a gateway counts: for its metrics, and to know whether it is well."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from ..records.schema import Reason, ReportKind

#: Upper bounds of answer latencies, inclusive, in seconds.
ANSWER_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_BOUNDS = np.array([int(bound * 1e9) for bound in ANSWER_SECONDS])
_REFUSING = np.zeros(256, np.bool_)
_REFUSING[[ReportKind.REJECTED, ReportKind.CANCEL_REJECTED, ReportKind.REPLACE_REJECTED,
           ReportKind.MASS_CANCEL_REJECTED, ReportKind.QUOTE_REJECTED]] = True  # fmt: skip


class Watch:
    """Totals since the gateway started.

    - ``commands``, ``reports``: of sessions, as the log has them.
    - ``refused``: by the machine, by reason; ``turned_away``: by the gateway, by kind of error.
    - ``logins``: by what became of them.
    - ``answers``, ``answer_seconds``: how many answers took how long, from the command's time until
      the gateway had it from the log; by `ANSWER_SECONDS`, the last count is for more.
    - ``turned``: when the event loop last came round, by `time.monotonic`.
    """

    def __init__(self) -> None:
        self.commands = self.reports = 0
        self.refused: Counter[str] = Counter()
        self.turned_away: Counter[str] = Counter()
        self.logins: Counter[str] = Counter()
        self.answers = np.zeros(len(ANSWER_SECONDS) + 1, np.int64)
        self.answer_seconds = 0.0
        self.turned = time.monotonic()

    def took(self, commands: NDArray[np.void], told: NDArray[np.void]) -> None:
        """Counts a part of the log and its reports."""
        times = commands["time"][commands["session"] != 0]
        if len(times):
            self.commands += len(times)
            spans = np.maximum(time.time_ns() - times, 0)
            places = np.searchsorted(_BOUNDS, spans)
            self.answers += np.bincount(places, minlength=len(self.answers))
            self.answer_seconds += float(spans.sum()) / 1e9
        self.reports += len(told)
        refusals = _REFUSING[told["kind"]]
        if refusals.any():
            for reason, count in Counter(told["reason"][refusals].tolist()).items():
                self.refused[Reason(reason).name.lower()] += count
