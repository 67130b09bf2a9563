# The calls of matchcore for Cython and C; docs/c-api.md has them with examples.
#
# None of them needs the GIL or raises.  One thread at a time in a machine; machines are apart.
from .machine._exchange cimport Exchange
from .machine._machine cimport Machine
from .machine.core.records cimport i64, mc_command, mc_event, mc_level, mc_order, u8, u32, u64

ctypedef Exchange mc_machine        # its fields are nobody's business

cdef enum:
    MC_API_VERSION = 2              # grows when a call or record changes or goes, not when one is added
    MC_ROOM_MIN = 4                 # the fewest events a buffer has room for

cdef enum mc_halt:                  # why mc_apply came back
    MC_DONE                         # all commands are taken
    MC_INSTRUMENT                   # the next command adds or changes an instrument
    MC_FULL                         # the buffer: call again with what was not taken and new room
    MC_NO_MEMORY                    # the next command was not begun

cdef u32 mc_version() noexcept nogil
cdef mc_machine* mc_create(u64 secret) noexcept nogil
cdef int mc_reserve(mc_machine* machine, size_t size) noexcept nogil
cdef void mc_free(mc_machine* machine) noexcept nogil
cdef mc_machine* mc_of(Machine machine)
cdef u32 mc_add_instrument(mc_machine* machine, i64 lot, i64 max_quantity, u64 max_orders) noexcept nogil
cdef mc_halt mc_apply(mc_machine* machine, const mc_command* commands, size_t count,
                      mc_event* events, size_t room, size_t* taken, size_t* written) noexcept nogil
cdef u64 mc_sequence(const mc_machine* machine) noexcept nogil
cdef int mc_best(const mc_machine* machine, u32 instrument, u8 side, i64* price) noexcept nogil
cdef i64 mc_quantity_at(mc_machine* machine, u32 instrument, u8 side, i64 price) noexcept nogil
