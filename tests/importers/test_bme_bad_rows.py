"""Rows that make no sense: each one named by file and line, and nothing else raised."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from bme_kit import AT, HEADER, NAME, NEW, imported, lines, quantities, written

import matchcore as mc
from matchcore.errors import ImportFormatError
from matchcore.importers import Bme

BAD_ROWS = {
    "too few columns": (f"new;1;True;10;{AT}", "5 fields, not 6"),
    "too many columns": (f"{NEW};x", "7 fields, not 6"),
    "an empty line": ("", "an empty line between rows"),
    "a line of spaces": (" \t", "an empty line between rows"),
    "another separator": (NEW.replace(";", ","), "1 fields"),
    "quantity no number": (NEW.replace(";10;", ";ten;"), "qty 'ten' is not a whole number"),
    "quantity missing": (NEW.replace(";10;", ";;"), "qty '' is not a whole number"),
    "quantity negative": (NEW.replace(";10;", ";-10;"), "qty '-10' is not a whole number"),
    "quantity zero": (NEW.replace(";10;", ";0;"), "qty '0' is not a whole number"),
    "quantity a fraction": (NEW.replace(";10;", ";10.5;"), "qty '10.5'"),
    "quantity signed": (NEW.replace(";10;", ";+10;"), r"qty '\+10'"),
    "quantity spaced": (NEW.replace(";10;", "; 10;"), "qty ' 10'"),
    "quantity in other digits": (NEW.replace(";10;", ";\u0661\u0660;"), "qty '\u0661\u0660'"),
    "quantity beyond 63 bits": (NEW.replace(";10;", f";{2**63};"), f"from 1 to {2**63 - 1}"),
    "quantity enormous": (NEW.replace(";10;", f";{10**60};"), "is not a whole number"),
    "id zero": (NEW.replace(";1;", ";0;"), "uid '0'"),
    "id beyond 64 bits": (NEW.replace(";1;", f";{2**64};"), f"from 1 to {2**64 - 1}"),
    "price off its tick": (NEW.replace("95.7", "95.72"), "not on a tick of 0.05.*95.70 and 95.75"),
    "price no number": (NEW.replace("95.7", "cheap"), "price 'cheap' is not a number"),
    "price with an underscore": (NEW.replace("95.7", "9_5.7"), "price '9_5.7'"),
    "price in other digits": (NEW.replace("95.7", "\u0669\u0665.\u0667"), "price '\u0669\u0665"),
    "price spaced": (NEW.replace("95.7", " 95.7"), "price ' 95.7'"),
    "quantity with an underscore": (NEW.replace(";10;", ";1_0;"), "qty '1_0'"),
    "id with an underscore": (NEW.replace(";1;", ";1_1;"), "uid '1_1'"),
    "id in other digits": (NEW.replace(";1;", ";\u0661;"), "uid '\u0661'"),
    "price missing": (NEW.replace("95.7", ""), "price '' is not a number"),
    "price not finite": (NEW.replace("95.7", "NaN"), "price 'NaN' is not a number"),
    "price beyond 64 bits": (NEW.replace("95.7", "9e30"), "beyond 64 bits"),
    "price of a great exponent": (NEW.replace("95.7", "1e99999"), "too large or too fine"),
    "kind unknown": (NEW.replace("new", "amend"), "unknown ordtype or is_buy 'amend'"),
    "kind missing": (NEW.replace("new", ""), "unknown ordtype or is_buy ''"),
    "side unknown": (NEW.replace("True", "maybe"), "unknown ordtype or is_buy 'maybe'"),
    "time no time": (NEW.replace(AT, "yesterday"), "'yesterday' is not a time like 2019"),
    "time missing": (NEW.replace(AT, ""), "'' is not a time like 2019"),
    "time of no such day": (NEW.replace("-05-21", "-02-30"), "2019-02-30 .*day"),
    "time of no such second": (NEW.replace("00.123456", "61"), "09:00:61'.*second"),
    "time of no such zone": (NEW.replace(AT, f"{AT}+24:00"), r"\+24:00'.*offset"),
    "time of the hour 24": (NEW.replace("09:00", "24:00"), "is not a time like"),
    "time without seconds": (NEW.replace(AT, "2019-05-21 09:00"), "is not a time like"),
    "time in other digits": (NEW.replace("2019", "201\u0669"), "is not a time like"),
    "time with digits beyond microseconds": (NEW.replace(AT, f"{AT}7"), "is not a time like"),
    "time beyond 64 bits": (NEW.replace("2019", "9999"), "beyond 64 bits of nanoseconds"),
    "time zero": (NEW.replace(AT, "1970-01-01 01:00:00"), "is 0, which means: no time"),
    "time that clocks skip": (NEW.replace(AT, "2019-03-31 02:30:00"), "does not exist in Europe/M"),
    "time that comes twice": (NEW.replace(AT, "2019-10-27 02:30:00"), "comes twice in Europe/Mad"),
    "time zero of a zone": (NEW.replace(AT, "1970-01-01 01:00:00+01:00"), "is 0, which means"),
    "a cancel without quantity": (f"cancel;1;True;;95.7;{AT}", "qty ''"),
    "a reduction by nothing": (f"modif;1;True;0;95.7;{AT}", "qty '0'"),
    "a second header": (HEADER, "unknown ordtype"),
}


def refused(file: Path) -> ImportFormatError:
    with pytest.raises(ImportFormatError) as caught:
        imported(file)
    assert caught.value.path == str(file)
    assert str(caught.value).startswith(f"{file}, line {caught.value.line}: ")
    return caught.value


@pytest.mark.parametrize("name", BAD_ROWS)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_wrong_row_is_named(tmp_path: Path, name: str, ending: str) -> None:
    row, what = BAD_ROWS[name]
    error = refused(written(tmp_path, lines(HEADER, NEW, row, NEW), NAME + ending))
    assert error.line == 3
    with pytest.raises(ImportFormatError, match=what):
        raise error


@pytest.mark.parametrize("header", [NEW, HEADER.upper(), f"{HEADER};x", f"\ufeff\ufeff{HEADER}",
                                    f" {HEADER}", ""])  # fmt: skip
def test_a_missing_or_other_header_is_line_one(tmp_path: Path, header: str) -> None:
    error = refused(written(tmp_path, lines(header, NEW)))
    assert error.line == 1 and error.what == f"the header is {shown(header)!r}, not {HEADER!r}"


def shown(header: str) -> str:
    """One byte-order mark is no part of the text."""
    return header.removeprefix("\ufeff")


@pytest.mark.parametrize("name", [NAME, f"{NAME}.gz"])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, name: str) -> None:
    error = refused(written(tmp_path, b"", name))
    assert (error.line, error.what) == (1, "the file is empty")


def test_bytes_that_are_no_text_are_named_by_line(tmp_path: Path) -> None:
    error = refused(written(tmp_path, lines(HEADER, NEW) + b"new;2;Tr\xffe;1;95.7;x\n"))
    assert (error.line, error.what) == (3, "not UTF-8 text")


def test_a_line_of_endless_length_is_not_read_to_its_end(tmp_path: Path) -> None:
    error = refused(written(tmp_path, lines(HEADER, NEW) + b"new;" + b"9" * 100_000))
    assert (error.line, error.what) == (3, "over 256 bytes long")


def test_the_longest_line_is_one_of_256_bytes(tmp_path: Path) -> None:
    wide = NEW.replace("95.7", "95.70")
    zeros = "0" * (256 - len(wide) - 1)
    row = NEW.replace("95.7", f"95.70{zeros}")
    assert "digits" in refused(written(tmp_path, lines(HEADER, row))).what  # read, then judged
    assert "over 256" in refused(written(tmp_path, lines(HEADER, f"{row}0"))).what


def test_a_plain_file_named_gz_is_broken_gzip(tmp_path: Path) -> None:
    file = tmp_path / f"{NAME}.gz"
    file.write_bytes(lines(HEADER, NEW))
    error = refused(file)
    assert error.line == 1 and "broken gzip" in error.what


def test_a_gzip_cut_anywhere_is_broken(tmp_path: Path) -> None:
    rows = [NEW.replace(";1;", f";{uid};") for uid in range(1, 40)]
    whole = gzip.compress(lines(HEADER, *rows), mtime=0)
    file = tmp_path / f"{NAME}.gz"
    for size in range(1, len(whole)):
        file.write_bytes(whole[:size])
        error = refused(file)
        assert "broken gzip" in error.what
        assert 1 <= error.line <= len(rows) + 2


def test_a_gzip_with_a_changed_byte_is_broken_or_the_same(tmp_path: Path) -> None:
    rows = [NEW.replace(";1;", f";{uid};") for uid in range(1, 40)]
    file = written(tmp_path, lines(HEADER, *rows), f"{NAME}.gz")
    whole, wanted = file.read_bytes(), imported(file).tobytes()
    broken = 0
    for at in range(len(whole)):
        data = bytearray(whole)
        data[at] ^= 0x55
        file.write_bytes(data)
        try:
            assert imported(file).tobytes() == wanted
        except ImportFormatError as error:
            assert error.path == str(file)
            broken += 1
    assert broken > len(whole) - 12  # all but what a header may say of time and system


@pytest.mark.parametrize("name", ["day.csv", "orders-.csv", f"orders-{'x' * 25}-1.csv"])
def test_a_name_without_a_symbol_asks_for_one(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, lines(HEADER, NEW), name)
    with pytest.raises(ImportFormatError, match="give a symbol"):
        Bme().instruments(file)
    assert len(imported(file, symbol="ANA")) == 1


def test_another_tick_makes_the_price_a_wrong_one(tmp_path: Path) -> None:
    file = written(tmp_path, lines(HEADER, NEW))
    assert imported(file, mc.Instrument("ANA", "0.1"))["price"].tolist() == [957]
    with pytest.raises(ImportFormatError, match=r"line 2: .*tick of 0\.25.*another tick"):
        imported(file, mc.Instrument("ANA", "0.25"))


def test_a_row_behind_a_full_chunk_is_still_checked(tmp_path: Path) -> None:
    rows = [NEW.replace(";1;", f";{uid};") for uid in range(1, 21)]
    file = written(tmp_path, lines(HEADER, *rows, "nonsense"))
    with pytest.raises(ImportFormatError, match="line 22"):
        imported(file, chunk=10)


@pytest.mark.parametrize("quantity", ["ten", "", "0", "-1", str(2**63)])
def test_quantities_name_a_wrong_row_too(tmp_path: Path, quantity: str) -> None:
    file = written(tmp_path, lines(HEADER, NEW, NEW.replace(";10;", f";{quantity};")))
    with pytest.raises(ImportFormatError, match=f"line 3: qty '{quantity}'") as caught:
        quantities(file)
    assert (caught.value.path, caught.value.line) == (str(file), 3)
