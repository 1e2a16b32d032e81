"""Each network against the mean and a linear model of compositions, on real crystals (slow)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from offmap import datasets
from offmap.crystals import Crystals
from offmap.models.base import make_model
from offmap.representations.featurize import featurize
from offmap.representations.text import descriptions
from offmap.representations.text.words import simplify

from .encoders import write_encoder

pytestmark = pytest.mark.slow

Array = NDArray[np.float64]
TARGET = "formation_energy_per_atom"

N, SITES = 2000, 16
"""Crystals, and the most atoms of each: as many as those that the table of descriptions holds."""

SETTINGS: dict[str, dict[str, Any]] = {
    "alignn": {"preset": "paper"},
    "alignn fast": {"preset": "fast"},
    "gmp": {"epochs": 120, "batch_size": 64},
    "llm_prop": {
        "weights": "random", "epochs": 40, "batch_size": 16, "learning_rate": 2e-3,
        "dropout": 0.0, "max_tokens": 400,
    },
}  # fmt: skip


def some(real_data: Path) -> tuple[Crystals, Array]:
    """2,000 small crystals; of 718 there is a description."""
    data = datasets.load(str(real_data / "mp2018.parquet"), TARGET)
    described = pd.read_parquet(real_data / "descriptions.parquet")["material_id"]
    first = data.frame["material_id"].isin(described).to_numpy()
    others = np.flatnonzero((data.crystals.n_sites <= SITES) & ~first)
    others = np.random.default_rng(0).permutation(others)[: N - first.sum()]
    rows = np.sort(np.concatenate([np.flatnonzero(first), others]))
    return data.crystals.take(rows), data.frame[TARGET].to_numpy()[rows]


def in_words(real_data: Path, crystals: Crystals, folder: Path) -> dict[str, Any]:
    """Settings of LLM-Prop: descriptions from the table or made here, and a small encoder."""
    table = pd.read_parquet(real_data / "descriptions.parquet")
    known = np.isin(crystals.material_id, table["material_id"])
    lacking = crystals.take(~known)
    made = descriptions(lacking, jobs=2)
    assert not made.reasons
    more = pd.DataFrame({"material_id": lacking.material_id, "description": made.texts})
    table = pd.concat([table[["material_id", "description"]], more])
    table.to_parquet(folder / "descriptions.parquet")
    words = [simplify(text) for text in table["description"]]
    encoder = write_encoder(folder, words, d_model=64, d_ff=128, num_layers=2, num_heads=4)
    return {"encoder": str(encoder), "descriptions": str(folder / "descriptions.parquet")}


def linear(X: Array, y: Array, test: NDArray[np.bool_]) -> Array:
    """What a ridge regression predicts."""
    from sklearn.linear_model import RidgeCV

    X = (X - X[~test].mean(0)) / np.maximum(X[~test].std(0), 1e-9)
    found: Array = RidgeCV(np.logspace(-1, 4, 12)).fit(X[~test], y[~test]).predict(X[test])
    return found


def fractions(crystals: Crystals) -> Array:
    """Share of each element, shape (n, 119)."""
    X = np.zeros((len(crystals), 119))
    crystal = np.repeat(np.arange(len(crystals)), crystals.n_sites)
    np.add.at(X, (crystal, crystals.numbers), 1)
    return X / X.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", list(SETTINGS))
def test_it_beats_the_mean_and_a_linear_model_of_compositions(
    name: str, real_data: Path, tmp_path: Path
) -> None:
    """On a fifth of the crystals, none of which it has seen; ``-s`` shows by how much."""
    crystals, y = some(real_data)
    settings, model = SETTINGS[name], name.split()[0]
    if model == "llm_prop":
        settings = settings | in_words(real_data, crystals, tmp_path)
    test = np.random.default_rng(1).permutation(len(y)) % 5 == 0
    began = time.process_time()
    fitted = make_model(model, settings, 0, 2).fit(crystals.take(~test), y[~test])
    seconds = time.process_time() - began
    y_pred = {
        name: fitted.predict(crystals.take(test)),
        "element fractions": linear(fractions(crystals), y, test),
        "Magpie": linear(np.nan_to_num(featurize(crystals, "magpie").values), y, test),
        "mean": np.full(test.sum(), y[~test].mean()),
    }
    mae = {name: float(np.abs(found - y[test]).mean()) for name, found in y_pred.items()}
    print(f"\n{len(y)} crystals, {seconds:.0f} processor seconds; MAE in eV/atom: {mae}")
    assert mae[name] < min(mae["element fractions"], mae["mean"]), mae
