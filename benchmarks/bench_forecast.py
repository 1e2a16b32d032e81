"""What bounds the forecast of a task's error: oracles, outside knowledge, and how many tasks teach.

``python benchmarks/bench_forecast.py STUDY``

The study must have its tasks of criterion ``element`` finished and the table ``domain``. Printed
are rank correlations with the mean absolute error over those tasks: of forecasts from parts of what
is known (leave-task-out), of what only the labels of the test materials tell (oracles, among them
the error of other trees that lack the element), of what the embedded prototypes with the element
tell (outside knowledge: their labels come from a potential that was fitted to Materials Project),
and by the number of other elements that the forecast may learn from.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from offmap.columns import CRITERION, HELD_OUT
from offmap.datasets import prototypes
from offmap.domain.chemistry import compositions_of, describe, gaps
from offmap.domain.finished import reopen
from offmap.domain.from_study import materials_of, predictions
from offmap.domain.head_to_head import rank_correlation
from offmap.domain.kinship import Kin, forecasts, kin
from offmap.elements import NUMBERS
from offmap.representations.featurize import featurize
from offmap.store import Store

SETTINGS = {
    "num_leaves": 63, "learning_rate": 0.1, "feature_fraction": 0.3, "max_bin": 63,
    "num_threads": 2, "force_row_wise": True, "verbosity": -1,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    study = Path(parser.parse_args().study)
    store = Store.open(study)
    inputs = reopen(store)
    name = next(iter(inputs.features))
    materials, tasks = materials_of(inputs, name)
    model = predictions(store, inputs, name, tasks)[0]
    domain = store.read_table("domain")
    domain = domain[domain[CRITERION] == "element"]
    expected = {str(k): v for k, v in domain.groupby(HELD_OUT, observed=True)["expected_error"]}
    compositions = compositions_of(inputs)
    kindred, facts = [], []
    for task in tasks.index[tasks[CRITERION] == "element"]:
        element, test = str(tasks[HELD_OUT][task]), materials.test[:, task]
        rows = np.flatnonzero(test)
        signed = model.y_pred[task] - materials.y[rows]
        gap = gaps(describe(compositions, test, rows, model.y_pred[task], True))
        one = kin(compositions, task, test, gap, expected[element].to_numpy(), np.abs(signed))
        if one is None:
            continue
        kindred.append(one)
        facts.append(facts_of(element, rows, signed, model.in_distribution - materials.y))
    table = pd.DataFrame(facts)
    mae = table["mae"].to_numpy()
    halves = rank_correlation(*table[["half", "other half"]].to_numpy().T)
    print(f"oracle, half of the test materials for the other half: {halves:.2f}")
    for what in ("error in distribution", "size of the bias", "spread about the median"):
        print(f"oracle, {what}: {rank_correlation(table[what].to_numpy(), mae):.2f}")
    print(f"share of squared error that is bias: {table['share of bias'].median():.2f} (median)")
    test = materials.test
    show("forecast", kindred, test, mae)
    flat = [replace(k, place=np.zeros_like(k.place)) for k in kindred]
    show("its own scores alone", flat, test, mae)
    deaf = [replace(k, signals=np.zeros_like(k.signals)) for k in kindred]
    show("periodic table alone", deaf, test, mae)
    elsewhere = Elsewhere(name, inputs.target, materials.X, materials.y, compositions.fractions)
    found = [elsewhere.left_out(element) for element in table["element"]]
    same, outside = np.array(found).T
    print(f"oracle, other trees on the same materials: {rank_correlation(same, mae):.2f}")
    show("forecast with that oracle", told(kindred, same), test, mae)
    print(f"outside, error on prototypes with the element: {rank_correlation(outside, mae):.2f}")
    show("forecast with outside", told(kindred, outside), test, mae)
    for n in (10, 20, 40, len(kindred) - 1):
        show(f"forecast from {n} elements", kindred, test, mae, n)


def facts_of(
    element: str, rows: np.ndarray, signed: np.ndarray, inside: np.ndarray
) -> dict[str, object]:
    """What the labels of the test materials tell."""
    order = np.random.default_rng(0).permutation(len(rows))
    one, other = np.array_split(order, 2)
    bias = float(signed.mean())
    return {
        "element": element,
        "mae": np.abs(signed).mean(),
        "half": np.abs(signed[one]).mean(),
        "other half": np.abs(signed[other]).mean(),
        "error in distribution": np.nanmean(np.abs(inside[rows])),
        "size of the bias": abs(bias),
        "spread about the median": np.abs(signed - np.median(signed)).mean(),
        "share of bias": bias**2 / (signed**2).mean(),
    }


def show(what: str, kindred: Sequence[Kin], test: np.ndarray, mae: np.ndarray, n: int = 0) -> None:
    """Rank correlation of a forecast, with ``n`` random other tasks to learn from if given."""
    if n and n < len(kindred) - 1:
        rng = np.random.default_rng(0)
        found: dict[int, tuple[float, float]] = {}
        for i, one in enumerate(kindred):
            others = rng.choice(np.delete(np.arange(len(kindred)), i), n, replace=False)
            found |= {one.task: forecasts([one, *(kindred[k] for k in others)], test)[one.task]}
    else:
        found = forecasts(kindred, test)
    value = np.array([found[k.task][0] for k in kindred])
    within = (np.abs(np.log(value / mae)) < np.log(1.5)).mean()
    rank = rank_correlation(value, mae)
    print(f"{what}: {rank:.2f}; within a factor of 1.5: {within:.2f}", flush=True)


def told(kindred: Sequence[Kin], value: np.ndarray) -> list[Kin]:
    """The same tasks with one signal more."""
    pairs = zip(kindred, np.log(value), strict=True)
    return [replace(k, signals=np.append(k.signals, v)) for k, v in pairs]


class Elsewhere:
    """Trees on the study and the embedded prototypes together, to leave elements out of both."""

    def __init__(
        self, representation: str, target: str, X: np.ndarray, y: np.ndarray, fractions: np.ndarray
    ) -> None:
        import lightgbm

        dataset = prototypes.load()
        described = featurize(dataset.crystals, representation).values.astype(np.float32)
        label = dataset.frame[target].to_numpy(np.float64)
        self.X, self.y = np.vstack([X, described]), np.concatenate([y, label])
        self.has = np.vstack([fractions > 0, dataset.crystals.counts > 0])
        self.of_study = np.arange(len(self.y)) < len(y)
        self.data = lightgbm.Dataset(self.X, self.y, params=dict(SETTINGS)).construct()

    def left_out(self, element: str) -> tuple[float, float]:
        """Mean absolute error on the study's materials with it, and on bound prototypes with it."""
        import lightgbm

        has = self.has[:, NUMBERS[element]]
        data = self.data.subset(np.flatnonzero(~has).tolist())
        trees = lightgbm.train(SETTINGS, data, 200)
        error = np.abs(trees.predict(self.X[has], num_threads=2) - self.y[has])
        bound = ~self.of_study[has] & (self.y[has] < 0)
        return float(error[self.of_study[has]].mean()), float(error[bound].mean())


if __name__ == "__main__":
    main()
