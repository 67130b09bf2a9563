"""Reports in a file, by stream: appended in any mixture, read by number.

A stream has extents of 8, 16, 32, … records, so that where a number lies follows from the number.
Extents are given out as streams grow and stay sparse until they are written.  The same appends
give the same file.  Records wait in one buffer, and those of a stream are written together.
"""
import os

import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport EINTR, errno
from libc.stdlib cimport free, malloc, realloc

from ..machine.core.records cimport mc_report, mc_unlikely, u32, u64
from .core.pool cimport Pool, pool_at, pool_drop, pool_init, pool_take
from .core.table cimport (TABLE_MIN, Table, table_drop, table_hash, table_init, table_put)

from ..errors import ReportsError
from ..records.commands import joined
from ..records.reports import REPORT

cdef extern from "<unistd.h>" nogil:
    ssize_t pwrite(int file, const void* data, size_t size, long offset)
    ssize_t pread(int file, void* data, size_t size, long offset)

cdef extern from * nogil:
    """
    #define extent_of(place) ((uint32_t)(60 - __builtin_clzll((place) + 8)))
    """
    u32 extent_of(u64 place)    # 0 for places 0 to 7, 1 for 8 to 23, 2 for 24 to 55, …

cdef enum:
    EXTENT_MIN = 8              # records
    WAITING = 4096              # records in the buffer
    SIZE = 168

cdef struct Stream:
    u64 key
    u64 count
    u64* extents                # where each begins, in records
    u32 hash
    u32 first, last             # of those that wait, in the buffer; from 1, 0: none waits
    u32 waiting

assert sizeof(mc_report) == SIZE == REPORT.itemsize


