"""A virtual environment for the peers, which are nobody's dependency otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PIP_TIMEOUT_S = 600


def make_environment(directory: Path) -> Path:
    """The Python of a virtual environment in a directory, made if it is not there."""
    python = directory / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    return python


def install(python: Path, requirement: str) -> str:
    """Installs one requirement; why it cannot be, in pip's words, or nothing."""
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            [*command, requirement], capture_output=True, text=True, timeout=PIP_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"pip did not end within {PIP_TIMEOUT_S} s"
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
    return (errors or [f"pip exit code {done.returncode}"])[-1] if done.returncode else ""
