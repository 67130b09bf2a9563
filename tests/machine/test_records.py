"""One declaration: NumPy dtypes, C structs and compiled constants are what the schema says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flows import flow

import matchcore as mc
from matchcore.records import commands, generate, schema
from matchcore.records.layouts import Record
from matchcore.torture import flow as torture

HERE = Path(mc.__file__).parent
RECORDS = {
    "mc_command": mc.COMMAND,
    "mc_event": mc.EVENT,
    "mc_order": mc.ORDER,
    "mc_level": mc.LEVEL,
}
SIZES = {"COMMAND": 96, "INSTRUMENT": 96, "EVENT": 96, "ORDER": 48, "LEVEL": 24}


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
    headers = f"-I{mc.get_include()}"
    subprocess.run([compiler, "-std=c11", headers, source, "-o", program], check=True)
    said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        struct, field, offset, size = line.split()
        kind, at = (RECORDS[struct].fields or {})[field][:2]
        assert (int(offset), int(size)) == (at, kind.itemsize), line


def test_what_is_generated_is_what_the_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    if not (generate.ROOT / "docs").exists():
        pytest.skip("no documentation beside an installed package")
    assert generate.main(["--check"]) == 0, capsys.readouterr().out


def test_copies_are_made_where_nothing_is_compiled(tmp_path: Path) -> None:
    """So it works after any change of the schema: the package cannot be imported then."""
    if not (generate.ROOT / "docs").exists():
        pytest.skip("no documentation beside an installed package")
    package = [
        f"matchcore/records/{name}.py"
        for name in (
            *("__init__", "event_codes", "follower_codes", "generate", "layouts", "market_codes"),
            *("parameters", "schema"),
        )
    ]
    for name in [*generate.FILES, *package]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(generate.ROOT / name, tmp_path / name)
    declared = tmp_path / "matchcore/records/schema.py"
    text = declared.read_text().replace('"mc_event",\n    96,', '"mc_event",\n    104,')
    declared.write_text(text.replace('reason:u8 field:u8",', 'reason:u8 field:u8 venue:u64",'))
    for arguments, code in (["--check"], 1), ([], 0), (["--check"], 0):
        ran = [sys.executable, "matchcore/records/generate.py", *arguments]
        assert subprocess.run(ran, cwd=tmp_path).returncode == code
    assert "uint64_t venue;" in (tmp_path / "matchcore/include/matchcore.h").read_text()
    assert "| 96 | u64 | `venue` |" in (tmp_path / "docs/journal.md").read_text()


def test_a_changed_copy_is_found_and_made_anew() -> None:
    name = "matchcore/machine/core/records.pxd"
    text = (Path(mc.__file__).parents[1] / name).read_text()
    wrong = text.replace("CANCEL = 2", "CANCEL = 3", 1).replace("u8 side\n", "", 1)
    assert wrong != text and generate.rewritten(wrong, generate.FILES[name]) == text


#: NumPy kind of a field that is no number -> a value of it.
TEXT = {"S": b"AB", "V": b"AB"}


@pytest.mark.parametrize("record", schema.RECORDS, ids=lambda record: record.name)
def test_packed_fields_are_where_the_dtype_has_them(record: Record) -> None:
    dtype = np.dtype(record.dtype_spec())
    names = record.names[1::2]
    values = [TEXT.get(dtype[name].kind, 1 + at) for at, name in enumerate(names)]
    row = np.frombuffer(record.packer(*names).pack(*values), dtype)[0]
    for name in record.names:
        expected = dict(zip(names, values, strict=True)).get(name)
        if isinstance(row[name], np.void):
            assert row[name].tobytes().rstrip(b"\0") == (expected or b""), name
            continue
        assert row[name] == expected if expected is not None else not row[name], name
    with pytest.raises(AssertionError, match="order"):
        record.packer(*reversed(record.names))


def test_every_kind_is_of_one_sort() -> None:
    sorts = [
        schema.ORDER_KINDS, schema.SWEEP_KINDS, schema.INSTRUMENT_KINDS, schema.TEXT_KINDS,
        schema.ENGINE_KINDS, {schema.Kind.SET_LIMITS}, schema.KINDS_OF_3,
    ]  # fmt: skip
    assert sorted(kind for sort in sorts for kind in sort) == sorted(schema.Kind)


@pytest.mark.parametrize("made", [flow, torture.commands], ids=["tests", "fault bench"])
def test_random_flows_have_every_code_that_a_client_can_send(made: Callable[..., Any]) -> None:
    rows = made(1, 4000)
    assert {*rows["kind"].tolist()} >= schema.ORDER_KINDS | schema.SWEEP_KINDS
    orders = rows[rows["kind"] == schema.Kind.NEW]
    for name, codes in (("order_type", schema.OrderType), ("time_in_force", schema.TimeInForce),
                        ("side", schema.Side)):  # fmt: skip
        assert {*orders[name].tolist()} >= set(codes), name


def test_a_reason_is_of_a_cancel_or_of_a_refusal() -> None:
    """The pages say that those of a cancel are from 32 to 63, and their names are not shared."""
    assert {one for one in schema.Reason if 32 <= one <= 63} == schema.CANCEL_REASONS


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