cdef class Spool:
    """Streams of reports in the file ``file``, a descriptor that it then owns.  One thread at a time.

    Once the system has refused to write, everything else is refused as well.
    A stream has a number of 64 bits and its records in the order in which they came.
    """
    cdef int file
    cdef Pool all
    cdef Table table
    cdef u64 given              # to extents, in records
    cdef mc_report* buffer      # what waits
    cdef u32* next              # of what waits: the next of the same stream
    cdef u32 count
    cdef u32* writing           # streams of which something waits
    cdef u32 streams_waiting
    cdef mc_report* run         # of one stream
    cdef int wrong              # what ended its use

    def __cinit__(self, int file):
        self.file = file
        pool_init(&self.all, sizeof(Stream))
        self.buffer = <mc_report*>malloc(WAITING * SIZE)
        self.run = <mc_report*>malloc(WAITING * SIZE)
        self.next = <u32*>malloc((WAITING + 1) * sizeof(u32))
        self.writing = <u32*>malloc(WAITING * sizeof(u32))
        if (self.buffer == NULL or self.run == NULL or self.next == NULL or self.writing == NULL
                or not table_init(&self.table, TABLE_MIN)):
            raise MemoryError("reports: no memory for a spool")

    def __dealloc__(self):
        cdef u32 number
        for number in range(1, self.all.used):
            free((<Stream*>pool_at(&self.all, number)).extents)
        pool_drop(&self.all)
        if self.table.entries != NULL:
            table_drop(&self.table)
        free(self.buffer)
        free(self.run)
        free(self.next)
        free(self.writing)

    def close(self):
        """Closes the file; what waits is dropped.  Again: nothing."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def append(self, reports, streams):
        """Appends each of ``reports``, a `REPORT` array, to its stream of ``streams``, a u64 array.

        `ReportsError` if the system refuses the file.  O(1) a report.
        """
        cdef Py_buffer rows, keys
        cdef size_t count = len(reports), i
        cdef int fine = 0
        if getattr(reports, "dtype", None) != REPORT or reports.ndim != 1:
            raise TypeError("reports: a 1-D array of matchcore.REPORT")
        streams = np.ascontiguousarray(streams, np.uint64)
        if streams.shape != reports.shape:
            raise ValueError("streams: one for each report")
        if not reports.flags.c_contiguous:
            reports = joined([reports])
        PyObject_GetBuffer(reports, &rows, PyBUF_SIMPLE)
        PyObject_GetBuffer(streams, &keys, PyBUF_SIMPLE)
        with nogil:
            for i in range(count):
                fine = self.put((<const u64*>keys.buf)[i], &(<const mc_report*>rows.buf)[i])
                if fine != 0:
                    break
        PyBuffer_Release(&keys)
        PyBuffer_Release(&rows)
        if fine:
            raise refused(fine, "written")

    cdef int put(self, u64 key, const mc_report* report) noexcept nogil:
        """0, or what was wrong: an error number, or -1 without memory."""
        cdef u32 hash = table_hash(0, key, 0)
        cdef u32 number, extent
        cdef Stream* stream
        cdef void* grown
        cdef int wrong
        if self.count == WAITING:
            wrong = self.write_all()
            if wrong:
                return wrong
        number = self.find(key, hash)
        if mc_unlikely(number == 0):
            number = pool_take(&self.all)
            if number == 0 or not table_put(&self.table, hash, number):
                return -1
            stream = <Stream*>pool_at(&self.all, number)
            stream.key, stream.hash = key, hash
        stream = <Stream*>pool_at(&self.all, number)
        extent = extent_of(stream.count)
        if stream.count + EXTENT_MIN == <u64>EXTENT_MIN << extent:      # the first of an extent
            if extent & (extent - 1) == 0:
                grown = realloc(stream.extents, (2 * extent + 1) * sizeof(u64))
                if grown == NULL:
                    return -1
                stream.extents = <u64*>grown
            stream.extents[extent] = self.given
            self.given += <u64>EXTENT_MIN << extent
        self.buffer[self.count] = report[0]
        self.count += 1
        stream.count += 1
        if stream.waiting:
            self.next[stream.last] = self.count
        else:
            stream.first = self.count
            self.writing[self.streams_waiting] = number
            self.streams_waiting += 1
        stream.last = self.count
        stream.waiting += 1
        return 0

    cdef u32 find(self, u64 key, u32 hash) noexcept nogil:
        """The place of a stream among all; 0: there is none."""
        cdef u64 at = hash & self.table.mask
        cdef u32 number
        while True:
            number = self.table.entries[at].index
            if number == 0 or (<Stream*>pool_at(&self.all, number)).key == key:
                return number
            at = (at + 1) & self.table.mask

    cdef Stream* stream_of(self, u64 key) noexcept nogil:
        """NULL: there is none."""
        cdef u32 number = self.find(key, table_hash(0, key, 0))
        return <Stream*>pool_at(&self.all, number) if number else NULL

    def flush(self):
        """Writes what waits; `ReportsError` if the system refuses it."""
        cdef int wrong
        with nogil:
            wrong = self.write_all()
        if wrong:
            raise refused(wrong, "written")

    def sync(self):
        """As `flush`, and to the disk."""
        self.flush()
        os.fdatasync(self.file)

    cdef int write_all(self) noexcept nogil:
        """0, or an error number: from then on always that one."""
        cdef u32 number
        while self.streams_waiting and self.wrong == 0:
            number = self.writing[self.streams_waiting - 1]
            self.wrong = self.write_stream(<Stream*>pool_at(&self.all, number))
            self.streams_waiting -= self.wrong == 0
        if self.wrong == 0:
            self.count = 0
        return self.wrong

    cdef int write_stream(self, Stream* stream) noexcept nogil:
        """What waits of one, extent by extent."""
        cdef u64 at = stream.count - stream.waiting
        cdef u64 room
        cdef u32 count, i
        cdef int wrong
        while stream.waiting:
            room = left_of_extent(at)
            count = stream.waiting if stream.waiting < room else <u32>room
            for i in range(count):
                self.run[i] = self.buffer[stream.first - 1]
                stream.first = self.next[stream.first]
            wrong = move(self.file, self.run, <size_t>count * SIZE, place_of(stream, at) * SIZE, True)
            if wrong:
                return wrong
            at += count
            stream.waiting -= count
        return 0

    def count_of(self, u64 stream):
        """How many reports a stream has.  O(1)."""
        cdef Stream* found = self.stream_of(stream)
        return 0 if found == NULL else found.count

    def streams(self):
        """The numbers of all streams, in the order in which they began."""
        return [(<Stream*>pool_at(&self.all, number)).key
                for number in range(1, self.all.used)]

    def read(self, u64 stream, first, count):
        """At most ``count`` reports of a stream from the ``first``-th on, counted from 1.

        A new `REPORT` array, empty behind the last.  `ReportsError` if the file cannot be read.
        O(count).
        """
        cdef Stream* found = self.stream_of(stream)
        cdef Py_buffer made
        cdef u64 have = 0 if found == NULL else found.count
        cdef u64 at = min(max(first, 1) - 1, have)
        cdef u64 wanted = min(max(count, 0), have - at)
        cdef u64 step
        cdef mc_report* target
        cdef int wrong = 0
        rows = np.empty(wanted, REPORT)
        if wanted == 0:
            return rows
        self.flush()
        PyObject_GetBuffer(rows, &made, PyBUF_WRITABLE)
        target = <mc_report*>made.buf
        with nogil:
            while wanted and wrong == 0:
                step = min(wanted, left_of_extent(at))
                wrong = move(self.file, target, step * SIZE, place_of(found, at) * SIZE, False)
                target += step
                at += step
                wanted -= step
        PyBuffer_Release(&made)
        if wrong:
            raise refused(wrong, "read")
        return rows

    # ------------------------------------------------------------------ to go on later

    def state(self):
        """All streams as a u64 array: ``given``, then for each its number, count and extents."""
        cdef u32 number, i
        cdef Stream* stream
        words = [self.given]
        for number in range(1, self.all.used):
            stream = <Stream*>pool_at(&self.all, number)
            words += [stream.key, stream.count]
            words += [stream.extents[i] for i in range(extent_of(stream.count - 1) + 1)]
        return np.array(words, np.uint64)

    def restore(self, state):
        """Goes on from what `state` gave; for an empty spool."""
        cdef u32 number, i, extents
        cdef Stream* stream
        cdef size_t at = 1
        words = state.tolist()
        while at < len(words):
            number = pool_take(&self.all)
            if number == 0:
                raise MemoryError("reports: no memory for a spool")
            stream = <Stream*>pool_at(&self.all, number)
            stream.key, stream.count = words[at], words[at + 1]
            stream.hash = table_hash(0, stream.key, 0)
            extents = extent_of(stream.count - 1) + 1
            stream.extents = <u64*>malloc((2 * extents + 1) * sizeof(u64))
            if stream.extents == NULL or not table_put(&self.table, stream.hash, number):
                raise MemoryError("reports: no memory for a spool")
            for i in range(extents):
                stream.extents[i] = words[at + 2 + i]
            at += 2 + extents
        self.given = words[0]


cdef u64 place_of(const Stream* stream, u64 at) noexcept nogil:
    """Where the report behind `at` others lies, in records."""
    cdef u32 extent = extent_of(at)
    return stream.extents[extent] + at + EXTENT_MIN - (<u64>EXTENT_MIN << extent)


cdef u64 left_of_extent(u64 at) noexcept nogil:
    """How many reports from there on lie one behind the other."""
    return (<u64>EXTENT_MIN << (extent_of(at) + 1)) - EXTENT_MIN - at


cdef int move(int file, void* data, size_t size, u64 offset, bint out) noexcept nogil:
    """Writes, or reads, all of it: 0, or an error number; -2 if the file ends before."""
    cdef ssize_t moved
    while size:
        moved = pwrite(file, data, size, offset) if out else pread(file, data, size, offset)
        if moved < 0:
            if errno == EINTR:
                continue
            return errno
        if moved == 0:
            return -2
        data = <char*>data + moved
        size -= moved
        offset += moved
    return 0


cdef object refused(int wrong, str verb):
    if wrong == -1:
        return MemoryError("reports: no memory for a spool")
    why = "the file is cut off" if wrong == -2 else os.strerror(wrong)
    return ReportsError(f"the spool of reports cannot be {verb}: {why}")
