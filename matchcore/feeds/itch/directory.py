"""The messages that define an instrument: stock directory (R), and r for what it cannot say."""

from __future__ import annotations

import struct
from decimal import Decimal

from ...errors import FeedError, InvalidCommand, PriceError
from ...records.arguments import INT64_MAX
from ...records.instruments import Instrument

PRICE_DECIMALS = 4
UINT32_MAX = 2**32 - 1
LOCATE_MAX = 2**16 - 1
STOCK_BYTES = 8
DAY_NS = 86_400 * 10**9

_STANDARD = struct.Struct(">cHH6s8sccIcc2scccccIc")
_WIDE = struct.Struct(">cHH6sI24sqBqq")
#: a tick in the 16 bits of a tracking number: mantissa and, in the lowest three bits, decimals
_TICK_BITS = 3
_TICK_MANTISSA_MAX = 2**13 - 1


def price_scale(number: int, instrument: Instrument) -> int:
    """Units of 0.0001 in a tick; 0 if standard messages cannot carry the instrument's orders."""
    mantissa, exponent = instrument.tick_parts
    if number > LOCATE_MAX or len(instrument.symbol) > STOCK_BYTES or -exponent > PRICE_DECIMALS:
        return 0
    scale: int = mantissa * 10 ** (PRICE_DECIMALS + exponent)
    return scale if scale <= UINT32_MAX else 0


def definition(number: int, instrument: Instrument, time: int) -> bytes:
    """The message, without its length, that defines an instrument at ``time`` (nanoseconds)."""
    mantissa, exponent = instrument.tick_parts
    clock = (time % DAY_NS).to_bytes(6, "big")
    symbol = instrument.symbol.encode()
    if (
        price_scale(number, instrument)
        and mantissa <= _TICK_MANTISSA_MAX
        and instrument.lot <= UINT32_MAX
    ):
        tick = mantissa << _TICK_BITS | -exponent
        whole = b"Y" if instrument.lot > 1 else b"N"
        return _STANDARD.pack(
            b"R", number, tick, clock, symbol.ljust(STOCK_BYTES), b" ", b" ", instrument.lot, whole,
            b" ", b"Z ", b"P", b" ", b" ", b" ", b" ", 0, b"N",
        )  # fmt: skip
    locate = number if number <= LOCATE_MAX else 0
    return _WIDE.pack(
        b"r", locate, 0, clock, number, symbol.ljust(24), mantissa, -exponent, instrument.lot,
        instrument.max_quantity,
    )  # fmt: skip


def defined(message: bytes) -> tuple[int, Instrument]:
    """Number and parameters of the instrument that a message of type R or r defines.

    R does not say the largest quantity: it is 2^63 - 1 then.  `FeedError` for a message that no
    feed of matchcore sends.
    """
    try:
        if message[:1] == b"R":
            _, number, tick, _, symbol, _, _, lot, *_ = _STANDARD.unpack(message)
            mantissa, decimals = tick >> _TICK_BITS, tick & (1 << _TICK_BITS) - 1
            largest = INT64_MAX
        else:
            _, _, _, _, number, symbol, mantissa, decimals, lot, largest = _WIDE.unpack(message)
        step = Decimal(mantissa).scaleb(-decimals)
        return number, Instrument(symbol.rstrip(b" ").decode("ascii"), step, lot, largest)
    except (struct.error, UnicodeDecodeError, InvalidCommand, PriceError) as error:
        raise FeedError(
            f"a message of type {message[:1]!r} defines no instrument: {error}"
        ) from None
