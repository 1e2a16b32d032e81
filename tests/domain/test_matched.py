import numpy as np
import pytest

from offmap.attributes import attributes
from offmap.crystals import Crystals
from offmap.domain.matched import make_up, match
from offmap.errors import DataError


def test_controls_resemble_the_test_set_and_rarely_repeat() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=3000)
    kind = rng.integers(0, 2, (3000, 1)).astype(float)
    test = np.flatnonzero((y > 0.5) & (kind[:, 0] == 1))[:200]
    pool = np.setdiff1d(np.arange(3000), test)
    control = match(y, kind, test, pool)
    assert len(np.unique(control)) > 170
    assert not np.isin(control, test).any()
    assert y[control].std() == pytest.approx(y[test].std(), rel=0.15)
    assert kind[control].mean() > 0.95
    with pytest.raises(DataError, match="no material outside"):
        match(y, kind, test, pool[:0])


def test_make_up_counts_elements_and_families() -> None:
    found = make_up(attributes(Crystals.from_formulas(["NaCl", "KF", "Fe2O3"], list("abc"))))
    np.testing.assert_array_equal(found[0], found[1])
    assert found[:, 0].tolist() == [2, 2, 2]
    assert (found[2] != found[0]).any()
