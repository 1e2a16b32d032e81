"""Matminer descriptors: offmap and matminer side by side on the same crystals, one core each.

    python benchmarks/bench_matminer.py mp2018.parquet --n 300 --whole
    python benchmarks/bench_matminer.py mp2018.parquet --n 40 --sparse
    python benchmarks/bench_matminer.py jdft_3d-12-12-2022.json.zip --n 60

Blocks of crystals go through offmap and matminer in turn, each in a process of its own, so that
both see the same load of the machine; times are CPU seconds. Where values differ, a tessellation by
Qhull on an explicit cloud of images, large enough that the cells fill the crystal, is the referee.
Prints a Markdown table; ``--residuals FILE`` writes the residual of every column as CSV.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.crystals import Crystal, Crystals
from offmap.elements import NUMBERS
from offmap.representations.matminer import Matminer

N_STRUCTURE = 128
BLOCK = 20


def read(path: Path) -> Crystals:
    """Crystals of a parquet table with a ``structure`` column, or of a JARVIS zip."""
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path, columns=["material_id", "structure"])
        entries = [(i, json.loads(s)) for i, s in zip(*(frame[c] for c in frame), strict=True)]
        items = [(i, e["lattice"], e["species"], e["frac_coords"]) for i, e in entries]
    else:
        with zipfile.ZipFile(path) as archive:
            rows = json.loads(archive.read(archive.namelist()[0]))
        pairs = [(row["jid"], row["atoms"]) for row in rows]
        items = [
            (i, a["lattice_mat"], [s.strip() for s in a["elements"]], _fractional(a))
            for i, a in pairs
        ]
    return Crystals.from_list(
        Crystal(
            str(i),
            np.array(lattice, float),
            np.array([NUMBERS[s] for s in species], np.uint8),
            np.array(coords, float).reshape(-1, 3),
        )
        for i, lattice, species, coords in items
    )


def _fractional(atoms: dict) -> NDArray[np.float64]:
    coords = np.array(atoms["coords"], float)
    return coords @ np.linalg.inv(atoms["lattice_mat"]) if atoms.get("cartesian") else coords


@dataclass
class Result:
    """What one tool made of some crystals."""

    values: list[NDArray[np.float64]] = field(default_factory=list)
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    peak_mib: float = 0.0

    def add(self, other: Result) -> None:
        """Append the next block."""
        self.values += other.values
        self.seconds += other.seconds
        self.failures += other.failures
        self.peak_mib = max(self.peak_mib, other.peak_mib)


def peak_mib() -> float:
    """Largest memory of this process so far, MiB.

    From ``/proc``: what getrusage reports in a new process starts at the memory of its parent.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def run_offmap(crystals: Crystals) -> Result:
    """Describe a block with offmap."""
    start = time.process_time()
    features = Matminer().featurize(crystals)
    seconds = time.process_time() - start
    return Result(list(features.values), seconds, list(features.reasons.values()), peak_mib())


def run_matminer(crystals: Crystals) -> Result:
    """Describe a block with matminer; the making of pymatgen objects is not counted."""
    warnings.simplefilter("ignore")
    from matminer.featurizers import composition as of_composition
    from matminer.featurizers import structure as of_structure

    fingerprint = of_structure.SiteStatsFingerprint.from_preset
    structural = [
        fingerprint("CoordinationNumber_ward-prb-2017"),
        fingerprint("LocalPropertyDifference_ward-prb-2017"),
        of_structure.StructuralHeterogeneity(),
        of_structure.MaximumPackingEfficiency(),
        of_structure.ChemicalOrdering(),
    ]
    compositional = [
        of_composition.Stoichiometry(),
        of_composition.ElementProperty.from_preset("magpie"),
        of_composition.ValenceOrbital(props=["frac"]),
        of_composition.IonProperty(fast=True),
    ]
    result = Result()
    for structure in crystals.to_pymatgen():
        structure.translate_sites(range(len(structure)), [0, 0, 0], to_unit_cell=True)
        start = time.process_time()
        try:
            row = [v for f in structural for v in f.featurize(structure)]
        except Exception as error:
            row = [np.nan] * N_STRUCTURE
            result.failures.append(f"{type(error).__name__}: {str(error).splitlines()[0][:70]}")
        row += [v for f in compositional for v in f.featurize(structure.composition)]
        result.seconds += time.process_time() - start
        result.values.append(np.array(row, dtype=float))
    result.peak_mib = peak_mib()
    return result


