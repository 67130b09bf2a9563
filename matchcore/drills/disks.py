"""Disks that lose what was not synced, or are full: a file system for each server.  Needs root.

SIGKILL proves nothing about disks, since the system keeps what a process has written.  Each server
writes into an ext4 file system inside a file, mounted through a loop device.  At a power cut that
file is copied as it is, and the server goes on with the copy: what the file system still held in
memory is not there.  A disk is full when a file of nothing has taken what was free.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .._closing import Closing
from ..errors import LogFailed
from . import LeftOut
from .programs import needs, run

MEBIBYTES = 512
WHAT = "power cuts and full disks"
FILLER = "filler"
STEP_BYTES = 1 << 24, 1 << 20, 1 << 12  # of what it takes, while there is so much


class Disks(Closing):
    """A file system, mounted at each of these folders; `LeftOut` where that is not permitted."""

    def __init__(self, folders: Sequence[Path]) -> None:
        needs(WHAT, {"mkfs.ext4": "e2fsprogs", "mount": "mount"})
        self._folders = list(folders)
        try:
            for folder in self._folders:
                folder.mkdir(parents=True, exist_ok=True)
                image = self._image(folder)
                with image.open("wb") as file:
                    file.truncate(MEBIBYTES << 20)
                run("mkfs.ext4", "-q", str(image))
                run("mount", "-o", "loop", str(image), str(folder))
        except (LogFailed, OSError, subprocess.TimeoutExpired) as error:
            self.close()
            raise LeftOut(f"{WHAT}: {error}") from None

    @staticmethod
    def _image(folder: Path) -> Path:
        return folder.with_suffix(".img")

    def fill(self, at: int) -> None:
        """Nothing is free on one of them until `empty`."""
        with (self._folders[at] / FILLER).open("wb") as file:
            size = 0
            for step in STEP_BYTES:
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), size, step)
                        size += step

    def empty(self, at: int) -> None:
        """As it was."""
        (self._folders[at] / FILLER).unlink(missing_ok=True)

    def freeze(self) -> list[Path]:
        """Copies each disk as it is; nobody may write meanwhile."""
        copies = []
        for folder in self._folders:
            image = self._image(folder)
            copy = image.with_suffix(".copy")
            run("cp", "--sparse=always", str(image), str(copy))
            copies.append(copy)
        return copies

    def restore(self, copies: Sequence[Path]) -> None:
        """Puts copies in the place of the disks; nobody may use these any more."""
        for folder, copy in zip(self._folders, copies, strict=True):
            run("umount", str(folder))
            copy.replace(self._image(folder))
            run("mount", "-o", "loop", str(self._image(folder)), str(folder))

    def close(self) -> None:
        """Unmounts and removes all."""
        for folder in self._folders:
            with suppress(LogFailed, OSError):
                run("umount", str(folder))
            self._image(folder).unlink(missing_ok=True)
