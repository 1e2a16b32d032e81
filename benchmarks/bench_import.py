"""A large synthetic database through import, load, symmetry, tasks and features.

``python benchmarks/bench_import.py --materials 1000000 --jobs 2`` writes a zip of one JSON list in
the form of JARVIS's OQMD file (embedded prototypes with other elements, scaled; one in ten
rattled), and measures each stage in a process of its own. Memory is that of the whole process
tree (proportional set size, sampled; Linux). Features are made for a sample and extrapolated.
With ``--folder`` the files and the results are kept, and a second start does what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np

STAGES = ("import", "load", "attributes", "tasks", "features")
SEED = 0


def write_database(path: Path, n: int) -> None:
    """Write ``n`` materials with the keys and the layout of ``all_oqmd.json``."""
    from offmap.datasets import load
    from offmap.elements import SYMBOLS

    rng = np.random.default_rng(SEED)
    known = load("prototypes").crystals
    allowed = np.setdiff1d(np.arange(1, 95), [2, 10, 18, 36, 54, 61, 84, 85, 86, 87, 88])
    temporary = path.with_suffix(".part")
    with (
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("all_oqmd.json", "w", force_zip64=True) as file,
    ):
        for i in range(n):
            crystal = known.crystal(i % len(known))
            kinds, which = np.unique(crystal.numbers, return_inverse=True)
            chosen = rng.choice(allowed, len(kinds), replace=False)
            lattice = crystal.lattice * rng.uniform(0.95, 1.1)
            coords = crystal.frac_coords
            if i % 10 == 9:
                coords = coords + rng.normal(0, 0.005, coords.shape)
            lengths = np.linalg.norm(lattice, axis=1)
            row = {
                "_oqmd_entry_id": i,
                "_oqmd_delta_e": round(float(rng.normal(-0.5, 1)), 6),
                "_oqmd_band_gap": round(float(max(rng.normal(0, 1), 0)), 4),
                "_oqmd_stability": round(float(rng.normal(0.2, 0.2)), 6),
                "atoms": {
                    "lattice_mat": lattice.round(8).tolist(),
                    "coords": coords.round(8).tolist(),
                    "elements": [f"{SYMBOLS[z]} " for z in chosen[which]],
                    "abc": lengths.tolist(),
                    "angles": [90.0, 90.0, 90.0],
                    "cartesian": False,
                    "props": [""] * len(coords),
                },
            }
            file.write(("[" if i == 0 else ", ").encode() + json.dumps(row).encode())
        file.write(b"]")
    temporary.replace(path)


# -- stages, each in a process of its own -------------------------------------------------------


def run_stage(stage: str, folder: Path, jobs: int, n_features: int) -> dict[str, object]:
    """Do one stage; the result says how much was done."""
    os.environ["OFFMAP_CACHE"] = str(folder / "cache")
    out = folder / "materials.parquet"
    if stage == "import":
        from offmap.datasets import convert_source

        done = convert_source(folder / "all_oqmd.json.zip", out)
        return {"materials": done.n_materials, "set aside": done.n_rejected}
    import pandas as pd

    from offmap.datasets import load

    limit = n_features if stage == "features" else 0
    dataset = load(out, target="_oqmd_delta_e", limit=limit)
    if stage == "load":
        return {"materials": len(dataset), "set aside": len(dataset.rejected)}
    if stage == "attributes":
        from offmap.attributes import attributes

        found = attributes(dataset.crystals, jobs=jobs)
        found.frame.to_parquet(folder / "attributes.parquet")
        np.save(folder / "has_element.npy", found.has_element)
        return {"materials": len(found)}
    if stage == "tasks":
        from offmap.attributes import Attributes
        from offmap.columns import STUDY_CRITERIA
        from offmap.tasks.membership import membership

        frame = pd.read_parquet(folder / "attributes.parquet")
        found = Attributes(frame, np.load(folder / "has_element.npy"))
        grouped = membership(found, STUDY_CRITERIA)
        tasks = grouped.tasks(200)
        kept = grouped.select(tasks["kept"].to_numpy())
        kept.members(frame["material_id"].tolist()).to_parquet(folder / "members.parquet")
        return {"materials": len(found), "tasks": len(tasks), "kept": len(kept)}
    from offmap.representations.featurize import featurize

    features = featurize(dataset.crystals, "matminer", jobs)
    return {"materials": len(dataset), "failed": len(features.reasons)}


def measure(stage: str, folder: Path, jobs: int, n_features: int) -> dict[str, object]:
    """Time and memory of one stage, from outside."""
    command = [sys.executable, __file__, "--stage", stage, "--folder", str(folder)]
    command += ["--jobs", str(jobs), "--features", str(n_features)]
    begun, before = time.perf_counter(), os.times()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process, peak))
    watcher.start()
    text, _ = process.communicate()
    watcher.join()
    after = os.times()
    if process.returncode:
        raise SystemExit(f"stage {stage} failed")
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return {
        "stage": stage,
        **json.loads(text.splitlines()[-1]),
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu seconds": round(cpu, 1),
        "peak GB": round(peak[0] / 1e9, 2),
    }


def _watch(process: subprocess.Popen[str], peak: list[int]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], sum(map(_memory, _tree(process.pid))))
        time.sleep(0.25)


def _tree(root: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rpartition(")")[2].split()[1]
                )
            except OSError:
                continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _memory(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def main() -> None:
    """Make the database, run the stages, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--materials", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        facts = run_stage(options.stage, options.folder, options.jobs, options.features)
        print(json.dumps(facts))
        return
    import pandas as pd

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "all_oqmd.json.zip"
        if not path.exists():
            begun = time.perf_counter()
            write_database(path, options.materials)
            print(f"made in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        size = zipfile.ZipFile(path).infolist()[0].file_size
        print(f"{path.stat().st_size / 1e6:.0f} MB zip of {size / 1e9:.2f} GB JSON")
        rows = []
        for stage in options.stages:
            kept = folder / f"{stage}.json"
            if not kept.exists():
                sample = min(options.features, options.materials)
                kept.write_text(json.dumps(measure(stage, folder, options.jobs, sample)))
            rows.append(json.loads(kept.read_text()))
            print(rows[-1], file=sys.stderr)
    table = pd.DataFrame(rows)
    print(table.fillna("").to_string(index=False))
    features = next((row for row in rows if row["stage"] == "features"), None)
    if features:
        scale = options.materials / features["materials"] / 3600
        print(
            f"features of {options.materials:,} materials, extrapolated from "
            f"{features['materials']:,}: {features['seconds'] * scale:.2g} h here, "
            f"{features['cpu seconds'] * scale:.2g} core-hours"
        )


if __name__ == "__main__":
    main()