def compare(crystals: Crystals) -> tuple[Result, Result]:
    """Both tools on the same crystals, block by block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = Result(), Result()
    with ProcessPoolExecutor(1, context) as a, ProcessPoolExecutor(1, context) as b:
        warm = crystals.take(np.arange(1))
        a.submit(run_offmap, warm).result()  # compilation and imports are not timed
        b.submit(run_matminer, warm).result()
        for start in range(0, len(crystals), BLOCK):
            block = crystals.take(np.arange(start, min(start + BLOCK, len(crystals))))
            ours.add(a.submit(run_offmap, block).result())
            theirs.add(b.submit(run_matminer, block).result())
            print(f"{start + len(block)} of {len(crystals)}", end="\r", flush=True)
    return ours, theirs


def residuals(found: NDArray[np.float64], expected: NDArray[np.float64]) -> pd.DataFrame:
    """Residual of every column over the crystals that both describe."""
    both = np.isfinite(expected).all(axis=1) & np.isfinite(found).all(axis=1)
    found, expected = found[both], expected[both]
    absolute = np.abs(found - expected)
    relative = absolute / np.maximum(np.abs(expected), 1e-12)
    relative[absolute <= 1e-12] = 0
    within = (absolute <= 1e-6) | (relative <= 1e-4)
    return pd.DataFrame(
        {
            "descriptor": Matminer.columns,
            "block": ["structure"] * N_STRUCTURE + ["composition"] * 145,
            "median absolute": np.median(absolute, axis=0),
            "largest absolute": absolute.max(axis=0),
            "largest relative": relative.max(axis=0),
            "within tolerance": within.mean(axis=0),
        }
    )


def by_qhull(crystal: Crystal) -> tuple[float, float]:
    """Mean effective coordination number and packing efficiency from an explicit cloud of atoms.

    The cloud grows until the Voronoi cells of the crystal's sites fill its cell.
    """
    from scipy.spatial import QhullError, Voronoi

    lattice, coords = crystal.lattice, crystal.frac_coords % 1
    volume, n = abs(np.linalg.det(lattice)), len(coords)
    reach = np.linalg.norm(np.linalg.inv(lattice), axis=0)
    radius = 15.0
    while True:
        most = np.ceil(radius * reach).astype(int) + 1
        images = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in most]), -1).reshape(-1, 3)
        images = images[np.argsort((images != 0).any(axis=1), kind="stable")]
        cloud = ((coords[None] + images[:, None]).reshape(-1, 3)) @ lattice
        near = np.min([np.linalg.norm(cloud - site, axis=1) for site in cloud[:n]], axis=0)
        cloud = cloud[near <= radius]
        try:
            voronoi = Voronoi(cloud)
        except QhullError:  # all atoms of so small a cloud lie in a plane
            radius *= 1.3
            continue
        total, squares, filled = np.zeros(n), np.zeros(n), 0.0
        nearest = np.full(n, np.inf)
        for (a, b), corners in zip(voronoi.ridge_points, voronoi.ridge_vertices, strict=True):
            if min(a, b) >= n or -1 in corners:
                continue
            arms = voronoi.vertices[corners[1:]] - voronoi.vertices[corners[0]]
            area = 0.5 * np.linalg.norm(np.cross(arms[:-1], arms[1:]).sum(axis=0))
            distance = np.linalg.norm(cloud[a] - cloud[b])
            for site in (a, b):
                if site < n:
                    total[site] += area
                    squares[site] += area**2
                    filled += area * distance / 6
                    nearest[site] = min(nearest[site], distance)
        if abs(filled / volume - 1) < 1e-6:
            packing = 4 / 3 * np.pi * ((nearest / 2) ** 3).sum() / volume
            return float((total**2 / squares).mean()), float(packing)
        radius *= 1.3


def disputes(crystals: Crystals, ours: Result, theirs: Result) -> list[str]:
    """Crystals on which the two differ or matminer fails, with the referee's word."""
    columns = [Matminer.columns.index(c) for c in ("mean CN_VoronoiNN", "max packing efficiency")]
    lines = []
    for k, (a, b) in enumerate(zip(ours.values, theirs.values, strict=True)):
        apart = np.abs(a - b)[:N_STRUCTURE]
        within = (apart <= 1e-6) | (apart <= 1e-4 * np.abs(b[:N_STRUCTURE]))
        if within.all():
            continue
        judged = by_qhull(crystals.crystal(k))
        numbers = [
            f"{v:.6f}" for pair in zip(a[columns], b[columns], judged, strict=True) for v in pair
        ]
        name = f"{crystals.material_id[k]} ({crystals.formula[k]})"
        lines.append(f"| {name} | {int((~within).sum())} | " + " | ".join(numbers) + " |")
    return lines


