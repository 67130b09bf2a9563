# The kinds of commands that Python takes part in: instruments, the register, notices.
from .._book cimport Events
from ._machine cimport Machine
from .core.records cimport mc_command

cdef int take_aside(Machine machine, const mc_command* command, Events* events) except -1
