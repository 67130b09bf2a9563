"""Programs of the system that drills on networks and disks need."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from ..errors import LogFailed
from . import LeftOut

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
SECONDS_MAX = 60.0


def find(name: str) -> str:
    """Where a program is; its name if it is nowhere."""
    return shutil.which(name, path=PATH) or name


def needs(what: str, programs: Mapping[str, str], *, root: bool = True) -> None:
    """`LeftOut` without root, or without one of these programs; each has its Debian package."""
    if root and os.geteuid() != 0:
        raise LeftOut(f"{what}: needs root")
    missing = [name for name in programs if shutil.which(name, path=PATH) is None]
    if missing:
        packages = " ".join(sorted({programs[name] for name in missing}))
        raise LeftOut(f"{what}: no {', '.join(missing)} here (apt-get install {packages})")


def run(name: str, *arguments: str, said: str | None = None) -> None:
    """Runs a program to its end; `LogFailed` with what it had to say if it fails."""
    done = subprocess.run(
        [find(name), *arguments], input=said, capture_output=True, text=True, timeout=SECONDS_MAX
    )
    if done.returncode:
        raise LogFailed(f"{name} {' '.join(arguments)}: {done.stderr.strip() or done.returncode}")