def whole(crystals: Crystals) -> list[str]:
    """Wall time and memory of the whole table with the package's own driver on 2 processes."""
    from offmap.representations.featurize import featurize

    lines = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["OFFMAP_CACHE"] = cache
        for what in ("first time", "again, from the cache"):
            start = time.perf_counter()
            features = featurize(crystals, "matminer", jobs=2)
            seconds = time.perf_counter() - start
            largest = max(peak_mib(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
            lines.append(
                f"| all {len(crystals):,} crystals, 2 processes, {what} | {seconds:.1f} s,"
                f" {len(features.reasons)} set aside, no process above {largest:.0f} MiB | |"
            )
    return lines


def report(crystals: Crystals, ours: Result, theirs: Result) -> list[str]:
    """The comparison as a Markdown table."""
    n = len(crystals)
    table = residuals(np.array(ours.values), np.array(theirs.values))
    both = n - len(theirs.failures)
    lines = ["| | offmap | matminer |", "|---|---|---|"]
    lines.append(
        f"| CPU time per crystal ({n} crystals, {crystals.n_sites.mean():.1f} sites on average) |"
        f" {ours.seconds / n * 1e3:.3f} ms | {theirs.seconds / n:.3f} s |"
    )
    lines.append(f"| ratio | 1 | {theirs.seconds / ours.seconds:,.0f} |")
    lines.append(f"| crystals that failed | {len(ours.failures)} | {len(theirs.failures)} |")
    lines.append(f"| peak memory | {ours.peak_mib:.0f} MiB | {theirs.peak_mib:.0f} MiB |")
    for block, rows in table.groupby("block", sort=False):
        lines.append(
            f"| {block}: values within tolerance ({both} crystals) |"
            f" {100 * rows['within tolerance'].mean():.3f} % | |"
        )
        lines.append(f"| {block}: largest residual | {rows['largest absolute'].max():.1e} | |")
    lines += [f"| matminer failed: {why} | | {k} |" for why, k in Counter(theirs.failures).items()]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="parquet with structures, or a JARVIS json.zip")
    parser.add_argument("--n", type=int, default=100, help="crystals to compare")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sparse", action="store_true", help="the emptiest small crystals instead")
    parser.add_argument("--whole", action="store_true", help="also time the whole table")
    parser.add_argument("--residuals", type=Path, help="write the residual of every column here")
    arguments = parser.parse_args()

    table = read(arguments.data)
    n = min(arguments.n, len(table))
    if arguments.sparse:
        small = table.take(table.n_sites <= 14)
        packing = (
            Matminer().featurize(small).values[:, Matminer.columns.index("max packing efficiency")]
        )
        crystals = small.take(np.sort(np.argsort(packing)[:n]))
    else:
        chosen = np.random.default_rng(arguments.seed).choice(len(table), n, replace=False)
        crystals = table.take(np.sort(chosen))
    ours, theirs = compare(crystals)
    print(*report(crystals, ours, theirs), sep="\n")
    if arguments.whole:
        print(*whole(table), sep="\n")
    if lines := disputes(crystals, ours, theirs):
        print("\n| crystal | values apart | coordination: offmap | matminer | Qhull |"
              " packing: offmap | matminer | Qhull |")  # fmt: skip
        print("|---|---|---|---|---|---|---|---|", *lines, sep="\n")
    if arguments.residuals:
        found, expected = np.array(ours.values), np.array(theirs.values)
        residuals(found, expected).to_csv(arguments.residuals, index=False, float_format="%.2g")


if __name__ == "__main__":
    main()
