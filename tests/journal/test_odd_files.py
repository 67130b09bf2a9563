"""What else can have the name of a file: pipes, links, directories, sockets, devices.

Each kind in each place, for everything that opens an exchange.  Nothing hangs, nothing behind a
link is written to, and whatever is refused names the file and what it is.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from journal_kit import SMALL, closed_log, only_segment, orders

import matchcore as mc
from matchcore.engine.follower import Follower
from matchcore.engine.snapshotting import take
from matchcore.journal import FileLog, LogReader, identity_of, published, snapshots, verify
from matchcore.journal.crypto.keys import Keys
from matchcore.journal.format import FILE_BYTES_MAX, FrameHeader
from matchcore.journal.notes import read_note
from matchcore.journal.segments import segment_files
from matchcore.operations.archive import archive
from matchcore.operations.describe import book, describe
from matchcore.operations.repair import repair
from matchcore.operations.tail import lines
from matchcore.operations.verify import verify as verify_all

ONE = mc.Instrument("ONE", tick=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several segments, two snapshots, a note of an archive."""
    path = tmp_path_factory.mktemp("made") / "e"
    with mc.Engine.open(path, instruments=[ONE], segment_bytes=SMALL, policy="os") as engine:
        for _ in range(3):
            for at in range(50):
                engine.submit(mc.NewOrder("ONE", mc.Side.BUY, 1, 1 + at))
            engine.snapshot()
    archive(path, path.with_name("old"))
    assert len(segment_files(path)) > 2 and len(snapshots.listing(path)) == 3
    return path


@pytest.fixture
def exchange(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "e"))


def pipe(place: Path) -> None:
    os.mkfifo(place)


def directory(place: Path) -> None:
    place.mkdir()


def dangling(place: Path) -> None:
    place.symlink_to(place.with_name("nothing"))


def loop(place: Path) -> None:
    place.symlink_to(place.name)


def link(place: Path) -> None:
    """To a file of somebody else."""
    other = place.parent.parent / "theirs"
    other.write_bytes(b"Dear diary, " * 40)
    place.symlink_to(other)


