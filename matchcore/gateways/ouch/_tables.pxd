# The tables of `layout` and `names`, as the codec has them.
from libc.string cimport memset

from ...machine.core.records cimport u8
from ._answers cimport Answers
from ._texts cimport FORMS


cdef inline int fill_answers(Answers* answers, layout, names) except -1:
    """`layout`, `names`: the modules."""
    cdef int i, form
    memset(answers, 0, sizeof(Answers))
    for form in range(FORMS):
        alphabet, longest = names.FORMS[form]
        answers.forms[form].base, answers.forms[form].longest = len(alphabet), longest
        answers.forms[form].count = names.COUNTS[form]
        for i, letter in enumerate(alphabet.encode()):
            answers.forms[form].digits[<u8>letter] = <u8>(i + 1)
            answers.forms[form].letters[i] = <u8>letter
    for i in range(256):
        answers.rejects[i] = layout.REJECTS.get(i, layout.OTHER)
        answers.replace_rejects[i] = layout.REPLACE_REJECTS.get(i, layout.NO_REPLACE)
        answers.cancels[i] = layout.CANCELS.get(i, b"Z")[0]
    return 0
