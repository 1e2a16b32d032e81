"""Interventional SHAP of boosted trees, summed by part: the check on the path-dependent variant.

Path-dependent values let unknown features follow the training rows, so that a feature the model
never uses can be credited for one that it correlates with. Interventional values replace unknown
features by those of background materials instead, and credit only what the model uses (Janzing,
Minorics & Blöbaum, AISTATS 2020). Both are exact; they answer different questions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import beta

Array = NDArray[np.float64]

_RESET, _OTHER = 0, 1


@dataclass(frozen=True, eq=False)
class Forest:
    """The trees of a model, node by node: left where ``x[feature] <= threshold``.

    Parameters
    ----------
    feature
        Column of each node, -1 at a leaf, shape (n_nodes,).
    threshold, left, right
        Where it splits and the nodes below.
    value
        What a leaf adds to the prediction.
    roots
        First node of each tree.
    """

    feature: NDArray[np.int64]
    threshold: Array
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Array
    roots: NDArray[np.int64]


def forest(model: Any) -> Forest:
    """The trees of a fitted ``LGBMRegressor`` or ``XGBRegressor``."""
    nodes: list[tuple[int, float, int, int, float]] = []
    roots: list[int] = []
    if hasattr(model, "booster_"):
        for tree in model.booster_.dump_model()["tree_info"]:
            roots.append(len(nodes))
            _add_lightgbm(tree["tree_structure"], nodes)
    else:
        raw = json.loads(bytes(model.get_booster().save_raw("json")))
        for tree in raw["learner"]["gradient_booster"]["model"]["trees"]:
            roots.append(len(nodes))
            nodes += _xgboost_nodes(tree, len(nodes))
    feature, threshold, left, right, value = zip(*nodes, strict=True)
    return Forest(
        np.array(feature, dtype=np.int64),
        np.array(threshold, dtype=np.float64),
        np.array(left, dtype=np.int64),
        np.array(right, dtype=np.int64),
        np.array(value, dtype=np.float64),
        np.array(roots, dtype=np.int64),
    )


def _add_lightgbm(node: dict[str, Any], nodes: list[tuple[int, float, int, int, float]]) -> int:
    here = len(nodes)
    nodes.append((-1, 0.0, 0, 0, float(node.get("leaf_value", 0.0))))
    if "split_feature" in node:
        left = _add_lightgbm(node["left_child"], nodes)
        right = _add_lightgbm(node["right_child"], nodes)
        nodes[here] = (int(node["split_feature"]), float(node["threshold"]), left, right, 0.0)
    return here


def _xgboost_nodes(tree: dict[str, Any], first: int) -> list[tuple[int, float, int, int, float]]:
    found = []
    condition = np.asarray(tree["split_conditions"], dtype=np.float32)
    below = np.nextafter(condition, np.float32(-np.inf))  # its test is "<", in single precision
    for i, left in enumerate(tree["left_children"]):
        if left < 0:
            found.append((-1, 0.0, 0, 0, float(condition[i])))
        else:
            right = tree["right_children"][i]
            feature = int(tree["split_indices"][i])
            found.append((feature, float(below[i]), first + left, first + right, 0.0))
    return found


def interventional_parts(
    model: Any,
    X: NDArray[np.float32],
    background: NDArray[np.float32],
    part: NDArray[np.int64],
    n_parts: int,
) -> Array:
    """Interventional Shapley values of every feature, summed by part, shape (n, n_parts).

    For each pair of a material and a background material, each leaf is a small game: features
    whose value from the material is needed to reach it, and features whose value from the
    background is (the Independent TreeSHAP of Lundberg et al. 2020, algorithm 3).

    Parameters
    ----------
    model
        A fitted ``LGBMRegressor`` or ``XGBRegressor``.
    X, background
        Complete rows, shapes (n, n_columns) and (n_background, n_columns). The values add up to the
        prediction minus the mean prediction of the background.
    part
        Part of each column, shape (n_columns,).
    """
    trees = forest(model)
    gain, loss = _weights(X.shape[1])
    sums = np.zeros((len(X), n_parts))
    arrays = (trees.feature, trees.threshold, trees.left, trees.right, trees.value, trees.roots)
    _add_up(X, background, *arrays, part, gain, loss, sums)
    result: Array = sums / len(background)
    return result


def _weights(n_columns: int) -> tuple[Array, Array]:
    """Shapley weights of a leaf that needs ``a`` features of the one and ``m`` of the other.

    They are (a - 1)! m! / (a + m)! for each of the former, a! (m - 1)! / (a + m)! for the latter.
    """
    a, m = np.ogrid[: n_columns + 1, : n_columns + 1]
    gain = np.where(a > 0, beta(np.maximum(a, 1), m + 1), 0.0)
    loss = np.where(m > 0, beta(a + 1, np.maximum(m, 1)), 0.0)
    return gain, loss


@njit(cache=True)
def _add_up(  # type: ignore[no-untyped-def]
    X, background, feature, threshold, left, right, value, roots, part, gain, loss, sums
):
    n_parts = sums.shape[1]
    origin = np.zeros(X.shape[1], dtype=np.int8)  # 1: taken from x, 2: from the background
    from_x, from_z = np.zeros(n_parts, np.int64), np.zeros(n_parts, np.int64)
    waiting = np.empty(X.shape[1] + 1, np.int64)  # at most one node per column
    action = np.empty(X.shape[1] + 1, np.int8)
    for i in range(len(X)):
        x = X[i]
        for b in range(len(background)):
            z = background[b]
            for root in roots:
                node, depth = root, 0
                while True:
                    while feature[node] >= 0:
                        f = feature[node]
                        x_left, z_left = x[f] <= threshold[node], z[f] <= threshold[node]
                        go_left = z_left if origin[f] == 2 else x_left
                        if origin[f] == 0 and x_left != z_left:
                            waiting[depth], action[depth] = node, _OTHER
                            depth += 1
                            origin[f] = 1
                            from_x[part[f]] += 1
                        node = left[node] if go_left else right[node]
                    a, m = from_x.sum(), from_z.sum()
                    if a + m:
                        for k in range(n_parts):
                            share = from_x[k] * gain[a, m] - from_z[k] * loss[a, m]
                            sums[i, k] += share * value[node]
                    while depth and action[depth - 1] == _RESET:
                        depth -= 1
                        f = feature[waiting[depth]]
                        origin[f] = 0
                        from_z[part[f]] -= 1
                    if depth == 0:
                        break
                    node = waiting[depth - 1]  # take the other side, then forget the feature
                    action[depth - 1] = _RESET
                    f = feature[node]
                    origin[f] = 2
                    from_x[part[f]] -= 1
                    from_z[part[f]] += 1
                    node = left[node] if z[f] <= threshold[node] else right[node]
