"""`matchcore sign` and `check-signature`, also against the openssl program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cli_kit import run, run_json, without

pytest.importorskip("tongsuopy", reason="tongsuopy is not installed (extra gm-sign)")
if shutil.which("openssl") is None:
    pytest.skip("the program openssl is not installed", allow_module_level=True)

SM2_ID = ("-pkeyopt", "distid:1234567812345678")


def openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def place(tmp_path: Path) -> Path:
    key = str(tmp_path / "key.pem")
    openssl("ecparam", "-name", "SM2", "-genkey", "-noout", "-out", key)
    openssl("pkey", "-in", key, "-pubout", "-out", str(tmp_path / "pub.pem"))
    (tmp_path / "day.csv").write_bytes(b"sequence,price\n1,95.70\n")
    return tmp_path


def test_a_signature_fits_its_file_here_and_for_openssl(place: Path) -> None:
    day, signature = place / "day.csv", place / "day.csv.sm2"
    code, said = run_json("sign", day, "--key", place / "key.pem")
    assert (code, said) == (0, {"signatures": [str(signature)]})
    code, said = run_json("check-signature", day, "--public-key", place / "pub.pem")
    assert (code, said) == (0, {"files": [{"file": str(day), "signature": "good"}]})
    assert "Successfully" in openssl(
        "pkeyutl", "-verify", "-pubin", "-inkey", str(place / "pub.pem"), "-rawin", "-in", str(day),
        "-digest", "sm3", "-sigfile", str(signature), *SM2_ID,
    )  # fmt: skip


def test_what_openssl_signs_is_good_here(place: Path) -> None:
    day = place / "day.csv"
    openssl("pkeyutl", "-sign", "-inkey", str(place / "key.pem"), "-rawin", "-in", str(day),
            "-digest", "sm3", "-out", str(place / "day.csv.sm2"), *SM2_ID)  # fmt: skip
    assert run("check-signature", day, "--public-key", place / "pub.pem").exit_code == 0


@pytest.mark.parametrize("change", ["file", "signature", "missing", "huge"])
def test_what_does_not_fit_is_said_and_fails(place: Path, change: str) -> None:
    day, signature = place / "day.csv", place / "day.csv.sm2"
    assert run("sign", day, "--key", place / "key.pem").exit_code == 0
    if change == "file":
        day.write_bytes(day.read_bytes() + b"2,95.75\n")
    elif change == "missing":
        signature.unlink()
    else:
        signature.write_bytes(bytes(70) if change == "signature" else bytes(5000))
    done = run("check-signature", day, "--public-key", place / "pub.pem")
    assert done.exit_code == 1
    assert ("missing" if change == "missing" else "wrong") in done.output


def test_keys_of_another_kind_are_named(place: Path) -> None:
    other = place / "other.pem"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(other))
    for key, said in ((other, "another kind than SM2"), (place / "day.csv", "no PEM")):
        done = run("sign", place / "day.csv", "--key", key)
        assert done.exit_code == 2 and said in done.stderr


def test_the_extra_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "tongsuopy")
    done = run("sign", place / "day.csv", "--key", place / "key.pem")
    assert done.exit_code == 2 and "matchcore[gm-sign]" in done.stderr
