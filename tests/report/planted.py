"""A study folder with planted truths, written through Store as a run would leave it."""

from __future__ import annotations

import zlib
from pathlib import Path

import moyopy
import numpy as np
import pandas as pd

from offmap.attributes import from_frame
from offmap.columns import CRITERION, HELD_OUT, IN_DISTRIBUTION
from offmap.elements import NOBLE_GASES, SYMBOLS
from offmap.evaluate import cells
from offmap.scores import score_predictions
from offmap.store import Store
from offmap.study import Study
from offmap.tasks.membership import membership
from offmap.tasks.random import fold_name, folds

SCRIPT = "<script>alert('formula')</script>"
UNIT = "eV/atom"

# Planted: without F everything is predicted too high, without O too low, without H at random.
SHIFTED = {"F": 0.60, "O": -0.35}
SCATTERED = {"H": 0.50}

_METALS = "Li Na K Mg Ca Al Ti Fe Cu La".split()
_OTHERS = "H N O F S Cl".split()
_SPACE_GROUPS = [1, 2, 14, 15, 62, 63, 139, 148, 166, 191, 194, 216, 221, 225, 227]


def materials(
    n: int, seed: int = 0, all_elements: bool = False, all_space_groups: bool = False
) -> pd.DataFrame:
    """Random binaries to quaternaries; the label is a sum over elements plus noise."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice(range(1, 231) if all_space_groups else _SPACE_GROUPS, n)
    known = [s for s in SYMBOLS[1:95] if s not in (*NOBLE_GASES, *_OTHERS)]
    all_metals = known if all_elements else _METALS
    symbols = [*all_metals, *_OTHERS]
    value = dict(zip(symbols, rng.normal(0, 0.8, len(symbols)), strict=True))
    value |= {"F": -2.5, "O": -1.5, "H": -0.5}
    rows: list[tuple[object, ...]] = []
    for i in range(n):
        metals = rng.choice(all_metals, rng.integers(1, 3), replace=False)
        others = rng.choice(_OTHERS, rng.integers(1, 3), replace=False)
        elements = [*metals, *others]
        amounts = rng.integers(1, 5, len(elements))
        parts = list(zip(elements, amounts, strict=True))
        formula = "".join(f"{e}{a if a > 1 else ''}" for e, a in parts)
        label = sum(value[e] * a for e, a in parts) / amounts.sum()
        rows.append((f"mp-{i}", formula, "-".join(sorted(elements)), len(elements), label))
    frame = pd.DataFrame(
        rows, columns=["material_id", "formula", "chemical_system", "n_elements", "e_form"]
    )
    frame["e_form"] += rng.normal(0, 0.1, n)
    frame["n_sites"] = rng.integers(2, 30, n)
    frame["space_group"] = numbers
    kinds = {int(i): moyopy.SpaceGroupType(int(i)) for i in set(numbers)}
    frame["point_group"] = [kinds[i].geometric_crystal_class for i in numbers]
    frame["crystal_system"] = [kinds[i].crystal_system.lower() for i in numbers]
    return frame.sort_values("material_id", ignore_index=True)


def predictions(test: pd.DataFrame, criterion: str, held_out: str, skill: float) -> pd.DataFrame:
    """Predictions of one cell, with the planted shifts and scatter."""
    rng = np.random.default_rng(zlib.crc32(f"{criterion}/{held_out}".encode()))
    y = test["e_form"].to_numpy()
    noise = 0.08 / skill * (1.0 if criterion == IN_DISTRIBUTION else 1.3)
    if criterion == "element":
        noise += SCATTERED.get(held_out, 0.0)
    shift = SHIFTED.get(held_out, 0.0) if criterion == "element" else 0.0
    y_pred = y + shift + rng.normal(0, noise, len(y))
    return pd.DataFrame({"material_id": test["material_id"], "y_true": y, "y_pred": y_pred})


def plant(
    folder: Path,
    n: int = 560,
    models: tuple[str, ...] = ("lgbm", "rf"),
    criteria: tuple[str, ...] = ("element", "crystal_system", "n_elements"),
    min_size: int = 40,
    n_bootstrap: int = 25,
    all_elements: bool = False,
    all_space_groups: bool = False,
    finished: float = 1.0,
    scored: bool = True,
) -> Store:
    """Write a study folder; ``finished`` is the share of cells that are done."""
    study = Study(models=models, criteria=criteria, min_size=min_size, n_bootstrap=n_bootstrap)
    frame = materials(n, 0, all_elements, all_space_groups)
    fluoride = frame.index[frame["chemical_system"].str.split("-").map(lambda s: "F" in s)][0]
    frame.loc[fluoride, "formula"] = SCRIPT
    store = Store.create(folder, study, provenance(frame, models))
    tasks = membership(from_frame(frame), criteria)
    ids = frame["material_id"].tolist()
    fold = folds(ids, study.n_folds, study.seed)
    reference = [(IN_DISTRIBUTION, fold_name(i), fold == i) for i in range(study.n_folds)]
    tests = reference + [
        (c, h, tasks.matrix[:, i])
        for i, (c, h) in enumerate(zip(tasks.criterion, tasks.held_out, strict=True))
    ]
    table = tasks.tasks(min_size)
    extra = [(c, h, n - m.sum(), m.sum(), True, "") for c, h, m in reference]
    table = pd.concat([pd.DataFrame(extra, columns=table.columns), table], ignore_index=True)
    store.write_table("materials", frame)
    store.write_table("tasks", table)
    kept = tasks.select(tasks.tasks(min_size)["kept"].to_numpy())
    store.write_table("members", kept.members(ids))
    store.write_text("rejected.csv", "material_id,row,reason\nmp-x,7,no space group was found\n")
    wanted = cells(store)
    done = wanted[: round(finished * len(wanted))]
    masks = {(c, h): mask for c, h, mask in tests}
    for cell in done:
        test = frame[masks[cell.criterion, cell.held_out]]
        skill = 1.0 if cell.model == models[0] else 0.7
        found = predictions(test, cell.criterion, cell.held_out, skill)
        # One fluoride is predicted worst of all, so that its formula is shown.
        found.loc[test["formula"] == SCRIPT, "y_pred"] += 3.0
        store.save_predictions(cell, found.reset_index(drop=True), {"seconds": 1.0})
    if scored and done:
        systems = dict(zip(frame["material_id"], frame["chemical_system"], strict=True))
        scores = score_predictions(store.read_predictions(done), systems, n_bootstrap)
        store.write_table("scores", scores, csv=True)
    return store


def provenance(frame: pd.DataFrame, models: tuple[str, ...]) -> dict[str, object]:
    """What a run notes down."""
    return {
        "dataset": "planted",
        "target": "e_form",
        "unit": UNIT,
        "title": "Planted study <b>with markup</b>",
        "source": "made up",
        "licence": "CC0",
        "citation": "Nobody, Journal of Nothing 1, 1 (2025)",
        "doi": "10.0000/none",
        "data_sha256": "0" * 64,
        "n_materials": len(frame),
        "n_rejected": 1,
        "consumes": dict.fromkeys(models, "features"),
        "command": "offmap run --dataset planted",
        "created": "2025-01-01T00:00:00+00:00",
        "python": "3.12.0",
        "versions": {"offmap": "0.1.0", "numpy": "2.0.0"},
    }


def task_row(scores: pd.DataFrame, criterion: str, held_out: str, model: str = "lgbm") -> pd.Series:
    """The score row of one task."""
    mask = (scores[CRITERION] == criterion) & (scores[HELD_OUT] == held_out)
    return scores[mask & (scores["model"] == model)].iloc[0]
