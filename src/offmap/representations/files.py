"""Features of a dataset as a Parquet file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import MATERIAL_ID
from offmap.datasets.base import Dataset
from offmap.errors import DataError
from offmap.progress import Progress
from offmap.representations.base import Representation
from offmap.representations.featurize import featurize, load_representation
from offmap.representations.text import descriptions


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
    """Write ``material_id`` and one column per feature; materials that failed are left out.

    Of a representation that ``is_text`` the one column holds the words.
    """
    described = load_representation(representation)
    values, reasons = _values(dataset, representation, described, jobs, progress)
    kept = np.setdiff1d(np.arange(len(dataset)), list(reasons))
    if not len(kept):
        why = f", such as: {next(iter(reasons.values()))}" if reasons else ""
        raise DataError(
            f"no crystal of {dataset.name} could be described by {representation!r}{why}"
        )
    frame = pd.DataFrame(values[kept], columns=list(described.columns))
    frame.insert(0, MATERIAL_ID, dataset.frame[MATERIAL_ID].to_numpy()[kept])
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    frame.to_parquet(temporary, compression="zstd", index=False)
    temporary.replace(out)
    return Written(len(kept), len(described.columns), dict(Counter(reasons.values())))


def _values(
    dataset: Dataset,
    name: str,
    described: Representation,
    jobs: int,
    progress: Progress | None,
) -> tuple[NDArray[Any], dict[int, str]]:
    """Numbers or words, shape (n, n_columns), and why some rows have none."""
    if getattr(described, "is_text", False):
        words = descriptions(dataset.crystals, jobs=jobs, progress=progress)
        return words.texts[:, None], words.reasons
    features = featurize(dataset.crystals, name, jobs, progress)
    return features.values, features.reasons
