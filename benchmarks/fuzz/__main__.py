"""`python -m benchmarks.fuzz`, from the checkout: mutated inputs for the gateways' parsers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import click

from matchcore.cli.options import json_option
from matchcore.cli.output import err, progress_bar, show_rows

from .mutating import Mutator
from .parsers import PARSERS

PIECE = 20_000  # inputs of one task, which has a state of the random numbers of its own


def piece(name: str, seed: int, number: int, count: int) -> dict[str, Any]:
    """``count`` inputs; how many there were, and the first one that broke a rule."""
    parser = PARSERS[name]
    mutator = Mutator(f"{name} {seed} {number}", parser.seeds, parser.pieces)
    for done in range(1, count + 1):
        data = mutator.next()
        try:
            parser.check(data)
        except Exception as error:
            return {
                "inputs": done,
                "broken": f"{type(error).__name__}: {error}",
                "input": data.hex(),
            }
    return {"inputs": count, "broken": "", "input": ""}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--inputs", type=click.IntRange(1), default=10_000_000, show_default=True,
              help="For each parser.")  # fmt: skip
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=60.0,
              show_default=True, help="End after this time, also with fewer inputs.")  # fmt: skip
@click.option("--parser", "names", type=click.Choice(list(PARSERS)), multiple=True,
              help="Only this one; can be repeated.")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Of the inputs.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True)
@json_option
def fuzz(
    inputs: int, minutes: float, names: tuple[str, ...], seed: int, processes: int, as_json: bool
) -> None:
    """Drive each parser with mutated inputs, and check what must hold for any input.

    \b
    Example:  python -m benchmarks.fuzz --inputs 10000000 --minutes 120 --processes 2

    Exit code 1 if an input broke a rule; it is printed in hexadecimal.
    """
    chosen = list(names or PARSERS)
    pieces = [PIECE] * (inputs // PIECE) + [inputs % PIECE] * bool(inputs % PIECE)
    found: dict[str, dict[str, Any]] = {
        name: {"inputs": 0, "seconds": 0.0, "broken": "", "input": ""} for name in chosen
    }
    with progress_bar("fuzzing", inputs * len(chosen)) as progress:
        try:
            _run(found, pieces, seed, processes, time.monotonic() + 60 * minutes, progress)
        except KeyboardInterrupt:
            err.print("interrupted: this is what there was")
    _show(found, as_json)
    sys.exit(1 if any(one["broken"] for one in found.values()) else 0)


def _run(
    found: dict[str, dict[str, Any]], pieces: list[int], seed: int, processes: int, end: float,
    progress: Callable[[float], None],
) -> None:  # fmt: skip
    """Parsers in turn, so that all have had as many inputs when the time is over."""
    with ProcessPoolExecutor(processes) as pool:
        for number in range(0, len(pieces), processes):
            for name, total in found.items():
                if time.monotonic() > end or total["broken"]:
                    continue
                began = time.monotonic()
                tasks = [
                    pool.submit(piece, name, seed, number + at, count)
                    for at, count in enumerate(pieces[number : number + processes])
                ]
                for task in tasks:
                    _add(total, task.result(), progress)
                total["seconds"] += time.monotonic() - began


def _add(total: dict[str, Any], one: dict[str, Any], progress: Callable[[float], None]) -> None:
    total["inputs"] += one["inputs"]
    if one["broken"] and not total["broken"]:
        total["broken"], total["input"] = one["broken"], one["input"]
    progress(one["inputs"])


def _show(found: dict[str, dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = [(name, one["inputs"], round(one["seconds"], 1), one["broken"] or "nothing")
            for name, one in found.items()]  # fmt: skip
    show_rows(("parser", "inputs", "seconds", "broken"), rows, "Mutated inputs")
    for name, one in found.items():
        if one["broken"]:
            err.print(f"{name}: {one['input']}")


if __name__ == "__main__":
    fuzz(prog_name="python -m benchmarks.fuzz")
