"""Features of a dataset as a Parquet file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from offmap.columns import MATERIAL_ID
from offmap.datasets.base import Dataset
from offmap.errors import DataError
from offmap.progress import Progress
from offmap.representations.featurize import featurize


@dataclass(frozen=True)
class Written:
    """What was written, and how many materials were set aside for each reason."""

    n_materials: int
    n_columns: int
    reasons: dict[str, int]


def write_features(
    dataset: Dataset,
    representation: str,
    out: Path,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Written:
    """Write ``material_id`` and one column per feature; materials that failed are left out."""
    features = featurize(dataset.crystals, representation, jobs, progress)
    kept = np.setdiff1d(np.arange(len(dataset)), list(features.reasons))
    if not len(kept):
        raise DataError(f"no crystal of {dataset.name} could be described by {representation!r}")
    frame = pd.DataFrame(features.values[kept], columns=list(features.columns))
    frame.insert(0, MATERIAL_ID, dataset.frame[MATERIAL_ID].to_numpy()[kept])
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    frame.to_parquet(temporary, compression="zstd", index=False)
    temporary.replace(out)
    return Written(len(kept), len(features.columns), dict(Counter(features.reasons.values())))
