"""What the study of networks needs besides offmap: a small data set, its tasks, and a linear model.

    python networks.py mp2018.parquet    # writes mp2018-small.parquet beside it, here
    offmap run study.toml

``study.toml`` names the criterion and the model of this file as ``networks:elements`` and
``networks:ridge``: any module in the folder where a study is run may be named so.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from offmap.attributes import Attributes
from offmap.elements import NUMBERS
from offmap.tasks.membership import Groups

HELD_OUT = ("H", "F", "O", "Ge")
"""Three elements that models fail without, and one that they do well without."""

MOST_SITES = 16


def elements(attributes: Attributes) -> Groups:
    """All materials that contain the element, for four elements."""
    return Groups(HELD_OUT, attributes.has_element[:, [NUMBERS[e] for e in HELD_OUT]])


def ridge() -> Any:
    """A linear model of standardised features, its penalty chosen on the training materials."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        RidgeCV(alphas=[0.1, 1, 10, 100, 1000]),
    )


def main() -> None:
    """Write the crystals of at most 16 sites whose labels are not suspect."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    given = parser.parse_args()
    frame = pd.read_parquet(given.data)
    n_sites = frame["structure"].map(lambda text: len(json.loads(text)["species"]))
    small = frame[(n_sites <= MOST_SITES) & ~frame["suspect"]].reset_index(drop=True)
    small.to_parquet("mp2018-small.parquet")
    print(f"mp2018-small.parquet: {len(small)} of {len(frame)} crystals")


if __name__ == "__main__":
    main()
