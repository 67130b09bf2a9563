"""One layout, three times: NumPy dtypes, C structs, and the constants of the compiled rooms."""

from __future__ import annotations

import enum
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import matchcore as mc
from matchcore.records import commands, events

HERE = Path(mc.__file__).parent
RECORDS = {
    "mc_command": mc.COMMAND,
    "mc_event": mc.EVENT,
    "mc_order": mc.ORDER,
    "mc_level": mc.LEVEL,
}
SIZES = {"COMMAND": 96, "INSTRUMENT": 96, "EVENT": 96, "ORDER": 48, "LEVEL": 24}
ENUMS = [commands.Kind, commands.Side, commands.OrderType, commands.TimeInForce, commands.Flag,
         events.EventKind, events.Reason, events.Field]  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_sizes_and_byte_order(name: str) -> None:
    dtype = getattr(mc, name)
    assert dtype.itemsize == SIZES[name]
    for field, (kind, *_) in dtype.fields.items():
        assert kind.newbyteorder("<") == kind, field


@pytest.mark.parametrize("name", SIZES)
def test_fields_neither_overlap_nor_leave_gaps(name: str) -> None:
    spans = sorted((at, at + kind.itemsize) for kind, at, *_ in getattr(mc, name).fields.values())
    if name != "INSTRUMENT":  # an overlay: what it does not name is reserved
        assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]
        assert (spans[0][0], spans[-1][1]) == (0, SIZES[name])
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_c_has_the_same_layout(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "a C compiler is needed to build matchcore, so here too"
    lines = [
        f'printf("{struct} {field} %zu %zu\\n", offsetof({struct}, {field}),'
        f" sizeof((({struct}*)0)->{field}));"
        for struct, dtype in RECORDS.items()
        for field in dtype.names or ()
    ]
    source = tmp_path / "layout.c"
    source.write_text(
        '#include <stddef.h>\n#include <stdio.h>\n#include "matchcore.h"\n'
        f"int main(void) {{ {' '.join(lines)} return 0; }}\n"
    )
    program = tmp_path / "layout"
    subprocess.run([compiler, "-std=c11", f"-I{HERE}", source, "-o", program], check=True)
    said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        struct, field, offset, size = line.split()
        kind, at = (RECORDS[struct].fields or {})[field][:2]
        assert (int(offset), int(size)) == (at, kind.itemsize), line


def constants() -> dict[str, int]:
    """NAME = number lines of the compiled rooms' enums."""
    text = (HERE / "_records.pxd").read_text()
    return {name: int(value) for name, value in re.findall(r"\b([A-Z][A-Z_]+) = (\d+)", text)}


#: Instrument commands are checked in Python, so what only they are refused for is not compiled.
PYTHON_ONLY = {"R_BAD_SYMBOL", "R_DUPLICATE_SYMBOL", "R_BAD_TICK", "R_BAD_LOT", "R_BAD_LIMIT",
               "R_BOOK_NOT_EMPTY", "R_TOO_MANY_INSTRUMENTS", "F_SYMBOL", "F_TICK", "F_LOT",
               "F_MAX_QUANTITY"}  # fmt: skip


def test_compiled_constants_are_the_enums() -> None:
    prefixes = {"Reason": "R_", "Field": "F_"}
    members = {
        prefixes.get(codes.__name__, "") + member.name: int(member)
        for codes in ENUMS
        for member in codes
    }
    assert len(members) == sum(map(len, ENUMS)), "two of them have the same name"
    assert set(members) >= PYTHON_ONLY
    assert constants() == {name: members[name] for name in members if name not in PYTHON_ONLY}


@pytest.mark.parametrize("members", ENUMS, ids=lambda members: members.__name__)
def test_the_rule_book_names_every_member(members: type[enum.IntEnum]) -> None:
    page = HERE.parent / "docs" / "commands-and-events.md"
    if not page.exists():
        pytest.skip("no documentation beside an installed package")
    text = page.read_text()
    for member in members:
        if member.value:
            assert f"{member.value} {member.name}" in text, member


def test_records_are_plain_bytes() -> None:
    row = np.zeros(1, mc.COMMAND)
    row["price"] = -2
    assert row.tobytes()[32:40] == (-2).to_bytes(8, "little", signed=True)
    assert not mc.COMMAND.hasobject


def test_joined_records_are_fresh_and_in_order() -> None:
    rows = np.zeros(10, mc.COMMAND)
    rows["order_id"] = range(10)
    for parts in ([rows], [rows[::-2], rows[:0], rows[3:]]):
        whole = commands.joined(parts)
        assert whole.dtype == mc.COMMAND and whole.tobytes() == np.concatenate(parts).tobytes()
        whole["price"] = 7
        assert not rows["price"].any()
