"""Two coordinates per material, to draw: no verdict looks at them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import MATERIAL_ID
from offmap.domain.moments import Moments
from offmap.domain.spaces import whitened
from offmap.inputs import Inputs

COMPONENTS, PUBLISHED = "principal components", "UMAP of all materials"
"""How the coordinates were found."""


def domain_map(
    inputs: Inputs, representation: str, points: NDArray[np.floating] | None = None
) -> pd.DataFrame:
    """Where each material lies on a flat map of all materials.

    Parameters
    ----------
    inputs
        Materials and features.
    representation
        Which features.
    points
        Coordinates of the published map, shape (n, 2); by default the first two principal
        components, drawn in by asinh so that a few far ones do not squeeze the rest.

    Returns
    -------
    DataFrame
        ``material_id``, ``representation``, ``x``, ``y``, ``kind``.
    """
    kind = COMPONENTS if points is None else PUBLISHED
    if points is None:
        X = inputs.features[representation].values
        points = np.arcsinh(whitened(Moments.of(X), 2)(X))
    if points.shape[1] < 2:  # a single feature that varies
        points = np.column_stack([points, np.zeros(len(points))])
    return pd.DataFrame(
        {
            MATERIAL_ID: inputs.material_id,
            "representation": representation,
            "x": points[:, 0].astype(np.float32),
            "y": points[:, 1].astype(np.float32),
            "kind": kind,
        }
    )
