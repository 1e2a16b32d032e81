"""Thousands of files that are nearly right; ``-m slow``. The quick share is in test_malformed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import tomli_w

from offmap import Study
from offmap.errors import OffmapError
from tests.datasets.test_malformed import WHOLE, attempt

STUDY = "study.toml"
EXAMPLES = WHOLE | {
    STUDY: tomli_w.dumps(
        Study(
            dataset="a.csv", models=("lgbm", "rf", "a.b:C"), exclude=("is_old",), cleaning="study",
            model_settings={"lgbm": {"n_estimators": 10, "name": ["é", 1.5]}},
        ).to_dict()
        | {"provenance": {"dataset": "a", "n_materials": 3}}
    ).encode()
}  # fmt: skip
"""Whole files of every kind that is read, by the name that chooses the reader."""

# What readers of crystals trip over, put into files at random places.
WORDS = [
    b"nan", b"inf", b"-1", b"0", b"1e999", b"99999999999", b"\x00", b"\xff\xfe", b"\n", b'"', b"'",
    b",", b"[", b"}", b"loop_", b"_cell_length_a", b"?", b".", b"\xe2\x80\xae", b"null", b"Xx",
    b"[x]", b"=", b"true", b"1979-05-27", b"PAR1", b"_atom_site_fract_x", b"Direct", b"Lattice=",
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


def check(path: Path, data: bytes) -> None:
    """Read bytes as ``offmap run`` does: a dataset, a study that keeps, or an error in words."""
    if path.name != STUDY:
        attempt(path.parent, path.name, data)
        return
    path.write_bytes(data)
    try:
        study = Study.from_toml(path)
    except OffmapError:
        return
    path.write_text(tomli_w.dumps(study.to_dict()), encoding="utf-8")
    assert study.differences(Study.from_toml(path)) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_whole_files_are_taken(tmp_path: Path, name: str) -> None:
    check(tmp_path / name, EXAMPLES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_mutations(tmp_path: Path, name: str) -> None:
    draw = random.Random(name)
    for _ in range(1000):
        check(tmp_path / name, mutated(EXAMPLES[name], draw))
