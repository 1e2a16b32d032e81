"""How long it takes to find who belongs to which task: run this file."""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from offmap.attributes import (
    _CRYSTAL_SYSTEMS,
    _POINT_GROUPS,
    Attributes,
    _lookup,
    chemical_systems,
)
from offmap.registry import names
from offmap.tasks.membership import membership


def random_attributes(n: int) -> Attributes:
    """Attributes of ``n`` made-up materials of two to six elements."""
    rng = np.random.default_rng(0)
    has_element = np.zeros((n, 119), dtype=bool)
    for _ in range(6):
        has_element[np.arange(n), rng.integers(1, 95, n)] = True
    space_group = rng.integers(1, 231, n).astype(np.int16)
    frame = pd.DataFrame(
        {
            "material_id": [f"mp-{i}" for i in range(n)],
            "chemical_system": chemical_systems(has_element),
            "n_elements": has_element.sum(axis=1),
            "space_group": space_group,
            "point_group": _lookup(_POINT_GROUPS)[space_group],
            "crystal_system": _lookup(_CRYSTAL_SYSTEMS)[space_group],
        }
    )
    return Attributes(frame, has_element)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--materials", type=int, default=99_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    found = random_attributes(options.materials)
    criteria = list(names("criterion"))
    rows = []
    for chosen in [[c] for c in criteria] + [criteria]:
        seconds, cpu = np.inf, np.inf
        for _ in range(options.repeats):
            begun = time.perf_counter(), time.process_time()
            tasks = membership(found, chosen)
            tasks.tasks(200)
            seconds = min(seconds, time.perf_counter() - begun[0])
            cpu = min(cpu, time.process_time() - begun[1])
        name = chosen[0] if len(chosen) == 1 else "all"
        rows.append((name, len(found), len(tasks), round(seconds, 3), round(cpu, 3)))
    columns = ["criterion", "materials", "tasks", "seconds", "cpu seconds"]
    print(pd.DataFrame(rows, columns=columns).to_string(index=False))


if __name__ == "__main__":
    main()
