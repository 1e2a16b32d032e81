"""Batched relaxation of small crystals (positions and cell) with CHGNet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from minimise import Minimiser
from potential import Potential
from prototypes import Crystal, wrap

FORCE_LIMIT = 0.07  # eV/angstrom
STRESS_LIMIT = 0.4  # GPa
MAX_EVALUATIONS = 80
MAX_ANGLES = 50_000  # estimated bond angles per crystal, given up during the relaxation
MAX_VOLUME = 150.0  # angstrom**3/atom, given up during the relaxation
GPA = 160.21766208


@dataclass
class Relaxed:
    """The outcome of one relaxation; ``reason`` is empty where it converged."""

    crystal: Crystal
    energy: float
    evaluations: int
    force: float
    stress: float
    reason: str


def relax_all(
    potential: Potential, crystals: Iterable[tuple], pool=20, fixed_cell=False
) -> Iterator[tuple]:
    """Relax a stream of (key, crystal) pairs, ``pool`` at a time.

    Converged and failed crystals leave the pool and the next ones enter.

    Parameters
    ----------
    fixed_cell : bool
        Keep the cell: for molecules in a box.

    Yields
    ------
    (key, Relaxed)
    """
    source = iter(crystals)
    active: list[tuple] = []
    while True:
        active += [(k, Minimiser(c)) for k, c in _take(source, pool - len(active))]
        if not active:
            return
        graphs, failed = _graphs(potential, active)
        yield from failed
        active = [pair for pair, graph in zip(active, graphs, strict=True) if graph is not None]
        graphs = [graph for graph in graphs if graph is not None]
        remaining = []
        results = potential.evaluate(graphs) if graphs else []
        for (key, minimiser), result in zip(active, results, strict=True):
            if fixed_cell:
                result = (*result[:2], np.zeros((3, 3)))
            outcome = _judge(minimiser, *result)
            if outcome is not None:
                yield key, outcome
            else:
                minimiser.step(*result[1:])
                remaining.append((key, minimiser))
        active = remaining


def _take(source: Iterator, count: int) -> list:
    return [item for _, item in zip(range(count), source, strict=False)]


def _graphs(potential: Potential, active: list) -> tuple[list, list]:
    graphs, failed = [], []
    for key, minimiser in active:
        crystal = minimiser.crystal()
        if estimated_angles(crystal) > MAX_ANGLES:
            graphs.append(None)
            failed.append((key, _failure(minimiser, "collapsed cell")))
            continue
        try:
            graphs.append(minimiser.update_graph(potential))
        except (ValueError, RuntimeError, np.linalg.LinAlgError):
            graphs.append(None)
            failed.append((key, _failure(minimiser, "isolated atom")))
    return graphs, failed


def estimated_angles(crystal: Crystal) -> float:
    """Estimate the pairs of neighbours within 3 A from the density: large where cells collapse."""
    neighbours = 4 / 3 * np.pi * 3.0**3 * len(crystal.numbers) / crystal.volume
    return len(crystal.numbers) * neighbours**2


def _judge(minimiser: Minimiser, energy, forces, virial) -> Relaxed | None:
    minimiser.evaluations += 1
    crystal = minimiser.crystal()
    if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(virial).all()):
        return _failure(minimiser, "not finite")
    if crystal.volume > max(MAX_VOLUME * len(crystal.numbers), 1.5 * minimiser.start.volume):
        return _failure(minimiser, "exploded cell")
    force = float(np.linalg.norm(forces, axis=1).max())
    stress = float(np.abs(virial).max() / crystal.volume * GPA)
    done = force < FORCE_LIMIT and stress < STRESS_LIMIT
    if done or minimiser.evaluations >= MAX_EVALUATIONS:
        reason = "" if done else "unconverged"
        crystal = Crystal(crystal.lattice, crystal.numbers, wrap(crystal.frac_coords))
        return Relaxed(crystal, energy, minimiser.evaluations, force, stress, reason)
    return None


def _failure(minimiser: Minimiser, reason: str) -> Relaxed:
    return Relaxed(minimiser.start, np.nan, minimiser.evaluations, np.nan, np.nan, reason)
