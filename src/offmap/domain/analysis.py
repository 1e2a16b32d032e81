"""The domain stage of a study: score every task with every detector, judge, write the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from offmap import registry
from offmap.domain.calibration import FALSE_ALARMS
from offmap.domain.detectors import DETECTORS, SIGNALS
from offmap.domain.from_study import materials_of, predictions
from offmap.domain.judge import Predictions, judge
from offmap.domain.maps import domain_map
from offmap.domain.scoring import score_tasks
from offmap.domain.tables import Domain, tables_of, together
from offmap.errors import DataError
from offmap.inputs import Inputs
from offmap.progress import Reporter, Silent
from offmap.store import Store


def domain(
    store: Store,
    inputs: Inputs,
    jobs: int = 1,
    reporter: Reporter | None = None,
    faithful: bool = False,
    detectors: Sequence[str] | None = None,
    rate: float = FALSE_ALARMS,
    pruned: bool = False,
) -> Domain:
    """Say of each task and each test material whether it lies in the domain of the training set.

    Nothing is fitted on test rows. Works with no model trained, and says more once there are: which
    detector goes with the error, and what error to expect.

    Parameters
    ----------
    store
        The study folder; tables ``domain``, ``verdicts``, ``detectors``, ``risk_coverage`` and
        ``domain_map`` are written there.
    inputs
        What :func:`offmap.inputs.prepare` gave for the same study, with features.
    jobs
        Tasks at once.
    faithful
        Also do exactly what the study did: tables ``domain_faithful`` and
        ``domain_faithful_density``, and its map.
    detectors
        Names of detectors that vote; by default :data:`DETECTORS`.
    rate
        Share of in-distribution materials that may be called out of domain.
    pruned
        In the faithful mode, leave out features that are correlated with another one.

    Raises
    ------
    DataError
        If the study has no features, or too few materials to calibrate.
    """
    reporter = reporter or Silent()
    if not inputs.features:
        raise DataError("a domain needs features: add a representation to the study")
    for name in detectors or ():
        registry.check("detector", name)
    if not 0 < rate < 0.5:
        raise DataError(f"a false-alarm rate lies between 0 and 0.5, not at {rate:g}")
    chosen = tuple(dict.fromkeys(detectors or DETECTORS))
    parts = [
        part
        for representation in inputs.features
        for part in _representation(store, inputs, representation, chosen, jobs, reporter, rate)
    ]
    tables = together(parts)
    store.write_table("domain", tables.materials)
    store.write_table("verdicts", tables.verdicts, csv=True)
    store.write_table("detectors", tables.detectors, csv=True)
    store.write_table("risk_coverage", tables.risk, csv=True)
    maps = [domain_map(inputs, representation) for representation in inputs.features]
    if faithful:
        from offmap.domain.faithful import faithful_study

        found = faithful_study(store, inputs, reporter, pruned)
        store.write_table("domain_faithful", found.tasks, csv=True)
        store.write_table("domain_faithful_density", found.curves, csv=True)
        maps = found.maps
    store.write_table("domain_map", pd.concat(maps, ignore_index=True))
    return tables


def _representation(
    store: Store,
    inputs: Inputs,
    representation: str,
    detectors: tuple[str, ...],
    jobs: int,
    reporter: Reporter,
    rate: float,
) -> Iterator[Domain]:
    """The tables for each model that the representation can explain."""
    materials, tasks = materials_of(inputs, representation)
    known = predictions(store, inputs, representation, tasks)
    scores = []
    with reporter.step(f"Domain of each task ({representation})") as progress:
        progress(0, len(tasks))
        for one in score_tasks(materials, (*detectors, *SIGNALS), jobs=jobs):
            scores.append(one)
            progress(len(scores), len(tasks))
    nothing = Predictions("", {}, np.full(len(inputs), np.nan))
    for model in known or [nothing]:
        judged = [judge(one, materials.y, model, rate, detectors) for one in scores]
        yield tables_of(inputs, representation, model, tasks, judged, rate)
