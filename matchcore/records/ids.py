"""Client order ids as text: a pair of 64-bit words stands for each text, and a text for each pair.

A command has two words for the id that its client gave it: ``client_order_id``, which the repeat
window compares, and ``client_order_tail``, which only travels along.

- A decimal number without leading zeros, from 1 to 2^63 - 1, is that number; the tail is 0.
- Any other text of 1 to 20 characters of `ALPHABET` (81 characters: letters, digits and
  ``!#$%&()*+,-./:;=@_~``) is a number of up to 127 bits.  Its upper 64 bits, plus 1, are the tail.
  Its lower 63 bits are shuffled and have bit 63 set, so that texts that differ in little have ids
  that differ in much.  Two texts of one account have the same id with the odds of 1 in 2^63.
- A pair that no such text stands for is written as two decimal numbers with a bar, ``id|tail``.

So `text_of` has a text for every pair, `id_of` has the pair of every such text, and each undoes
the other.  (0, 0) is no id; its text is empty.
"""

from __future__ import annotations

from ._ids import ALPHABET, TEXT_MAX, id_of, text_of

__all__ = ["ALPHABET", "TEXT_MAX", "id_of", "text_of"]
