"""Built-in representations fit; flaws of others are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offmap.crystals import Crystals
from offmap.registry import TABLES
from offmap.representations.base import Features
from offmap.testing import check_representation, example_crystals


@pytest.mark.parametrize("name", [n for n in TABLES["representation"] if n != "description"])
def test_every_built_in_representation_fits(name: str) -> None:
    check_representation(name)


class Density:
    """Volume and number of sites, with one flaw, chosen by name."""

    name, version, needs_structure = "density", 1, True
    columns: tuple[str, ...] = ("volume_per_atom", "n_sites")
    blocks = {"structure": ("volume_per_atom", "n_sites")}
    flaw = ""

    def featurize(self, crystals: Crystals) -> Features:
        volume = np.abs(np.linalg.det(crystals.lattice)) / crystals.n_sites
        values = np.column_stack([volume, crystals.n_sites]).astype(np.float64)
        match self.flaw:
            case "order":
                values[:, 0] = np.arange(len(values))
            case "batch":
                values[:, 0] -= values[:, 0].mean()
            case "random":
                values[:, 0] += np.random.default_rng().normal(size=len(values))
            case "shape":
                values = values[:, :1]
            case "type":
                values = values.astype(np.float32)
            case "nan":
                values[3:4] = np.nan
            case "infinite":
                values[3:4, 0] = np.inf
            case "lattice":
                values[:, 0] = crystals.lattice[:, 0, 0]
        return Features(values, self.columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flaw": "order"}, "order of the crystals"),
        ({"flaw": "batch"}, "other crystals of the batch"),
        ({"flaw": "random"}, "not deterministic"),
        ({"flaw": "shape"}, r"values have shape \(72, 1\)"),
        ({"flaw": "type"}, "float32, not float64"),
        ({"flaw": "nan"}, r"without a reason: \[3\]"),
        ({"flaw": "infinite"}, "infinite values in .*volume_per_atom"),
        ({"columns": ("a", "a")}, "column names repeat"),
        ({"blocks": {"all": ("mass",)}}, r"blocks name other columns: \['mass'\]"),
        ({"needs_structure": False, "flaw": "bare"}, "without structures"),
        ({"blocks": property(lambda self: self.nothing)}, "has no blocks"),
    ],
)
def test_flaws_of_representations_are_found(change: dict[str, Any], message: str) -> None:
    class Bare(Density):
        def featurize(self, crystals: Crystals) -> Features:
            if self.flaw == "bare" and not crystals.has_structure:
                raise ValueError("no lattice")
            return super().featurize(crystals)

    flawed = type("Flawed", (Bare,), change)
    with pytest.raises(AssertionError, match=message):
        check_representation(flawed)


def test_a_representation_without_flaw_and_what_is_worth_knowing() -> None:
    assert not check_representation(Density).remarks
    turned = type("Lattice", (Density,), {"flaw": "lattice"})
    assert check_representation(turned).remarks == ["values change when the crystal is turned"]


def test_example_crystals_are_of_three_kinds() -> None:
    crystals = example_crystals()
    assert len(crystals) == 72
    assert len(set(crystals.formula)) == 24
