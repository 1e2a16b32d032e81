"""Seeded list of chemically sensible decorations of the prototypes."""

from __future__ import annotations

import itertools
import tomllib
from collections import Counter
from functools import cache

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from prototypes import FOLDER, Prototype, load_prototypes

ANIONS = ("H", "C", "N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "Sb", "Te", "I", "Si", "Ge")
INTERSTITIALS = ("H", "B", "C", "N", "O")
COMMON = ("H", "C", "N", "O", "F", "P", "S", "Cl", "Se", "Br", "Te", "I")
X_TOLERANCE = 0.3
TRIES = 4000
GROUP_CAP = 250


@cache
def load_elements() -> dict[str, dict]:
    """Read ``elements.toml``: electronegativity, oxidation states and class per element."""
    with open(FOLDER / "elements.toml", "rb") as stream:
        return tomllib.load(stream)


def choices(prototype: Prototype, role: str) -> tuple[str, ...]:
    """Return the elements a role may hold.

    Ionic prototypes hold anions in X and Y and metals or metalloids with a positive oxidation
    state elsewhere; interstitial ones hold H, B, C, N or O in Z; all else is metals and
    metalloids. ``roles`` of the prototype overrides.
    """
    table = load_elements()
    listed = prototype.roles.get(role)
    if isinstance(listed, list):
        return tuple(listed)
    if listed == "metal":
        return tuple(e for e, facts in table.items() if facts["class"] == "metal")
    if prototype.kind == "interstitial" and role == "Z":
        return INTERSTITIALS
    if prototype.kind == "ionic" and role in ("X", "Y"):
        return ANIONS
    solid = [e for e, facts in table.items() if facts["class"] != "nonmetal"]
    return tuple(e for e in solid if prototype.kind != "ionic" or table[e].get("cation"))


def multiplicities(prototype: Prototype) -> dict[str, int]:
    """Return how many atoms of each role the conventional cell holds."""
    from ase.spacegroup import Spacegroup

    group = Spacegroup(prototype.group, prototype.setting)
    counts = dict.fromkeys(prototype.role_names, 0)
    filler = iter((0.137, 0.241, 0.373, 0.419, 0.083, 0.291) * 4)
    for role, *xyz in prototype.sites:
        point = [next(filler) if u == "?" else u for u in xyz]
        counts[role] += len(group.equivalent_sites([point], symprec=1e-4)[0])
    return counts


def oxidation_states(prototype: Prototype, role: str, element: str) -> list[float]:
    """Return the oxidation states an element may take in a role."""
    if role in prototype.charge:
        return prototype.charge[role]
    facts = load_elements()[element]
    anion = role in ("X", "Y") or (role in ("O", "N") and element in ("O", "N", "S", "Se"))
    return facts.get("anion", []) if anion else facts.get("cation", [])


def is_neutral(prototype: Prototype, elements: dict[str, str], counts: dict[str, int]) -> bool:
    """Say whether some choice of common oxidation states makes the cell neutral."""
    states = [oxidation_states(prototype, role, elements[role]) for role in counts]
    weights = np.array([counts[role] for role in counts])
    return any(abs(weights @ np.array(q)) < 1e-3 for q in itertools.product(*states))


def is_ordered(prototype: Prototype, elements: dict[str, str]) -> bool:
    """Say whether the anions (X, Y) are the most electronegative, within a tolerance."""
    table = load_elements()
    anions = [table[e]["x"] for role, e in elements.items() if role in ("X", "Y")]
    others = [table[e]["x"] for role, e in elements.items() if role not in ("X", "Y")]
    return not anions or not others or min(anions) >= max(others) - X_TOLERANCE


def fits(prototype: Prototype, elements: dict[str, str]) -> bool:
    """Apply the prototype's limits on the ratio of two covalent radii."""
    if prototype.ratio is None:
        return True
    first, second, low, high = prototype.ratio
    radius = {role: covalent_radii[atomic_numbers[e]] for role, e in elements.items()}
    return low <= radius[first] / radius[second] <= high


def is_sensible(prototype: Prototype, elements: dict[str, str], counts: dict[str, int]) -> bool:
    """Apply every chemical rule of a prototype to a decoration."""
    if len(set(elements.values())) < len(elements) or not fits(prototype, elements):
        return False
    if prototype.kind != "ionic":
        return True
    return is_ordered(prototype, elements) and is_neutral(prototype, elements, counts)


class Balance:
    """Running element counts; rare elements are preferred."""

    def __init__(self, goal: float, common_goal: float):
        self.goal = {e: common_goal if e in COMMON else goal for e in load_elements()}
        self.goal["O"] = 2 * common_goal
        self.counts = dict.fromkeys(self.goal, 0)

    def weight(self, element: str) -> float:
        """Return the sampling weight: steeply falling with the count relative to the goal."""
        return 1.0 / (0.02 + self.counts[element] / self.goal[element]) ** 3

    def add(self, elements) -> None:
        """Count the elements of an accepted decoration."""
        for element in elements:
            self.counts[element] += 1


def draw(prototype: Prototype, balance: Balance, seen: set, rng, counts) -> dict | None:
    """Draw one new sensible decoration, or None where ``TRIES`` draws found none."""
    pools = {role: choices(prototype, role) for role in prototype.role_names}
    odds = {}
    for role, pool in pools.items():
        weights = np.array([balance.weight(e) for e in pool])
        odds[role] = rng.choice(len(pool), size=TRIES, p=weights / weights.sum())
    for i in range(TRIES):
        elements = {role: pools[role][odds[role][i]] for role in pools}
        key = tuple(elements.values())
        if key not in seen and is_sensible(prototype, elements, counts):
            seen.add(key)
            return elements
    return None


def candidates(seed=0, scale=1.0, goal=260, common_goal=520) -> list[dict]:
    """Draw the whole list of candidates in a shuffled order.

    Parameters
    ----------
    seed : int
    scale : float
        Multiplies the number of draws of every prototype.
    goal, common_goal : float
        Wanted count per element, for most elements and for the common anions.

    Returns
    -------
    list of dict
        ``prototype``, ``elements`` (role to symbol) and ``seed`` of each candidate, in the order
        of ``in_order``.
    """
    rng = np.random.default_rng(seed)
    table = load_prototypes()
    order = [name for name, p in table.items() for _ in range(round(p.draws * scale))]
    rng.shuffle(order)
    balance = Balance(goal, common_goal)
    seen = {name: set() for name in table}
    counts = {name: multiplicities(p) for name, p in table.items()}
    exhausted, found = set(), []
    for name in order:
        if name in exhausted:
            continue
        elements = draw(table[name], balance, seen[name], rng, counts[name])
        if elements is None:
            exhausted.add(name)
            continue
        balance.add(elements.values())
        found.append({"prototype": name, "elements": elements, "seed": [seed, len(found)]})
    return in_order(found, [table[row["prototype"]].group for row in found])


def in_order(found: list[dict], groups: list[int]) -> list[dict]:
    """Sort candidates so that wherever the list is cut the space groups are well spread.

    Candidates of a space group are spread evenly over the list; of a space group with more than
    ``GROUP_CAP`` candidates the first that many are, and the rest follow at the end.
    """
    total, rank, keys = Counter(groups), Counter(), []
    for group in groups:
        keys.append((rank[group] + 0.5) / min(total[group], GROUP_CAP))
        rank[group] += 1
    return [found[i] for i in np.argsort(keys, kind="stable")]
