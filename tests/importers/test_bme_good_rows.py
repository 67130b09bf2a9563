"""What the BME importer takes: each row as it stands, whatever the exchange will say of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bme_kit import ANA, AT, HEADER, NAME, NEW, imported, lines, written

import matchcore as mc
from matchcore.importers import Bme


def test_a_plain_file_and_a_gzipped_one_are_the_same(tmp_path: Path) -> None:
    data = lines(HEADER, NEW, f"modif;1;True;4;95.7;{AT}", f"cancel;1;True;6;95.7;{AT}")
    plain, packed = written(tmp_path, data), written(tmp_path, data, f"{NAME}.gz")
    assert imported(plain).tobytes() == imported(packed).tobytes()
    assert imported(plain)["kind"].tolist() == [1, 4, 2]


def test_other_line_ends_and_a_missing_last_one_are_taken(tmp_path: Path) -> None:
    wanted = imported(written(tmp_path, lines(HEADER, NEW)))
    dos = lines(HEADER, NEW).replace(b"\n", b"\r\n")
    assert imported(written(tmp_path, dos)).tobytes() == wanted.tobytes()
    assert imported(written(tmp_path, dos.rstrip())).tobytes() == wanted.tobytes()


def test_a_header_alone_is_a_day_without_orders(tmp_path: Path) -> None:
    assert len(imported(written(tmp_path, lines(HEADER)))) == 0


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_empty_last_lines_are_no_rows(
    tmp_path: Path, end: str, ending: str
) -> None:
    wanted = imported(written(tmp_path, lines(HEADER, NEW)))
    text = f"\ufeff{HEADER}\n{NEW}\n\n \t\n".replace("\n", end)
    assert imported(written(tmp_path, text.encode(), NAME + ending)).tobytes() == wanted.tobytes()


def test_times_are_those_of_the_market_in_utc(tmp_path: Path) -> None:
    winter = NEW.replace("-05-21", "-01-21")
    rows = (NEW, NEW.replace(AT, "2019-05-21 11:00:00.123456+04:00"), winter)
    file = written(tmp_path, lines(HEADER, *rows))
    summer = 1_558_422_000_123_456_000  # 07:00
    assert imported(file)["time"].tolist() == [summer, summer, 1_548_057_600_123_456_000]  # 08:00
    hour = 3600 * 10**9
    utc = [summer + 2 * hour, summer, 1_548_057_600_123_456_000 + hour]
    assert imported(file, timezone="UTC")["time"].tolist() == utc
    shanghai = imported(file, timezone="Asia/Shanghai")["time"].tolist()
    assert shanghai == [summer - 6 * hour, summer, 1_548_057_600_123_456_000 - 7 * hour]


def test_a_time_that_comes_twice_needs_an_offset(tmp_path: Path) -> None:
    rows = [NEW.replace(AT, f"2019-10-27 02:30:00+0{hours}:00") for hours in (2, 1)]
    times = imported(written(tmp_path, lines(HEADER, *rows)))["time"]
    assert np.diff(times).tolist() == [3600 * 10**9]


@pytest.mark.parametrize("name", ["Nowhere", "", "Europe", "../UTC", "/etc/passwd", "x" * 999])
def test_an_unknown_time_zone_is_refused(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, lines(HEADER, NEW))
    with pytest.raises(ValueError, match=r"unknown time zone .*a name like Europe/Madrid"):
        imported(file, timezone=name)


def test_rows_come_with_their_quantities(tmp_path: Path) -> None:
    rows = (NEW, f"modif;1;True;4;95.7;{AT}", f"cancel;1;True;6;95.7;{AT}")
    ((commands, quantities),) = Bme().rows(
        written(tmp_path, lines(HEADER, *rows)), mc.Directory([ANA])
    )
    assert quantities.tolist() == [10, 4, 6] and quantities.dtype == np.int64
    assert commands["quantity"].tolist() == [10, 4, 0]


def test_times_out_of_order_keep_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [f"new;{uid};True;1;95.7;2019-05-21 09:00:{second:02}" for uid, second in
            enumerate([30, 10, 20], 1)]  # fmt: skip
    commands = imported(written(tmp_path, lines(HEADER, *rows)))
    assert commands["order_id"].tolist() == [1, 2, 3]
    assert [time // 10**9 % 60 for time in commands["time"].tolist()] == [30, 10, 20]


def test_a_crossed_row_trades_at_the_resting_price(tmp_path: Path) -> None:
    rows = (NEW, f"new;2;False;4;95.5;{AT}")
    with mc.Engine.memory(instruments=[ANA]) as engine:
        events = engine.submit_batch(imported(written(tmp_path, lines(HEADER, *rows))))
    assert events["kind"].tolist() == [1, 1, 2]
    assert (events["price"][2], events["quantity"][2]) == (1914, 4)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"cancel;7;True;10;95.7;{AT}", mc.Reason.UNKNOWN_ORDER),
        (f"modif;7;True;10;95.7;{AT}", mc.Reason.UNKNOWN_ORDER),
        (NEW, mc.Reason.DUPLICATE_ORDER),
        (f"new;2;True;{2**63 - 1};95.7;{AT}", mc.Reason.LEVEL_OVERFLOW),
    ],
)
def test_what_the_rules_refuse_is_refused_by_the_exchange(
    tmp_path: Path, row: str, reason: mc.Reason
) -> None:
    with mc.Engine.memory(instruments=[ANA]) as engine:
        events = engine.submit_batch(imported(written(tmp_path, lines(HEADER, NEW, row))))
    assert events["kind"].tolist() == [mc.EventKind.ACCEPTED, mc.EventKind.REJECTED]
    assert events["reason"][1] == reason


def test_the_symbol_is_the_name_unless_said(tmp_path: Path) -> None:
    file = written(tmp_path, lines(HEADER, NEW), "orders-san.mc-2020-1-2.csv")
    assert Bme().instruments(file) == [mc.Instrument("SAN.MC", "0.05")]
    assert Bme().instruments(file, symbol="Else", tick="0.1") == [mc.Instrument("Else", "0.1")]
    assert imported(file, mc.Instrument("Else", "0.1"), symbol="Else")["price"][0] == 957


def test_the_number_is_the_one_of_the_directory(tmp_path: Path) -> None:
    file = written(tmp_path, lines(HEADER, NEW))
    directory = mc.Directory([mc.Instrument("ONE", 1), ANA])
    (part,) = Bme().commands(file, directory)
    assert part["instrument"].tolist() == [2]
    with pytest.raises(mc.UnknownInstrument, match="ANA"):
        next(Bme().commands(file, mc.Directory([mc.Instrument("ONE", 1)])))


def test_the_largest_numbers_are_taken(tmp_path: Path) -> None:
    row = f"new;{2**64 - 1};FALSE;{2**63 - 1};{(2**63 - 1) * 5 // 100};{AT}"
    commands = imported(written(tmp_path, lines(HEADER, row)))
    assert commands["order_id"][0] == 2**64 - 1 and commands["quantity"][0] == 2**63 - 1
    assert commands["side"][0] == mc.Side.SELL


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2019-05-21T09:00:00Z", 1_558_429_200 * 10**9),
        ("2019-05-21 09:00:00.5Z", 1_558_429_200_500_000_000),
        ("1970-01-01 00:00:00.000001Z", 1000),
        ("1970-01-01 00:59:59.999999", -1000),  # in Madrid
        ("2262-04-11 23:47:16.854775Z", (2**63 - 1) // 1000 * 1000),
    ],
)
def test_a_time_is_taken_in_every_version_of_python_alike(
    tmp_path: Path, text: str, time: int
) -> None:
    file = written(tmp_path, lines(HEADER, NEW.replace(AT, text)))
    assert imported(file)["time"].tolist() == [time]


def test_the_log_has_the_times_of_the_file(tmp_path: Path) -> None:
    rows = [NEW.replace(AT, f"1970-01-01 00:00:00.00000{digit}") for digit in (1, 2)]
    commands = imported(written(tmp_path, lines(HEADER, *rows)))
    with mc.Engine.memory(instruments=[ANA], log=(log := mc.MemoryLog())) as engine:
        engine.submit_batch(commands)
    assert list(log.frames())[1].commands.tobytes() == commands.tobytes()
