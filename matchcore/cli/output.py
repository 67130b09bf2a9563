"""How the command line speaks: tables and bars for people, JSON for machines, one way to fail."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from ..errors import ImportFormatError, LogDamaged, LogError, LogFailed, MatchcoreError

GOOD, DAMAGED, USAGE = 0, 1, 2
#: A database or the machine did not do what was asked; an error that no command expects; Ctrl-C.
FAILED, UNEXPECTED, INTERRUPTED = 3, 4, 130
#: Paths that are not what the command needs.
_PATHS = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError,
          PermissionError)  # fmt: skip

CELLS_MAX = 1_000_000  # a width that nothing reaches

# Symbols and paths are what users say, so no text is markup.  Nothing is folded or cut to a
# width, in a pipe or on a terminal: half a number is a wrong one.
_console = partial(Console, highlight=False, soft_wrap=True, markup=False, emoji=False)
out = _console(width=CELLS_MAX)
err = _console(stderr=True)  # as wide as the terminal, which its bars need


def show(result: Mapping[str, Any], as_json: bool, *, title: str = "") -> None:
    """A flat result as a two-column table, or the whole of it as one JSON object."""
    if as_json:
        click.echo(json.dumps(result, indent=2, default=str))
        return
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, value in result.items():
        if not isinstance(value, Mapping | list):
            table.add_row(name.replace("_", " "), _human(value))
    _print(table, title)


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """A table with a header; numbers to the right."""
    table = Table()
    for at, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[at], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*map(_human, row))
    _print(table, title)


def _print(table: Table, title: str) -> None:
    """The title is a line of its own: rich folds that of a table to the table's width."""
    if title:
        out.print(title, style="bold")
    out.print(table)


def _human(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


class Bar:
    """Takes steps done; without a terminal it shows nothing."""

    def __init__(self, what: str, total: int | None, progress: Progress | None) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total) if progress else TaskID(0)

    def __call__(self, steps: float) -> None:
        if self._progress:
            self._progress.advance(self._task, steps)

    def expect(self, total: int) -> None:
        """Sets how many steps there will be, once that is known."""
        if self._progress:
            self._progress.update(self._task, total=total)


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Bar]:
    """A bar on a terminal, nothing in a pipe; `total` None if it is not known yet."""
    if not sys.stderr.isatty():
        yield Bar(what, total, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        yield Bar(what, total, bar)


@contextmanager
def failing_kindly(as_json: bool) -> Iterator[None]:
    """Turns matchcore's errors into one line (or a JSON object) and the documented exit code."""
    try:
        yield
    except LogDamaged as error:
        fail(error, as_json, DAMAGED, path=error.path, offset=error.offset, sequence=error.sequence)
    except ImportFormatError as error:
        fail(error, as_json, DAMAGED, path=error.path, line=error.line)
    except LogFailed as error:
        fail(error, as_json, FAILED)
    except LogError as error:
        fail(error, as_json, DAMAGED)
    except (MatchcoreError, OSError) as error:
        from ..sinks import SinkAway  # which takes its time, and nothing good needs

        failed = SinkAway if isinstance(error, MatchcoreError) else OSError
        usage = isinstance(error, _PATHS) or not isinstance(error, failed)
        fail(error, as_json, USAGE if usage else FAILED)


class Commands(click.Group):
    """Commands whose unexpected errors are one line and an exit code that means nothing else."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["as_json"] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            err.print("matchcore: stopped")
            sys.exit(INTERRUPTED)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            from ..sinks.urls import without_secrets

            if os.environ.get("MATCHCORE_TRACEBACK"):
                print(without_secrets(traceback.format_exc()), file=sys.stderr, end="")
            kind, said = type(error).__name__, " ".join(without_secrets(str(error)).split())
            what = f"unexpected: {kind}: {said} (MATCHCORE_TRACEBACK=1 shows where)"
            fail_saying(what, kind, ctx.meta["as_json"], UNEXPECTED)


def fail(error: Exception, as_json: bool, code: int, **where: Any) -> NoReturn:
    """Says what is wrong and leaves with this exit code."""
    fail_saying(str(error), type(error).__name__, as_json, code, **where)


def fail_saying(what: str, kind: str, as_json: bool, code: int, **where: Any) -> NoReturn:
    """The same for a text, of an error of this kind."""
    if as_json:
        click.echo(json.dumps({"error": what, "kind": kind, **where}, default=str))
    else:
        err.print(f"matchcore: {what}")
    sys.exit(code)
