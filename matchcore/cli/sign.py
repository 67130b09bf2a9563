"""`matchcore sign` and `matchcore check-signature`: SM2 signatures of files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from .options import json_option
from .output import DAMAGED, failing_kindly, show, show_rows

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SUFFIX = ".sm2"
SIGNATURE_BYTES_MAX = 1024
GOOD = "good"


@click.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--key", required=True, type=_FILE, help="SM2 private key (PEM).")
@json_option
def sign(files: tuple[Path, ...], key: Path, as_json: bool) -> None:
    """Sign files with SM2; each signature goes into a file beside it.

    \b
    Example:  matchcore sign day.csv --key exchange.key     (writes day.csv.sm2)
    """
    from ..journal.crypto.sm2 import Signer, file_bytes

    with failing_kindly(as_json):
        signer = Signer(key)
        made = []
        for path in files:
            signature = path.with_name(path.name + SUFFIX)
            signature.write_bytes(signer.sign(file_bytes(path)))
            made.append(str(signature))
    show({"signatures": made}, as_json, title="Signed")


@click.command(name="check-signature")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--public-key", required=True, type=_FILE, help="SM2 public key (PEM).")
@json_option
def check_signature(files: tuple[Path, ...], public_key: Path, as_json: bool) -> None:
    """Check the SM2 signatures of files; exit code 1 if one does not fit.

    \b
    Example:  matchcore check-signature day.csv --public-key exchange.pub
    """
    from ..journal.crypto.sm2 import Verifier, file_bytes

    with failing_kindly(as_json):
        verifier = Verifier(public_key)
        found = [(str(path), _checked(path, verifier.fits, file_bytes)) for path in files]
    if as_json:
        show({"files": [{"file": path, "signature": said} for path, said in found]}, as_json)
    else:
        show_rows(("file", "signature"), found)
    if any(said != GOOD for _, said in found):
        sys.exit(DAMAGED)


def _checked(
    path: Path, fits: Callable[[bytes, bytes], bool], read: Callable[[Path], bytes]
) -> str:
    signature = path.with_name(path.name + SUFFIX)
    if not signature.exists():
        return "missing"
    is_small = signature.stat().st_size <= SIGNATURE_BYTES_MAX
    return GOOD if is_small and fits(read(path), signature.read_bytes()) else "wrong"
