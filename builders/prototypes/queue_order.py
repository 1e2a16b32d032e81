"""In which order the candidates that are left are relaxed."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from prototypes import load_prototypes

GROUP_GOAL = 206  # finished crystals wanted per space group before anything else


def remaining(rows: list[dict], done: list[dict]) -> list[int]:
    """Return the candidates that are not done, in the order of the list."""
    finished = {row["index"] for row in done}
    return [i for i in range(len(rows)) if i not in finished]


def cheap_first(rows: list[dict], done: list[dict], goal=GROUP_GOAL) -> list[int]:
    """Return the candidates that are not done, in the order that fills space groups fastest.

    First, for each space group that can reach ``goal``, its cheapest prototypes up to the
    goal, all space groups in step; then the rest by cost times the share of the goal reached.
    The cost of a prototype is the mean of atoms times evaluations over what is done.
    """
    table = load_prototypes()
    cost = prototype_costs(done)
    typical = float(np.mean(list(cost.values())))
    total = Counter(table[row["prototype"]].group for row in rows)
    reached = Counter(table[row["prototype"]].group for row in done if not row["reason"])
    left = defaultdict(list)
    for i in remaining(rows, done):
        left[table[rows[i]["prototype"]].group].append((cost.get(rows[i]["prototype"], typical), i))
    keys = []
    for group, members in left.items():
        for place, (price, i) in enumerate(sorted(members), start=reached[group]):
            urgent = place < goal <= total[group]
            keys.append((0, place, i) if urgent else (1, price * (place + 1) / goal, i))
    return [i for _, _, i in sorted(keys)]


def prototype_costs(done: list[dict]) -> dict[str, float]:
    """Return the mean of atoms times evaluations of each prototype."""
    costs = defaultdict(list)
    for row in done:
        costs[row["prototype"]].append(len(row["numbers"]) * row["evaluations"])
    return {name: float(np.mean(values)) for name, values in costs.items()}
