"""Each network against the mean and a linear model of compositions, on real crystals (slow)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="the extra nn is not installed")

from offmap import datasets
from offmap.crystals import Crystals
from offmap.models.base import make_model
from offmap.representations.featurize import featurize
from offmap.representations.text.words import simplify

from .encoders import write_encoder

pytestmark = pytest.mark.slow

Array = NDArray[np.float64]
TARGET = "formation_energy_per_atom"

SETTINGS: dict[str, dict[str, Any]] = {
    "alignn": {"preset": "fast", "hidden": 64, "epochs": 12},
    "gmp": {"epochs": 30, "batch_size": 64},
    "llm_prop": {
        "weights": "random", "epochs": 40, "batch_size": 16, "learning_rate": 2e-3,
        "dropout": 0.0, "max_tokens": 400,
    },
}  # fmt: skip


def some(real_data: Path, model: str) -> tuple[Crystals, Array]:
    """2,000 crystals, or those that have been described in words (718)."""
    data = datasets.load(str(real_data / "mp2018.parquet"), TARGET)
    if model == "llm_prop":
        described = pd.read_parquet(real_data / "descriptions.parquet")["material_id"]
        rows = np.flatnonzero(data.frame["material_id"].isin(described))
    else:
        rows = np.sort(np.random.default_rng(0).permutation(len(data))[:2000])
    return data.crystals.take(rows), data.frame[TARGET].to_numpy()[rows]


def linear(crystals: Crystals, y: Array, test: NDArray[np.bool_]) -> Array:
    """What a ridge regression on descriptors of the composition predicts."""
    from sklearn.linear_model import RidgeCV

    X = np.nan_to_num(featurize(crystals, "magpie").values)
    X = (X - X[~test].mean(0)) / np.maximum(X[~test].std(0), 1e-9)
    found: Array = RidgeCV(np.logspace(-1, 4, 12)).fit(X[~test], y[~test]).predict(X[test])
    return found


@pytest.mark.parametrize("model", ["alignn", "gmp", "llm_prop"])
def test_it_beats_the_mean_and_a_linear_model_of_compositions(
    model: str, real_data: Path, tmp_path: Path
) -> None:
    """On a fifth of the crystals, none of which it has seen."""
    crystals, y = some(real_data, model)
    settings = SETTINGS[model]
    if model == "llm_prop":
        pytest.importorskip("transformers", reason="the extra llm is not installed")
        table = real_data / "descriptions.parquet"
        words = [simplify(text) for text in pd.read_parquet(table)["description"]]
        encoder = write_encoder(tmp_path, words, d_model=64, d_ff=128, num_layers=2, num_heads=4)
        settings = settings | {"encoder": str(encoder), "descriptions": str(table)}
    test = np.random.default_rng(1).permutation(len(y)) % 5 == 0
    fitted = make_model(model, settings, 0, 2).fit(crystals.take(~test), y[~test])
    y_pred = {
        model: fitted.predict(crystals.take(test)),
        "linear": linear(crystals, y, test),
        "mean": np.full(test.sum(), y[~test].mean()),
    }
    mae = {name: float(np.abs(found - y[test]).mean()) for name, found in y_pred.items()}
    print(f"\n{len(y)} crystals, MAE in eV/atom: {mae}")
    assert mae[model] < min(mae["linear"], mae["mean"]), mae
