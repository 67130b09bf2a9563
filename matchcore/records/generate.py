"""Writes what follows from `schema.py` into the files that hold a copy of it.

    python matchcore/records/generate.py            rewrites them
    python matchcore/records/generate.py --check    names those that differ, and exits with 1

As a file, not as a module: that would import the package, which cannot be imported while a
compiled module is missing or a copy differs.
A copy stands between two lines that hold ``generated: NAME`` and ``generated: end``.  For a
checkout: an installed matchcore has no documentation to write to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = __package__ or "records"
if not __package__:  # run as a file: without the package's own imports, which may not be compiled
    sys.modules[PACKAGE] = ModuleType(PACKAGE)
    sys.modules[PACKAGE].__path__ = [str(Path(__file__).parent)]
layouts: Any = import_module(".layouts", PACKAGE)
schema: Any = import_module(".schema", PACKAGE)
parameters: Any = import_module(".parameters", PACKAGE)

ROOT = Path(__file__).parents[2]
PLAIN = (schema.Kind.NEW,), tuple(schema.Side), (schema.OrderType.LIMIT,), schema.PLAIN_TIFS


def _c_structs() -> Iterator[str]:
    for record in schema.RECORDS:
        if record.c_name:
            yield "typedef struct {"
            for kind, names in record.c_fields():
                yield f"    {layouts.c_type(kind)} {', '.join(names)};"
            yield f"}} {record.c_name};"
            yield f'static_assert(sizeof({record.c_name}) == {record.size}, "{record.name}");'
            yield ""


def _cython_structs() -> Iterator[str]:
    for record in schema.RECORDS:
        if record.c_name:
            yield f"    ctypedef struct {record.c_name}:"
            for kind, names in record.c_fields():
                yield from (f"        {kind} {name}" for name in names)
            yield ""


def _byte_test(values: Iterable[int]) -> tuple[int, int]:
    """(base, mask) so that exactly these bytes have `(byte - base) & mask == 0`."""
    wanted = sorted({int(value) for value in values})
    base, free = wanted[0], 0
    for value in wanted:
        free |= value - base
    found = [byte for byte in range(256) if (byte - base) & 0xFF & ~free == 0]
    assert found == wanted, f"{wanted}: no mask tells them from all others"
    return base, 0xFF & ~free


def _filled(members: Iterable[str]) -> Iterator[str]:
    """Members of an enumeration, several to a line: no line ends inside one, nor with a comma."""
    line = ""
    for member in members:
        if line and len(line) + len(member) + 2 > 100:
            yield line
            line = ""
        line = f"{line}, {member}" if line else f"    {member}"
    yield line


def _cython_codes() -> Iterator[str]:
    yield "cdef enum:"
    yield f"    RULES_LATEST = {schema.RULES_LATEST}"
    yield ""
    for codes, prefix in schema.CODES.items():
        yield f"cdef enum {codes.__name__}:" if prefix else "cdef enum:"
        yield from _filled(f"{prefix}{member.name} = {int(member)}" for member in codes)
        yield ""
    yield "# Sets of codes: bit n stands for code n."
    yield "cdef enum:"
    for name, members in schema.SETS.items():
        yield f"    {name} = {sum(1 << int(member) for member in members):#x}"
    for codes in (schema.Side, schema.OrderType, schema.TimeInForce):
        every = sum(1 << int(member) for member in codes)
        yield f"    EVERY_{codes.__name__.upper()} = {every:#x}"
    yield ""
    yield "# Of kind, side, order type and time in force as one word: a plain NEW limit order."
    yield "cdef enum:"
    tests = [_byte_test(values) for values in PLAIN]
    for name, which in (("PLAIN_BASE", 0), ("PLAIN_MASK", 1)):
        word = sum(test[which] << 8 * at for at, test in enumerate(tests))
        yield f"    {name} = {word:#010x}"


def _code_table() -> Iterator[str]:
    yield "| enumeration | values |"
    yield "|---|---|"
    for codes in schema.CODES:
        members = ", ".join(f"{int(member)} {member.name}" for member in codes)
        yield f"| {codes.__name__} | {members} |"


#: What the page on the journal says of fields beside their names, by record.
NOTES: dict[layouts.Record, dict[str, str]] = {
    schema.COMMAND_RECORD: {
        "time": "nanoseconds since 1970",
        "price": "ticks",
        "quantity": "units",
        "instrument": "number, from 1",
        "kind": "these and the next codes: [Codes](commands-and-events.md#codes)",
        "flags": "bits",
        **dict.fromkeys(schema.LATER_FIELDS, "0"),
        "session": "login that sent it; 0 under version 1 of the rules",
        "client_order_tail": "second half of a long client order id; 0 under version 1",
    },
    schema.INSTRUMENT_RECORD: {
        "symbol": "ASCII, filled up with zeros",
        "tick_mantissa": "the tick is mantissa \u00d7 10^exponent",
        "lot": "units",
        "max_quantity": "units",
        "max_orders": "in its book",
        "instrument": "number, from 1",
        "kind": "at the same place as in COMMAND",
        "tick_exponent": "-18 to 0",
    },
    schema.TEXT_RECORD: {
        "data": "filled up with zeros",
        "instrument": "number, or 0 for all; of NOTICE",
        "kind": "at the same place as in COMMAND",
        "topic": "of REGISTER",
        "part": "from 0",
        "parts": "of NOTICE",
        "session": "at the same place as in COMMAND",
    },
    schema.LIMITS_RECORD: {
        "max_quantity": "units; here and in the next fields 0 is no limit",
        "max_value": "ticks \u00d7 units",
        "collar": "ticks",
        "max_messages": "in `window_ns` nanoseconds",
        "instrument": "number, or 0 for all",
        "kind": "at the same place as in COMMAND",
        "flags": "bits of LimitFlag, at the same place as in COMMAND",
        "session": "at the same place as in COMMAND",
        **{name: "0" for name in schema.LIMITS_RECORD.names if name.startswith("reserved")},
    },
    schema.ACCOUNT_LIMITS_RECORD: {
        "flags": "1: blocked",
        "window_start": "time of the first message of the window; 0 without one",
        "messages": "in the window",
    },
    schema.LAST_RECORD: {"price": "ticks", "traded": "1, or 0 before the first trade"},
    schema.ENTRY_RECORD: {"data": "filled up with zeros"},
    schema.ORDER_RECORD: {"price": "ticks", "quantity": "open units", "reserved": "0"},
    schema.EVENT_RECORD: {
        "sequence": "of the command",
        "price": "ticks",
        "quantity": "units",
        "left": "units",
        "taker_left": "units",
        "instrument": "number",
        "field": "which one was refused",
    },
}


#: What the page on reports says of fields beside their names.
REPORT_NOTES: dict[layouts.Record, dict[str, str]] = {
    schema.REPORT_RECORD: {
        "number": "in session and day; 0: none",
        "sequence": "of the command",
        "time": "of the command, nanoseconds since 1970",
        "price": "the order's limit, ticks",
        "quantity": "units",
        "filled": "units",
        "left": "units",
        "last_price": "of the trade, ticks",
        "last_quantity": "of the trade, units",
        "turnover": "lower 64 bits",
        "turnover_high": "upper 64 bits, signed",
        "part": "place of the event among those of the command, from 0",
    },
}


def _layouts() -> Iterator[str]:
    return _layouts_of(NOTES)


def _report_layout() -> Iterator[str]:
    return _layouts_of(REPORT_NOTES)


def _layouts_of(noted: dict[layouts.Record, dict[str, str]]) -> Iterator[str]:
    for record, notes in noted.items():
        assert notes.keys() <= set(record.names), f"{record.name}: a note on no field of it"
        yield f"**{record.name}**, {record.size} bytes:"
        yield ""
        yield "| offset | type | field | |"
        yield "|---|---|---|---|"
        at = 0
        for name, kind, offset in [*record.fields(), ("", "", record.size)]:
            if offset > at:
                yield f"| {at} | {offset - at} bytes | | 0 |"
            if name:
                size = layouts.byte_size(kind)
                shown = kind if layouts.c_type(kind) else f"{size} bytes"
                yield f"| {offset} | {shown} | `{name}` | {notes.get(name, '')} |"
                at = offset + size
        yield ""


def _parameters() -> Iterator[str]:
    """What SET_MARKET sets, from `parameters.py`."""
    for parameter, values in parameters.PARAMETERS.items():
        yield f"### {int(parameter)} {parameter.name}"
        yield ""
        yield "| value | name | from | to | at first | |"
        yield "|---|---|---|---|---|---|"
        for at, one in enumerate(values, 1):
            bounds = " | ".join(_power(number) for number in (one.least, one.most, one.default))
            yield f"| {at} | `{one.name}` | {bounds} | {one.unit} |"
        yield ""


def _power(number: int) -> str:
    """A number; those at the ends of 64 bits as powers."""
    named = {2**63 - 1: "2^63\u22121", -(2**63): "\u22122^63", 2**32 - 1: "2^32\u22121"}
    named |= {2**40: "2^40", -(2**40): "\u22122^40", 2**31: "2^31"}
    return named.get(number, f"{number:,}" if number >= 0 else f"\u2212{-number:,}")


def _next_phases() -> Iterator[str]:
    yield "| phase | may be followed by |"
    yield "|---|---|"
    for phase, after in schema.NEXT_PHASES.items():
        names = ", ".join(one.name for one in schema.Phase if one in after)
        yield f"| {int(phase)} {phase.name} | {names} |"


def _phase_masks() -> Iterator[str]:
    """In which phases a new market takes orders and cancels."""
    values = {one.name: one.default for one in parameters.PARAMETERS[schema.Parameter.TRADING]}
    yield "| phase | orders | cancels |"
    yield "|---|---|---|"
    for phase in schema.Phase:
        takes = ("yes" if values[f"{name}_phases"] >> phase & 1 else "no"
                 for name in ("entry", "cancel"))  # fmt: skip
        yield f"| {phase.name} | {' | '.join(takes)} |"


def _event_row() -> Iterator[str]:
    yield from (f"    {name}: int" for name in schema.EVENT_RECORD.names)


_Lines = Callable[[], Iterator[str]]
#: file -> the regions in it
FILES: dict[str, dict[str, _Lines]] = {
    "matchcore/include/matchcore.h": {"structs": _c_structs},
    "matchcore/machine/core/records.pxd": {"structs": _cython_structs, "codes": _cython_codes},
    "matchcore/records/events.py": {"row": _event_row},
    "docs/commands-and-events.md": {"codes": _code_table},
    "docs/journal.md": {"layouts": _layouts},
    "docs/gateways/reports.md": {"report": _report_layout},
    "docs/markets/parameters.md": {"parameters": _parameters},
    "docs/markets/phases.md": {"next_phases": _next_phases, "phase_masks": _phase_masks},
}


def rewritten(text: str, regions: dict[str, _Lines]) -> str:
    """The text of a file with its regions made anew."""
    out: list[str] = []
    inside = ""
    for line in text.splitlines():
        name = line.partition("generated: ")[2].split(" ")[0].rstrip("*/->")
        if name == "end":
            inside = ""
        if not inside:
            out.append(line)
        if name and name != "end":
            inside = name
            lines = list(regions[name]())
            out += lines[:-1] if lines[-1] == "" else lines
    assert not inside, f"generated: {inside} has no end"
    return "\n".join(out) + "\n"


def main(arguments: list[str]) -> int:
    different = []
    for name, regions in FILES.items():
        path = ROOT / name
        old = path.read_text()
        new = rewritten(old, regions)
        if new != old:
            different.append(name)
            if "--check" not in arguments:
                path.write_text(new)
    for name in different:
        print(f"{name}: {'differs from' if '--check' in arguments else 'rewritten from'} schema.py")
    return 1 if different and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
