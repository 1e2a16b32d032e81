"""The domain stage of a study: score every task with every detector, judge, write the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from offmap import registry
from offmap.domain.calibration import FALSE_ALARMS
from offmap.domain.detectors import DETECTORS, SIGNALS
from offmap.domain.from_study import materials_of, numbers_of, predictions
from offmap.domain.judge import Predictions, judge
from offmap.domain.maps import domain_map
from offmap.domain.scoring import score_tasks
from offmap.domain.tables import Domain, beside, tables_of, together, write, written
from offmap.errors import DataError, SettingsError
from offmap.inputs import Inputs
from offmap.memory import say_if_short, to_find_domain
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
    held_out: Sequence[str] = (),
    embedded: str = "",
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
        Names of detectors that vote; by default :data:`~offmap.domain.detectors.DETECTORS`.
    rate
        Share of in-distribution materials that may be called out of domain.
    pruned
        In the faithful mode, leave out features that are correlated with another one.
    held_out
        Only these tasks, such as ``element/F``, or all of a criterion; what the tables say of
        others stays. With ``faithful``, verdicts that are already there stay too. Expected errors
        are learned over the chosen tasks: with few of them, detectors alone decide.
    embedded
        In the faithful mode, a network of the study whose embeddings are looked at.

    Raises
    ------
    DataError
        If the study has no features, or too few materials to calibrate.
    UnknownNameError
        If there is no such task, detector or network.
    """
    reporter = reporter or Silent()
    _check(inputs, detectors, rate, faithful, pruned or bool(embedded))
    voting, published = tuple(dict.fromkeys(detectors or DETECTORS)), None
    if faithful:
        from offmap.domain.faithful_study import faithful_study

        published = faithful_study(
            store, inputs, reporter, pruned, held_out=held_out, embedded=embedded
        )
        for name, table in (
            ("domain_faithful", published.tasks), ("domain_faithful_density", published.curves)
        ):  # fmt: skip
            store.write_table(name, beside(store, name, table) if held_out else table, csv=True)
    tables = written(store, inputs, held_out) if published is not None and held_out else None
    if tables is None:
        tables = together(
            [
                part
                for representation in inputs.features
                for part in _representation(
                    store, inputs, representation, voting, jobs, reporter, rate, held_out
                )
            ]
        )
        write(store, tables, partly=bool(held_out))
    maps = published.maps if published is not None else []
    if not maps and not (held_out and store.has_table("domain_map")):
        maps = [domain_map(inputs, representation) for representation in inputs.features]
    if maps:
        store.write_table("domain_map", pd.concat(maps, ignore_index=True))
    return replace(tables, faithful=published.tasks) if published is not None else tables


def _check(
    inputs: Inputs, detectors: Sequence[str] | None, rate: float, faithful: bool, asks: bool
) -> None:
    if not inputs.features:
        raise DataError("a domain needs features: add a representation to the study")
    for name in detectors or ():
        registry.check("detector", name)
    if not 0 < rate < 0.5:
        raise DataError(f"a false-alarm rate lies between 0 and 0.5, not at {rate:g}")
    if asks and not faithful:
        raise SettingsError(
            "--pruned and --embedded are of the published procedure: add --faithful"
        )


def _representation(
    store: Store,
    inputs: Inputs,
    representation: str,
    detectors: tuple[str, ...],
    jobs: int,
    reporter: Reporter,
    rate: float,
    held_out: Sequence[str],
) -> Iterator[Domain]:
    """The tables for each model that the representation can explain."""
    n, n_columns = inputs.features[representation].values.shape
    say_if_short("Domain of each task", to_find_domain(n, n_columns, jobs), reporter)
    materials, tasks = materials_of(inputs, representation)
    chosen = numbers_of(tasks, held_out)
    known = predictions(store, inputs, representation, tasks)
    scores = []
    with reporter.step(f"Domain of each task ({representation})") as progress:
        progress(0, len(chosen))
        for one in score_tasks(materials, (*detectors, *SIGNALS), chosen, jobs):
            scores.append(one)
            progress(len(scores), len(chosen))
    nothing = Predictions("", {}, np.full(len(inputs), np.nan))
    for model in known or [nothing]:
        judged = [judge(one, materials.y, model, rate, detectors) for one in scores]
        yield tables_of(inputs, representation, model, tasks, judged, rate)
