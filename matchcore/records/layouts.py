"""Records of fixed size: what a layout in words means in NumPy, `struct` and C.

Only the standard library is imported, as `schema.py` needs it before anything is compiled.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

#: type -> (NumPy format, struct code, C type, bytes)
_TYPES = {
    "i64": ("<i8", "q", "int64_t", 8),
    "u64": ("<u8", "Q", "uint64_t", 8),
    "u32": ("<u4", "I", "uint32_t", 4),
    "u16": ("<u2", "H", "uint16_t", 2),
    "u8": ("u1", "B", "uint8_t", 1),
    "i8": ("i1", "b", "int8_t", 1),
    "text24": ("S24", "24s", "", 24),
    "data56": ("V56", "56s", "", 56),
}


@dataclass(frozen=True, slots=True)
class Record:
    """A record of fixed size: its fields in order, each a name and a type.

    A field named ``-N`` is N bytes that belong to nobody: zero where a record is made.
    """

    name: str
    c_name: str  # of the C struct; "" without one
    size: int
    layout: str

    def fields(self) -> list[tuple[str, str, int]]:
        """(name, type, offset in bytes) of each field."""
        found, offset = [], 0
        for item in self.layout.split():
            name, _, kind = item.partition(":")
            if kind:
                found.append((name, kind, offset))
            offset += _TYPES[kind][3] if kind else int(name[1:])
        assert offset == self.size, f"{self.name}: {offset} bytes, not {self.size}"
        return found

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in self.fields())

    def dtype_spec(self) -> Any:
        """What `numpy.dtype` takes."""
        fields = self.fields()
        return {
            "names": [name for name, _, _ in fields],
            "formats": [_TYPES[kind][0] for _, kind, _ in fields],
            "offsets": [offset for _, _, offset in fields],
            "itemsize": self.size,
        }

    def packer(self, *names: str) -> struct.Struct:
        """Packs the named fields, which are given in the record's order; all others are zero.

        Without names: all of them.
        """
        wanted, parts, at = list(names or self.names), ["<"], 0
        for name, kind, offset in self.fields():
            size = _TYPES[kind][3]
            given = bool(wanted) and wanted[0] == name
            parts.append(f"{offset - at}x" + (_TYPES[kind][1] if given else f"{size}x"))
            at = offset + size
            if given:
                del wanted[0]
        assert not wanted, f"{self.name}: {wanted[0]} is no field, or not in the record's order"
        return struct.Struct("".join(parts) + f"{self.size - at}x")

    def c_fields(self) -> list[tuple[str, list[str]]]:
        """Runs of fields of one C type, in order."""
        runs: list[tuple[str, list[str]]] = []
        for name, kind, _ in self.fields():
            if not runs or runs[-1][0] != kind:
                runs.append((kind, []))
            runs[-1][1].append(name)
        return runs


def c_type(kind: str) -> str:
    """The C type of a field's type; "" for text."""
    return _TYPES[kind][2]


def byte_size(kind: str) -> int:
    """How many bytes a field of this type has."""
    return _TYPES[kind][3]
