"""Thousands of files that are nearly right; ``-m slow``. The quick share is in test_malformed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.datasets.test_malformed import WHOLE, attempt

# What readers of crystals trip over, put into files at random places.
WORDS = [
    b"nan", b"inf", b"-1", b"0", b"1e999", b"99999999999", b"\x00", b"\xff\xfe", b"\n", b'"', b"'",
    b",", b"[", b"}", b"loop_", b"_cell_length_a", b"?", b".", b"\xe2\x80\xae", b"null", b"Xx",
]  # fmt: skip


def mutated(data: bytes, draw: random.Random) -> bytes:
    """A few random changes: cut, flip, repeat, swap, or put in a word that hurts."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 5)):
        at, n = draw.randint(0, len(changed)), draw.randint(1, 40)
        how = draw.randrange(5)
        if how == 0:
            del changed[at : at + n]
        elif how == 1 and at < len(changed):
            changed[at] ^= 1 << draw.randrange(8)
        elif how == 2:
            changed[at:at] = changed[at : at + n] * draw.randint(1, 50)
        elif how == 3:
            other = draw.randint(0, len(changed))
            changed[at : at + n] = changed[other : other + n]
        else:
            changed[at : at + draw.randint(0, 6)] = draw.choice(WORDS)
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_mutations(tmp_path: Path, name: str) -> None:
    draw = random.Random(name)
    for _ in range(500):
        attempt(tmp_path, name, mutated(WHOLE[name], draw))
