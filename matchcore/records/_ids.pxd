# Client order ids as text, for compiled rooms; `ids.py` states the rule.
from libc.stdint cimport uint64_t

cdef extern from "records/_ids.h" nogil:
    enum:
        MC_TEXT_MAX
        MC_ID_TEXT_MAX
    const char* mc_id_characters
    size_t mc_text_of_id(char* out, uint64_t id, uint64_t tail) noexcept
    bint mc_id_of_text(const char* text, size_t length, uint64_t* id, uint64_t* tail) noexcept