def listening(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.getcwd()
        os.chdir(place.parent)  # a socket's path is short
        try:
            made.bind(place.name)
        finally:
            os.chdir(here)


def device(place: Path) -> None:
    try:
        os.mknod(place, 0o600 | 0o020000, os.makedev(1, 5))  # which gives zeros without an end
    except PermissionError:
        pytest.skip("no right to make a device")


class Sink:
    """Takes everything behind the oldest snapshot but one."""

    def position(self) -> mc.Position:
        return mc.Position(1, 102)

    def write(self, *given: object) -> None: ...

    def close(self) -> None: ...


def follow(path: Path) -> None:
    with Follower(path, Sink()) as follower:
        follower.run()


USES: dict[str, Callable[[Path], object]] = {
    "open": lambda path: mc.Engine.open(path).close(),
    "verify": lambda path: verify_all(path),
    "look": lambda path: mc.Engine.at(path),
    "info": describe,
    "book": lambda path: book(path, "ONE"),
    "tail": lambda path: list(lines(path, count=5)),
    "follow": follow,
    "snapshot": take,
    "archive": lambda path: archive(path, path.with_name("old"), keep_snapshots=1),
    "repair": lambda path: repair(path),
    "read": lambda path: list(LogReader(path, after=151).read()),
}
PLACES: dict[str, Callable[[Path], Path]] = {
    "first segment": lambda path: segment_files(path)[0],
    "last segment": lambda path: segment_files(path)[-1],
    "snapshot": lambda path: snapshots.listing(path)[0],
    "lock": lambda path: path / "lock",
    "snapshot-lock": lambda path: path / "snapshot-lock",
    "position": lambda path: path / "position",
    "archived.json": lambda path: path / "archived.json",
    "unborn segment": lambda path: path / "journal-00000000000000000999.unborn",
    "unborn snapshot": lambda path: path / "snapshot-00000000000000000151.unborn",
}
KINDS = [pipe, directory, dangling, loop, link, listening, device]
#: places that nobody needs: a hint, a note, and what a crash left
HARMLESS = {"position", "archived.json"}


@pytest.fixture(autouse=True)
def nothing_waits() -> Iterator[None]:
    """A use that hangs is ended by a signal, which fails the test."""
    import signal

    def late(*given: object) -> None:
        raise TimeoutError("it waits for somebody at the other end of a pipe")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("put", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_nothing_hangs_or_follows_and_errors_name_the_file(
    exchange: Path, place: str, put: Callable[[Path], None]
) -> None:
    for name, use in USES.items():
        fresh = Path(shutil.copytree(exchange, exchange.with_name(name)))
        odd = PLACES[place](fresh)
        odd.unlink(missing_ok=True)
        put(odd)
        theirs = fresh.with_name("theirs")
        before = theirs.read_bytes() if theirs.exists() else b""
        try:
            use(fresh)
        except mc.LogError as error:
            assert str(fresh) in str(error), (name, error)
            assert place not in HARMLESS or name == "archive", (name, error)
        assert not theirs.exists() or theirs.read_bytes() == before, name
        assert not (fresh / "nothing").exists(), name
        shutil.rmtree(fresh)


@pytest.mark.parametrize("put", KINDS)
@pytest.mark.parametrize(
    ("place", "said"),
    [("last segment", "where a segment should be"), ("lock", "not a file")],
)
def test_what_it_is_is_said(
    exchange: Path, place: str, said: str, put: Callable[[Path], None]
) -> None:
    odd = PLACES[place](exchange)
    odd.unlink()
    put(odd)
    wanted = {"dangling": "a symbolic link", "loop": "a symbolic link", "link": "a symbolic link",
              "pipe": "a named pipe", "listening": "a socket"}.get(
                  put.__name__, f"a {put.__name__}")  # fmt: skip
    with pytest.raises(mc.LogError) as caught:
        FileLog.open(exchange, after=151)
    if put is not link or place == "lock":  # a link to something else is read, and is no segment
        assert wanted in str(caught.value) and said in str(caught.value)
    assert str(odd) in str(caught.value)


def test_a_link_to_a_segment_is_read_and_never_written_to(exchange: Path, tmp_path: Path) -> None:
    files, digest = segment_files(exchange), mc.Engine.at(exchange).digest()
    for file in (files[0], files[-1]):
        moved = shutil.move(file, tmp_path / file.name)
        file.symlink_to(moved)
        assert verify(exchange).good and mc.Engine.at(exchange).digest() == digest
    before = (tmp_path / files[-1].name).read_bytes()
    with pytest.raises(mc.LogDamaged, match="a symbolic link where a segment should be"):
        mc.Engine.open(exchange)
    assert (tmp_path / files[-1].name).read_bytes() == before
    files[-1].unlink()
    shutil.move(tmp_path / files[-1].name, files[-1])
    with mc.Engine.open(exchange) as engine:  # all but the last are only read
        assert engine.digest() == digest


def test_the_exchange_itself_may_be_a_link(exchange: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(exchange)
    with mc.Engine.open(tmp_path / "link") as engine:
        engine.end_day()
    assert verify(tmp_path / "link").good


@pytest.mark.parametrize("what", ["cut", "overwritten", "replaced", "gone", "a directory"])
def test_whatever_happens_to_position_under_an_engine_hurts_nothing(
    tmp_path: Path, what: str
) -> None:
    position = tmp_path / "position"
    log = FileLog.open(tmp_path)
    log.append(orders(3), 1)
    log.sync()
    if what == "cut":
        os.truncate(position, 0)
    elif what == "overwritten":
        position.write_bytes(os.urandom(9000))
    else:
        position.unlink()
        if what == "replaced":
            position.write_bytes(b"mine")
        elif what == "a directory":
            position.mkdir()
    log._position.close()  # as some time later
    log.append(orders(2), 1)
    log.sync()
    assert what == "a directory" or published(tmp_path) == (5, 5, log.identity)
    log.close()
    FileLog.open(tmp_path).close()


# ------------------------------------------------------------------ sizes and numbers


def forged(file: Path, offset: int, form: str, value: int, head: int = 0) -> None:
    """Another value in a header, and its checksum made right again."""
    data = bytearray(file.read_bytes())
    struct.pack_into(form, data, head + offset, value)
    struct.pack_into("<I", data, head + 124, zlib.crc32(data[head : head + 124]))
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [(24, "<Q", 2**64 - 1), (24, "<Q", 2**63), (32, "<Q", 2**64 - 1), (8, "<I", 2**32 - 1),
     (12, "<I", 2**32 - 1)],
    ids=["epoch", "half", "sequence", "count", "payload"],
)  # fmt: skip
def test_a_frame_with_an_impossible_number_is_damage(
    tmp_path: Path, offset: int, form: str, value: int
) -> None:
    """Behind a chain that fits: whoever can write files can hash."""
    closed_log(tmp_path, [3])
    file = only_segment(tmp_path)
    forged(file, offset, form, value, head=128)
    data = bytearray(file.read_bytes())
    if offset == 24:
        header = FrameHeader(0, 3, 288, value, 1, 0, 1, bytes(32))
        chain = header.chain_after(bytes(32), bytes(data[256:544]))
        data[184:216] = chain
        file.write_bytes(data)
        forged(file, 24, "<Q", value, head=128)
    for use in (lambda: FileLog.open(tmp_path), lambda: list(LogReader(tmp_path).read())):
        with pytest.raises(mc.LogDamaged):
            use()
    assert not verify(tmp_path).good


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [(16, "<I", 2**32 - 1), (48, "<Q", 2**64 - 1), (40, "<Q", 2**64 - 1)],
    ids=["number", "epoch", "sequence"],
)
def test_a_segment_with_an_impossible_number_is_damage(
    tmp_path: Path, offset: int, form: str, value: int
) -> None:
    FileLog.open(tmp_path).close()
    forged(only_segment(tmp_path), offset, form, value)
    with pytest.raises(mc.LogDamaged):
        FileLog.open(tmp_path)
    assert not verify(tmp_path).good


@pytest.mark.parametrize(("size", "good"), [(1 << 29, True), (FILE_BYTES_MAX + 1, False)])
def test_a_segment_with_much_behind_its_end_takes_no_memory(
    tmp_path: Path, size: int, good: bool
) -> None:
    """One byte behind hundreds of megabytes of nothing is a torn write, as any such end."""
    closed_log(tmp_path, [3])
    with open(only_segment(tmp_path), "r+b") as hole:
        hole.seek(size - 1)
        hole.write(b"x")
    limited(
        tmp_path,
        "from matchcore.journal import FileLog, verify\n"
        f"assert verify(path).good is {good}\n"
        f"if {good}: FileLog.open(path).close()",
    )


@pytest.mark.parametrize("raw", [2**40, 255 * 10**6])
def test_a_snapshot_that_claims_to_be_huge_is_passed_over(exchange: Path, raw: int) -> None:
    file = snapshots.listing(exchange)[0]
    forged(file, 80, "<Q", raw)
    limited(
        exchange,
        "import matchcore as mc; engine = mc.Engine.open(path);"
        " assert len(engine.recovery.skipped) == 1, engine.recovery; engine.close()",
    )


def limited(path: Path, code: str) -> None:
    """Runs it in a process that may take little memory beyond what it has."""
    start = (
        "import resource, sys; from pathlib import Path; import matchcore, numpy\n"
        "path = Path(sys.argv[1])\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "most = pages * resource.getpagesize() + (256 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", start + code, str(path)], capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "note", [b"[" * 100_000, b'{"archived": [[Infinity, 1, "x"]]}', b'{"archived": 7}', b"\xff"]
)
def test_any_note_of_an_archive_is_read_without_harm(exchange: Path, note: bytes) -> None:
    (exchange / "archived.json").write_bytes(note)
    assert read_note(exchange) == []
    mc.Engine.open(exchange).close()


def test_a_pipe_for_keys_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys", 0o600)
    with pytest.raises(mc.KeyRefused, match="must be in a file"):
        Keys.from_file(tmp_path / "keys")


# ------------------------------------------------------------------ what the system refuses

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$0" -c "$2" "$1"'
REFUSED = """
import sys
import matchcore as mc
from matchcore.journal import verify
path = sys.argv[1]
try:
    mc.Engine.open(path)
    sys.exit("it opened")
except mc.LogFailed as error:
    assert f"Read-only file system: '{path}/lock'" in str(error), error
assert mc.Engine.at(path).sequence == 151 and verify(path).good
"""
FULL = 'mount -t tmpfs -o size=64k none "$1" && exec "$0" -c "$2" "$1"'
NO_ROOM = """
import os, sys
import matchcore as mc
path = sys.argv[1]
with open(path + "/ballast", "wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)): pass
    except OSError: pass
for name in ("e", "deep/e"):
    try:
        mc.Engine.open(f"{path}/{name}")
        sys.exit("it opened")
    except mc.LogFailed as error:
        assert "No space left on device" in str(error) and path in str(error), error
os.unlink(path + "/ballast")
with mc.Engine.open(path + "/e") as engine:
    engine.end_day()
assert not [name for name in os.listdir(path + "/e") if name.endswith(".unborn")]
"""
MOUNTS = subprocess.run(
    ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
)
mounting = pytest.mark.skipif(MOUNTS.returncode != 0, reason="no right to mount a file system")


def mounted(script: str, code: str, path: Path) -> None:
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, sys.executable, str(path), code],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@mounting
def test_a_read_only_mount_is_refused_with_path_and_reason(exchange: Path) -> None:
    mounted(READ_ONLY, REFUSED, exchange)


@mounting
def test_a_full_disk_at_opening_is_refused_with_path_and_reason(tmp_path: Path) -> None:
    mounted(FULL, NO_ROOM, tmp_path)


def test_a_limit_of_the_files_size_is_called_what_it_is(tmp_path: Path) -> None:
    """Both where a write is cut short, and where nothing of it is taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(mc.LogFailed, match=r"File too large: .*journal-"):
            FileLog.open(tmp_path / "first")
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
        log = FileLog.open(tmp_path / "log", policy="os")
        with pytest.raises(mc.LogFailed, match="File too large"):
            log.append(np.tile(orders(16, 1), 20), 1)
            for at in range(20):
                log.append(orders(16, at), 1)
        log.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert verify(tmp_path / "log").good and identity_of(tmp_path / "log")
