"""The table of crystal prototypes and the ideal crystals made from it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import minkowski_reduce
from ase.spacegroup import Spacegroup
from ase.spacegroup.spacegroup import SpacegroupValueError

FOLDER = Path(__file__).parent
CONTACT = {"ionic": 0.95, "interstitial": 0.93, "alloy": 0.87, "element": 0.95}


@dataclass(frozen=True)
class Prototype:
    """One structure type: a space group, the shape of the cell and the occupied orbits.

    Sites are ``(role, x, y, z)``; a coordinate ``"?"`` is drawn at random per decoration.
    """

    name: str
    group: int
    sites: tuple
    kind: str
    draws: int
    cell: tuple | None = None
    setting: int = 1
    dims: int = 3
    random: bool = False
    roles: dict = field(default_factory=dict)
    charge: dict = field(default_factory=dict)
    ratio: tuple | None = None
    only: tuple | None = None

    @property
    def role_names(self) -> tuple[str, ...]:
        """Return the roles in order of first appearance."""
        return tuple(dict.fromkeys(site[0] for site in self.sites))


@dataclass(frozen=True)
class Crystal:
    """A periodic crystal: lattice rows (angstrom), atomic numbers, fractional coordinates."""

    lattice: np.ndarray
    numbers: np.ndarray
    frac_coords: np.ndarray

    @property
    def volume(self) -> float:
        """Return the volume of the cell in cubic angstrom."""
        return float(abs(np.linalg.det(self.lattice)))


@cache
def load_prototypes(file="prototypes.toml") -> dict[str, Prototype]:
    """Read a table of prototypes that lies beside this module."""
    with open(FOLDER / file, "rb") as stream:
        table = tomllib.load(stream)
    return {name: _prototype(name, entry) for name, entry in table.items()}


def _prototype(name: str, entry: dict) -> Prototype:
    entry = dict(entry)
    entry["sites"] = tuple(tuple(site) for site in entry["sites"])
    return Prototype(name=name, **entry)


def ideal_crystal(prototype: Prototype, elements: dict[str, str], seed=(0,)) -> Crystal:
    """Decorate a prototype and scale it so that the closest atoms just touch.

    Parameters
    ----------
    prototype : Prototype
    elements : dict
        Role to element symbol.
    seed : sequence of int
        Used by random prototypes only.

    Returns
    -------
    Crystal
        A primitive cell.
    """
    if prototype.random:
        return random_crystal(prototype, elements, np.random.default_rng(seed))
    sites = [(elements[role], *xyz) for role, *xyz in prototype.sites]
    crystal = expand(prototype, sites, cell_matrix(prototype.cell))
    return scaled_to_contact(crystal, CONTACT[prototype.kind])


def random_crystal(prototype: Prototype, elements: dict[str, str], rng, tries=40) -> Crystal:
    """Draw cells and free coordinates; keep the most compact of ``tries`` crystals."""
    best = None
    for _ in range(tries):
        sites = [
            (elements[role], *(rng.random() if u == "?" else u for u in xyz))
            for role, *xyz in prototype.sites
        ]
        cell = random_cell(prototype.group, rng)
        try:
            crystal = expand(prototype, sites, cell)
        except SpacegroupValueError:  # two orbits fell onto each other
            continue
        crystal = scaled_to_contact(crystal, CONTACT[prototype.kind])
        if best is None or crystal.volume < best.volume:
            best = crystal
    return best


def random_cell(group: int, rng) -> np.ndarray:
    """Draw a cell of the crystal system of a space group (standard setting)."""
    a, b, c = rng.uniform(0.75, 1.35, 3) * 5
    alpha, beta, gamma = rng.uniform(75, 105, 3)
    if group > 2:
        alpha = gamma = 90.0
    if group > 15:
        beta = 90.0
    if group > 74:
        b = a
    if group > 142:
        gamma = 120.0
        c = c * (1.8 if group in (146, 148, 155, 160, 161, 166, 167) else 1.0)
    if group > 194:
        b, c, gamma = a, a, 90.0
    return cell_matrix((a, b, c, alpha, beta, gamma))


def expand(prototype: Prototype, sites: list, cell: np.ndarray) -> Crystal:
    """Apply the space group to the sites and reduce to a primitive cell.

    Parameters
    ----------
    sites : list of (symbol, x, y, z)
    cell : ndarray of shape (3, 3)
    """
    group = Spacegroup(prototype.group, prototype.setting)
    points = np.array([site[1:] for site in sites], dtype=float)
    coords, kinds = group.equivalent_sites(points, onduplicates="error", symprec=1e-4)
    numbers = np.array([atomic_numbers[sites[kind][0]] for kind in kinds])
    return primitive(Crystal(cell, numbers, coords), group.subtrans)


def primitive(crystal: Crystal, translations: np.ndarray) -> Crystal:
    """Reduce a conventional cell by its centring translations.

    Parameters
    ----------
    translations : ndarray of shape (n, 3)
        The centring vectors of the lattice, (0, 0, 0) included.
    """
    vectors = np.vstack([np.eye(3), translations[np.abs(translations).sum(1) > 0]])
    basis = _lattice_basis(vectors, len(translations)) @ crystal.lattice
    basis, _ = minkowski_reduce(basis)
    if np.linalg.det(basis) < 0:
        basis = -basis
    cart = crystal.frac_coords @ crystal.lattice
    frac = wrap(cart @ np.linalg.inv(basis))
    keep = _unique(frac, crystal.numbers)
    return Crystal(np.asarray(basis), crystal.numbers[keep], frac[keep])


def _lattice_basis(vectors: np.ndarray, multiplicity: int) -> np.ndarray:
    wanted = 1.0 / multiplicity
    for i in range(len(vectors) - 1, -1, -1):
        for j in range(i - 1, -1, -1):
            for k in range(j - 1, -1, -1):
                basis = vectors[[i, j, k]]
                if abs(abs(np.linalg.det(basis)) - wanted) < 1e-6:
                    return basis
    raise ValueError(f"no primitive basis among {vectors}")


def _unique(frac: np.ndarray, numbers: np.ndarray, tol=1e-3) -> list[int]:
    keep: list[int] = []
    for i, point in enumerate(frac):
        shift = frac[keep] - point
        shift -= np.round(shift)
        if not np.any((np.abs(shift).max(axis=1) < tol) & (numbers[keep] == numbers[i])):
            keep.append(i)
    return keep


def wrap(frac: np.ndarray) -> np.ndarray:
    """Wrap fractional coordinates into [0, 1), with values just below 1 sent to 0."""
    frac = frac - np.floor(frac)
    frac[frac > 1 - 1e-6] = 0.0
    return frac


def cell_matrix(parameters) -> np.ndarray:
    """Return the row vectors of a cell from a, b, c (angstrom) and angles (degrees)."""
    a, b, c = parameters[:3]
    cos_a, cos_b, cos_g = np.cos(np.radians(parameters[3:]))
    sin_g = np.sqrt(1 - cos_g**2)
    c_x, c_y = c * cos_b, c * (cos_a - cos_b * cos_g) / sin_g
    c_z = np.sqrt(c**2 - c_x**2 - c_y**2)
    return np.array([[a, 0, 0], [b * cos_g, b * sin_g, 0], [c_x, c_y, c_z]])


def scaled_to_contact(crystal: Crystal, ratio=1.0) -> Crystal:
    """Scale a crystal so that the smallest distance over sum of covalent radii is ``ratio``."""
    factor = ratio / smallest_contact(crystal)
    return Crystal(crystal.lattice * factor, crystal.numbers, crystal.frac_coords)


def smallest_contact(crystal: Crystal) -> float:
    """Return the minimum over pairs of distance / (sum of covalent radii)."""
    radii = covalent_radii[crystal.numbers]
    return float((_image_distances(crystal) / (radii[:, None] + radii[None, :])[..., None]).min())


def smallest_distance(crystal: Crystal) -> float:
    """Return the shortest interatomic distance in angstrom, periodic images included."""
    return float(_image_distances(crystal).min())


def _image_distances(crystal: Crystal) -> np.ndarray:
    frac = crystal.frac_coords
    steps = np.arange(-2, 3)
    images = np.array(np.meshgrid(steps, steps, steps)).reshape(3, -1).T
    delta = frac[None, :, None, :] - frac[:, None, None, :] + images[None, None]
    distances = np.linalg.norm(delta @ crystal.lattice, axis=-1)
    distances[distances < 1e-8] = np.inf
    return distances


def space_group(crystal: Crystal, symprec=0.01) -> int:
    """Return the international number of the space group (moyopy)."""
    import moyopy

    cell = moyopy.Cell(
        basis=crystal.lattice.tolist(),
        positions=crystal.frac_coords.tolist(),
        numbers=[int(n) for n in crystal.numbers],
    )
    return moyopy.MoyoDataset(cell, symprec=symprec).number


def parse_check(prototype: Prototype) -> int:
    """Return the space group found for a prototype with one distinct element per role."""
    symbols = dict(zip(prototype.role_names, ("Na", "Ti", "Zn", "Al", "Mg"), strict=False))
    return space_group(ideal_crystal(prototype, symbols))
