"""Group commit without threads: its stages go when a script says so, and always the same way."""

from __future__ import annotations

from ..pipeline import Pipeline


class Stages(Pipeline):
    """What the log's thread would do happens in `go`: write and sync what waits, answer it, and
    under "interval" sync what is due.  Everything else is the pipeline that engines have."""

    def kick(self) -> None:
        """Nobody is woken."""

    def go(self) -> None:
        """One turn of the log's thread.  Raises what a sync by the clock does."""
        self._step()
