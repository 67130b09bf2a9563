"""The vocabulary: layouts and codes (`schema`), typed commands and events, instruments, times."""

from __future__ import annotations

from .codec import encode, encode_all
from .commands import COMMAND, INSTRUMENT, LEVEL, ORDER
from .events import EVENT, fresh
from .instruments import Directory, Instrument, price_text
from .times import nanoseconds, parse, text_of
from .typed import as_plain, decode, decode_event

__all__ = [
    "COMMAND",
    "EVENT",
    "INSTRUMENT",
    "LEVEL",
    "ORDER",
    "Directory",
    "Instrument",
    "as_plain",
    "decode",
    "decode_event",
    "encode",
    "encode_all",
    "fresh",
    "nanoseconds",
    "parse",
    "price_text",
    "text_of",
]
