"""How far a standby is behind its log, in commands and in time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

MARKS_MAX = 64  # ends of the log that were seen and not reached


class Lag:
    """Compares ends of the log, each seen at some moment, with what was applied when.

    No clock is compared with that of another machine.  `ends` may be called in a thread of its own.

    - ``commands``: between the newest end that was seen and the last command applied.
    - ``end``: that end; ``applied``: that command.
    - ``heard``: when the log last said its end, by `time.monotonic`; 0.0: never.
    """

    def __init__(self) -> None:
        self.end = self.applied = 0
        self.heard = 0.0
        self._took = 0.0  # from when the last end that was reached was asked for
        self._marks: deque[tuple[int, float]] = deque(maxlen=MARKS_MAX)

    @property
    def commands(self) -> int:
        """Commands that the log is known to have and that are not applied."""
        return max(0, self.end - self.applied)

    @property
    def seconds(self) -> float:
        """How long, at most, a command that was in the log has waited to be applied here."""
        try:
            return time.monotonic() - self._marks[0][1]
        except IndexError:  # all are reached
            return self._took

    def ends(self, ask: Callable[[], int]) -> None:
        """Notes what the log says of its end."""
        asked = time.monotonic()
        end = ask()
        self.heard = time.monotonic()
        self.end = max(self.end, end)
        if end > self.applied:
            self._marks.append((end, asked))
        else:
            self._took = 0.0

    def reached(self, sequence: int) -> None:
        """Notes what was applied."""
        self.applied = sequence
        now = time.monotonic()
        while self._marks and self._marks[0][0] <= sequence:
            self._took = now - self._marks.popleft()[1]
