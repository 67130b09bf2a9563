"""Group commit without threads: its stages go when a script says so, and always the same way."""

from __future__ import annotations

from ..engine.pipeline import Pipeline


class Stages(Pipeline):
    """The thread that makes it does the log's work, in `go` and where it waits for an answer.

    Everything else is the pipeline that engines have.
    """

    def start(self) -> None:
        """No thread."""
        self.claim()

    def go(self) -> None:
        """One turn of the log's thread.  Raises what a sync by the clock does."""
        while self.work_once():
            pass
        self.sync_if_due()
