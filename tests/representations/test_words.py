"""What LLM-Prop reads of a description."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from offmap.representations.text.robocrys import tidy
from offmap.representations.text.words import simplify


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("All Li(1)-Sc(1) bond lengths are 2.84 Å.", "Li(1)-Sc(1) bond lengths [NUM]."),
        ("bond distances ranging from 2.96-3.12 Å.", "bond distances ranging [NUM]."),
        ("bond distances ranging from 2.96–3.12 Å.", "bond distances ranging [NUM]."),
        ("two shorter (2.02 Å) and six longer (2.1 Å)", "two shorter ([NUM]) six longer ([NUM])"),
        ("The octahedral tilt angles range from 0-60°.", "octahedral tilt angles range [ANG]."),
        ("in a bent 120 degrees geometry", "bent [ANG] geometry"),
        ("in a 12-coordinate geometry", "12-coordinate geometry"),
        ("The octahedra are not tilted.", "octahedra not tilted."),
        ("There are two inequivalent As sites. In the first As site, As(1)",
         "two inequivalent As sites. first As site, As(1)"),
        ("In is Copper structured and in the cubic", "In Copper structured cubic"),
        ("I crystallizes in the orthorhombic group.", "I crystallizes orthorhombic group."),
        ("share corners with one O(2)Li2Co3 pyramid", "share corners one O(2)Li2Co3 pyramid"),
    ],
)  # fmt: skip
def test_numbers_become_tokens_and_empty_words_go(said: str, kept: str) -> None:
    assert simplify(said) == kept


def test_numbers_of_numpy_are_numbers() -> None:
    said = "in the (np.int64(0), np.int64(-1), np.float64(1.5))  direction"
    assert tidy(said) == "in the (0, -1, 1.5) direction"


def test_real_descriptions(real_data: Path) -> None:
    path = real_data / "descriptions.parquet"
    if not path.is_file():
        pytest.skip(f"the descriptions are not there ({path})")
    table = pd.read_parquet(path)
    texts = [simplify(tidy(text)) for text in table["description"]]
    assert not [text for text in texts if re.search(r"Å|°|degrees| the | are |np\.", text)]
    lengths = table["description"].str.count("Å")
    assert [text.count("[NUM]") for text in texts] == lengths.tolist()
    words = table["description"].str.split().str.len()
    assert pd.Series(texts).str.split().str.len().sum() < 0.75 * words.sum()
    for text, said in zip(texts, table["description"], strict=True):  # no atom is lost
        assert re.findall(r"[A-Z]\w*\(\d+\)", text) == re.findall(r"[A-Z]\w*\(\d+\)", said)
