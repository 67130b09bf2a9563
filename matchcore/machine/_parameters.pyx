"""The parameters of markets: SET_MARKET, and what follows from them."""
import numpy as np

from ._market cimport market_make
from .core.emit cimport emit_taker
from .core.records cimport *

from ..records.markets import MARKET_VALUE


cdef void market_defaults(Market* market) noexcept nogil:
    """The values of a market that nothing is set of."""


cdef void market_derive(Market* market) noexcept nogil:
    """What follows from the values: the price limits of today."""


cdef int set_market(Machine machine, const mc_command* command, Events* events) except -1:
    """SET_MARKET."""
    return 0


cdef object parameters_rows(Machine machine):
    """The values that are not as at first, a `MARKET_VALUE` array."""
    return np.empty(0, MARKET_VALUE)


cdef int parameters_restore(Machine machine, rows) except -1:
    """Sets the values of a state that is checked; the markets are there."""
    return 0
