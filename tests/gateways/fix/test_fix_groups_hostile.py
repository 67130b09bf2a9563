"""Messages with groups that nobody would send: each is answered, and the session goes on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fix_kit import Client, Serving
from test_fix_quotes import raw

VALUES = {
    1: ["1", "2", "x"], 11: ["a", "b", "c", "1", "x" * 30], 38: ["10", "0", "x"],
    40: ["1", "2", "3", "P", "?"], 44: ["1.00", "1.01", "x", "-1"], 54: ["1", "2", "9"],
    55: ["ANA", "BBVA", "NONE"], 59: ["0", "1", "B"], 66: ["L"], 67: ["1"], 68: ["2", "3"],
    73: ["2", "0", "1", "x"], 97: ["Y"], 99: ["1.00"], 111: ["5"], 117: ["Q", "R", "7", "y" * 25],
    132: ["1.00", "x"], 133: ["1.10", "0.90"], 134: ["10", "0", "x"], 135: ["20"],
    263: list("0123"),
    293: ["5"], 295: ["1", "0", "2", "x"], 296: ["1", "0", "2", "x"], 298: ["1", "4", "9"],
    299: ["1", "2", "z" * 30], 301: list("0129"), 302: ["s", "t"], 324: ["i", "j"],
    332: ["1.00"], 333: ["0.90", "5.00"], 335: ["i", "j"], 336: ["1", "2"], 530: ["1", "7", "x"],
    537: ["1", "0"], 1300: ["0", "7", "x", "9" * 12], 1385: ["1", "2"], 1461: ["1"],
    1462: ["ALICE"], 1464: ["55"], 2964: ["1", "9"],
}  # fmt: skip
LIKELY = {
    "E": [66, 1385, 73, 11, 55, 54, 38, 40, 44, 11, 55, 54, 38, 40, 44],
    "S": [117, 55, 132, 134, 133, 135], "Z": [117, 298, 295, 55, 55],
    "i": [117, 296, 302, 295, 299, 55, 132, 134, 133, 135],
    "e": [324, 55, 263], "g": [335, 263], "q": [11, 530, 55],
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_the_session_goes_on(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    with Serving(tmp_path / "state") as serving, Client(serving.port) as client:
        serving.engine.set_market("ANA")
        client.log_on()
        heard: set[str] = set()
        for number in range(300):
            kind = rng.choice(list(LIKELY))
            tags = [tag for tag in LIKELY[kind] if rng.random() < 0.95]
            for _ in range(rng.choice([0, 0, 1, 3])):
                tags.insert(rng.randint(0, len(tags)), rng.choice(list(VALUES)))
            pairs = []
            for tag in tags:
                one = VALUES[tag][0] if rng.random() < 0.6 else rng.choice(VALUES[tag])
                pairs.append((tag, one + str(number) if tag in (11, 117) and len(one) < 9 else one))
            raw(client, kind, pairs)
            client.send("1", {112: number})
            while (said := client.receive())[35] != "0" or said[112] != str(number):
                assert said[35] in ("3", "8", "9", "b", "j", "r", "f", "h", "AI", "0"), said
                heard.add(said[35])
        assert {"3", "8", "b", "j", "r", "f", "h", "AI"} <= heard
