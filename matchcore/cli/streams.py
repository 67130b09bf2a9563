"""What is printed, when its reader has gone or it cannot be written."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Any, NoReturn

BROKEN_PIPE = 128 + signal.SIGPIPE  # what a shell says of a program that wrote to a closed pipe
UNWRITTEN = 3


class _Stream(io.FileIO):
    """A standard stream that ends the program in order when it takes no more.

    The signal SIGPIPE itself is not for a program that has sockets and files to write as well.
    """

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            self._leave(BROKEN_PIPE)
        except OSError as error:
            if self.fileno() != 2 and sys.stderr is not None:
                print(f"matchcore: the output cannot be written: {error}", file=sys.stderr)
            self._leave(UNWRITTEN)

    def _leave(self, code: int) -> NoReturn:
        """Exits; what is still in buffers, and is written as the interpreter ends, goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        raise SystemExit(code)


def _guarded(stream: Any) -> Any:
    try:
        stream.flush()
        raw = _Stream(stream.fileno(), "w", closefd=False)
    except (AttributeError, OSError, ValueError):  # none, closed, or no file
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def guard() -> None:
    """Ends this program quietly when nobody reads its standard output or error any more."""
    sys.stdout, sys.stderr = _guarded(sys.stdout), _guarded(sys.stderr)
