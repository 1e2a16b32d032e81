"""Near twins: materials of one composition with nearly one structure, which make a split easier."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, FORMULA, HELD_OUT, MATERIAL_ID, N_TEST
from offmap.crystals import Crystal, Crystals
from offmap.progress import Progress

N_NEIGHBOURS = 24
TWIN_TOLERANCE = 0.03
"""Largest difference of fingerprints of twins, in mean spacings of atoms."""


def near_twins(
    crystals: Crystals, tolerance: float = TWIN_TOLERANCE, progress: Progress | None = None
) -> pd.DataFrame:
    """Materials of the same composition with nearly the same structure.

    Two crystals are compared by the distances of each element's atoms to their nearest
    neighbours (average minimum distances, Widdowson et al., MATCH Commun. Math. Comput. Chem. 87,
    529, 2022, here per element), in units of the mean spacing of atoms, so that a strained or
    otherwise chosen cell counts as the same structure.

    Parameters
    ----------
    crystals
        With lattices.
    tolerance
        Largest difference of any of these distances.
    progress
        Called with compositions done and in all.

    Returns
    -------
    DataFrame
        ``material_id``, ``formula``, ``twin`` (the first material of the same group),
        ``difference`` (from its nearest twin) and ``group``, for every material that has a twin.
    """
    formulas = pd.Series(crystals.formula)
    groups = [
        np.asarray(rows, dtype=np.int64)
        for rows in formulas.groupby(formulas).indices.values()
        if len(rows) > 1
    ]
    found: list[tuple[str, str, str, float, int]] = []
    n_groups = 0
    for done, rows in enumerate(groups):
        prints = np.array([fingerprint(crystals.crystal(int(i))) for i in rows])
        difference = np.abs(prints[:, None] - prints[None]).max(axis=2)
        np.fill_diagonal(difference, np.inf)
        label = _components(difference <= tolerance)
        for one in np.unique(label):
            members = np.flatnonzero(label == one)
            if len(members) > 1:
                ids = [str(crystals.material_id[rows[m]]) for m in members]
                nearest = difference[np.ix_(members, members)].min(axis=1)
                formula = str(formulas.iat[int(rows[0])])
                found += [
                    (i, formula, ids[0] if i != ids[0] else ids[1], float(d), n_groups)
                    for i, d in zip(ids, nearest, strict=True)
                ]
                n_groups += 1
        if progress:
            progress(done + 1, len(groups))
    return pd.DataFrame(found, columns=[MATERIAL_ID, FORMULA, "twin", "difference", "group"])


def fingerprint(crystal: Crystal, k: int = N_NEIGHBOURS) -> NDArray[np.float64]:
    """Mean distance of each element's atoms to their 1st ... k-th neighbours, in mean spacings.

    Parameters
    ----------
    crystal
        One crystal.
    k
        Number of neighbours.

    Returns
    -------
    ndarray of shape (n_elements * k,)
        Elements by atomic number.
    """
    from scipy.spatial import cKDTree

    lattice = crystal.lattice
    spacing = (abs(np.linalg.det(lattice)) / len(crystal.numbers)) ** (1 / 3)
    coords = crystal.frac_coords - np.floor(crystal.frac_coords)
    widths = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    reach = 1.5 * (3 * k / (4 * np.pi)) ** (1 / 3) * spacing
    while True:
        spans = [np.arange(-n, n + 1) for n in np.ceil(reach / widths).astype(int)]
        images = np.stack(np.meshgrid(*spans, indexing="ij"), axis=-1).reshape(-1, 3)
        points = (coords[None] + images[:, None]).reshape(-1, 3) @ lattice
        distance = np.asarray(cKDTree(points).query(coords @ lattice, k=k + 1)[0])
        if np.isfinite(distance).all() and distance[:, -1].max() <= reach:
            break
        reach *= 1.5
    rows = [distance[crystal.numbers == z, 1:].mean(axis=0) for z in np.unique(crystal.numbers)]
    joined: NDArray[np.float64] = np.concatenate(rows) / spacing
    return joined


def _components(linked: NDArray[np.bool_]) -> NDArray[np.int32]:
    from scipy.sparse.csgraph import connected_components

    labels: NDArray[np.int32] = connected_components(linked.astype(np.int8), directed=False)[1]
    return labels


def twins_across(twins: pd.DataFrame, test_ids: Iterable[str]) -> pd.DataFrame:
    """The near twins that a split puts on both sides: groups with test and with training materials.

    Parameters
    ----------
    twins
        From :func:`near_twins`.
    test_ids
        Materials of the test set.

    Returns
    -------
    DataFrame
        The rows of ``twins`` of such groups, with a column ``test``.
    """
    table = twins.assign(test=twins[MATERIAL_ID].isin(set(test_ids)))
    share = table.groupby("group")["test"].transform("mean")
    return table[(share > 0) & (share < 1)].reset_index(drop=True)


def twins_by_task(twins: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """How much of each test set has a near twin in its training set.

    Parameters
    ----------
    twins
        From :func:`near_twins`.
    members
        Test sets: ``criterion``, ``held_out``, ``material_id``.

    Returns
    -------
    DataFrame
        ``criterion``, ``held_out``, ``n_test``, ``n_twins`` (test materials of groups that have
        training materials too) and their ``share``, for every task that has some; the largest
        share first.
    """
    task = [CRITERION, HELD_OUT]
    size = members.groupby(task, observed=True, sort=False).size().rename(N_TEST)
    tested = members.merge(twins[[MATERIAL_ID, "group"]], on=MATERIAL_ID)
    inside = (
        tested.groupby([*task, "group"], observed=True, sort=False).size().reset_index(name="n")
    )
    split = inside[inside["n"] < inside["group"].map(twins["group"].value_counts())]
    n_twins = split.groupby(task, observed=True, sort=False)["n"].sum().rename("n_twins")
    table = pd.concat([size, n_twins], axis=1, join="inner").reset_index()
    table["share"] = table["n_twins"] / table[N_TEST]
    return table.sort_values("share", ascending=False, kind="stable", ignore_index=True)
