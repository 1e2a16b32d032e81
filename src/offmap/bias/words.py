"""What the numbers say, in a sentence per task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from offmap.bias.descriptors import COMPOSITION, STRUCTURE
from offmap.bias.signed import SHIFTED

MATTERS = 0.25
"""Share of the MAE below which a bias, however certain, is called small."""

DISAGREES = 0.2
"""Difference in the share of composition from which the two kinds of SHAP are said to disagree."""

_WARNED_AT = 0.1


def verdict(row: Mapping[str, Any], unit: str = "") -> str:
    """The verdict on one task: "biased by -0.31 eV/atom [-0.35, -0.27], 84 % of it composition".

    Parameters
    ----------
    row
        A row of the table ``bias``; without decomposition only the bias is told.
    unit
        Unit of the target.
    """
    return "; ".join([_bias(row, unit), *_doubts(row)])


def _bias(row: Mapping[str, Any], unit: str) -> str:
    bias, low, high = row["bias"], row["bias_low"], row["bias_high"]
    size = f"{bias:+.2f} {unit}".strip()
    if not np.isfinite(low):
        return f"off by {size}, of one chemical system: no interval"
    size += f" [{low:+.2f}, {high:+.2f}]"
    if not (low > 0 or high < 0):
        return f"not biased: {size}"
    if abs(bias) < MATTERS * row["mae"]:
        return f"hardly biased: {size} beside an MAE of {row['mae']:.2f}"
    return f"biased by {size}{_source(row)}"


def _source(row: Mapping[str, Any]) -> str:
    share = row.get("share_composition", np.nan)
    if not np.isfinite(share):
        return ""
    composition, structure = row["bias_composition"], row["bias_structure"]
    opposed = composition * structure < 0
    if opposed and _WARNED_AT < share < 1 - _WARNED_AT:
        return f": composition {composition:+.2f} against structure {structure:+.2f}"
    main, part = (COMPOSITION, share) if share >= 0.5 else (STRUCTURE, 1 - share)
    return f", {100 * part:.0f} % of it {main}"


def _doubts(row: Mapping[str, Any]) -> list[str]:
    """What speaks against reading the share at face value; nothing where there is no bias."""
    biased = row["bias_low"] > 0 or row["bias_high"] < 0
    if not biased or abs(row["bias"]) < MATTERS * row["mae"]:
        return []
    said = []
    if "null_composition" in row and all(
        abs(row[f"bias_{block}"]) <= row[f"null_{block}"] for block in (COMPOSITION, STRUCTURE)
    ):
        said.append("but shuffled residuals give as much")
    share, other = row.get("share_composition", np.nan), row.get("share_composition_interventional")
    if other is not None and abs(share - other) >= DISAGREES:
        said.append(f"interventional SHAP says {100 * other:.0f} % composition")
    main, second = (COMPOSITION, STRUCTURE) if share >= 0.5 else (STRUCTURE, COMPOSITION)
    alone, blind = (row.get(f"bias_{block}_only", np.nan) for block in (main, second))
    if blind * row["bias"] > 0 and abs(blind) >= (1 - _WARNED_AT) * abs(alone):
        said.append(f"a model that sees {second} alone is biased as much ({blind:+.2f})")
    rest = row.get("bias_rest", np.nan)
    if abs(rest) > _WARNED_AT * abs(row["bias"]):
        said.append(f"{rest:+.2f} of it is in no part")
    base = row.get("bias_base", np.nan)
    if abs(base) > _WARNED_AT * abs(row["bias"]):
        said.append(f"{base:+.2f} of it is the mean error of all materials, in neither part")
    inside = row.get("bias_in_distribution", np.nan)
    if np.isfinite(inside) and inside * row["bias"] > 0 and abs(inside) > 0.5 * abs(row["bias"]):
        said.append(f"much the same in distribution ({inside:+.2f})")
    before, after = row.get("mae_kept_out", np.nan), row.get("mae_corrected_kept_out", np.nan)
    if np.isfinite(before) and after > (1 - _WARNED_AT) * before:
        said.append("what explains it does not carry over to materials kept out")
    return said


def shifted(table: pd.DataFrame) -> pd.DataFrame:
    """The tasks that are well correlated but shifted, largest shift first."""
    found = table[table["error_class"] == SHIFTED]
    return found.reindex(found["bias"].abs().sort_values(ascending=False, kind="stable").index)
