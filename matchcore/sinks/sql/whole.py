"""A log from its first command on, also when its early segments lie in an archive."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...errors import LogDamaged, LogError
from ...journal import Place
from ...journal.notes import DROPPED, read_note
from ...journal.segments import named_sequence, segment_files


@contextmanager
def whole_log(path: Place, archives: Sequence[Path] = ()) -> Iterator[Place]:
    """A log with every segment: `path` itself, or one of links to its and archived files.

    Segments that a writer begins later are not in the latter.  `LogError` when segments
    before the first one are in none of them; the reader sees holes, and what is not of this log.
    """
    if not isinstance(path, Path):  # a replicated log keeps everything
        yield path
        return
    files = segment_files(path)
    if not files or named_sequence(files[0]) == 1:
        yield path
        return
    found = {file.name: file for place in archives for file in segment_files(place)}
    first = min(map(named_sequence, [*found.values(), files[0]]))
    if first > 1:
        raise LogError(_archived(path, first, bool(archives)))
    early = {name: file for name, file in found.items() if name < files[0].name}
    mine = {file.name: file for file in path.iterdir() if file.is_file() and file.suffix != ".mcs"}
    files_of = {**mine, **early}
    with tempfile.TemporaryDirectory(prefix="matchcore-log-") as links:
        for name, file in files_of.items():
            (Path(links) / name).symlink_to(file.absolute())
        try:
            yield Path(links)
        except LogDamaged as error:
            real = files_of.get(Path(error.path).name, path)
            raise LogDamaged(error.what, str(real), error.offset, error.sequence) from None


def _archived(path: Path, first: int, given: bool) -> str:
    """What is to be done about a log that begins late."""
    says = f"{path}: the log begins with sequence {first}, the segments before it are archived"
    says += " and not in the archive named" if given else ""
    places = [place for _, last, place in read_note(path) if last < first]
    if DROPPED in places:
        return (
            f"{says} {DROPPED}.  A comparison needs every command, so this database can no"
            " longer be compared or made again: keep it, and a backup of it"
        )
    known = f" (it says {', '.join(dict.fromkeys(places))})" if places else ""
    return (
        f"{says}: name their directory{known} with --archive, or copy them back;"
        " a comparison needs every command"
    )
