"""Client order ids as text: the compiled form beside the rule in plain Python."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchcore import InvalidCommand
from matchcore.records.ids import ALPHABET, TEXT_MAX, id_of, text_of

TOP, WORD = 2**63, 2**64 - 1
LARGEST = sum(81**length for length in range(1, 21)) - 1  # number of the last text
words = st.integers(0, WORD) | st.sampled_from([0, 1, TOP - 1, TOP, WORD])
texts = st.text(ALPHABET, min_size=1, max_size=20) | st.text(string.digits, min_size=1, max_size=20)


def number_of(text: str) -> int:
    number = 0
    for character in text:
        number = number * 81 + ALPHABET.index(character) + 1
    return number - 1


def shuffle(lower: int, upper: int) -> int:
    """The lower 63 bits as the upper ones shuffle them."""
    upper = upper * 0xE1454C40C439F34B & WORD
    upper ^= upper >> 32
    upper = upper * 0xA6B563B1E794EE15 & WORD
    x = (lower + (upper ^ upper >> 29)) % TOP
    x ^= x >> 31
    x = x * 0x5C84B502E7D80069 % TOP
    x ^= x >> 29
    x = x * 0x64B1E7F0AFAE5A3B % TOP
    return x ^ x >> 32


def plain_id_of(text: str) -> tuple[int, int]:
    if text.isdigit() and text[0] != "0" and int(text) < TOP:
        return int(text), 0
    upper, lower = divmod(number_of(text), TOP)
    return TOP + shuffle(lower, upper), upper + 1


def test_the_alphabet_is_what_the_page_says() -> None:
    assert len(ALPHABET) == 81
    assert set(string.ascii_letters + string.digits) < set(ALPHABET)
    assert list(ALPHABET) == sorted(ALPHABET) and TEXT_MAX == 20
    assert LARGEST < (WORD - 1) * TOP  # the tail does not run over


@settings(max_examples=1000)
@given(texts)
def test_a_text_has_the_id_of_the_rule_and_comes_back(text: str) -> None:
    found = id_of(text)
    assert found == plain_id_of(text) == id_of(text.encode())
    assert text_of(*found) == text
    assert found[0] != 0 and (found[1] == 0) == (found[0] < TOP)


@settings(max_examples=1000)
@given(words, words)
def test_every_pair_has_a_text_of_its_own(number: int, tail: int) -> None:
    text = text_of(number, tail)
    if (number, tail) == (0, 0):
        assert text == ""
    else:
        assert id_of(text) == (number, tail)


def test_the_first_and_last_texts() -> None:
    for text in ("!", "~", "~" * 10, "!" * 11, "~" * 20, "0", "00", str(TOP), str(WORD), "9" * 20):
        assert text_of(*id_of(text)) == text
    assert id_of(str(TOP - 1)) == (TOP - 1, 0)
    assert number_of("~" * 20) == LARGEST
    # one behind the last text: in no text's place
    upper, lower = divmod(LARGEST + 1, TOP)
    beyond = TOP + shuffle(lower, upper), upper + 1
    assert text_of(*beyond) == f"{beyond[0]}|{beyond[1]}"
    assert id_of(text_of(*beyond)) == beyond


def test_a_number_has_one_text() -> None:
    """What would be the text form of a number is no pair of any command's text."""
    upper, lower = divmod(number_of("1001"), TOP)
    pair = TOP + shuffle(lower, upper), upper + 1
    assert text_of(*pair) == f"{pair[0]}|{pair[1]}"


def test_texts_that_differ_in_little_have_ids_that_differ_in_much() -> None:
    ids = [id_of(f"ORDER-20261130-{at:05}")[0] for at in range(4000)]
    assert len(set(ids)) == len(ids)
    for bit in range(63):
        ones = sum(number >> bit & 1 for number in ids)
        assert 1800 < ones < 2200, f"bit {bit}: {ones} of {len(ids)}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it is empty"),
        ("a b", "character ' ' at 1"),
        ("A\0", "character '\\\\x00' at 1"),
        ("é", "character 'é' at 0"),
        (b"a\xff", "at 1"),
        ("x" * 21, "21 characters, at most 20"),
        ("x" * 10_000, "10000 characters"),
        ("5|0", "two decimal numbers"),  # it is written 5
        ("05|7", "two decimal numbers"),
        ("1|2|3", "two decimal numbers"),
        (f"{WORD + 1}|1", "two decimal numbers"),
        (1001, "a text"),
        (None, "a text"),
    ],
)
def test_other_texts_are_refused(text: object, fault: str) -> None:
    with pytest.raises(InvalidCommand, match=fault):
        id_of(text)  # type: ignore[arg-type]  # the wrong types are the point


@pytest.mark.parametrize("pair", [(-1, 0), (0, -1), (WORD + 1, 0), (1.0, 0), (True, 0)])
def test_other_words_are_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(InvalidCommand):
        text_of(*pair)
