"""Crystal graphs against a search by brute force, and what must not change them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from offmap.crystals import Crystal, Crystals
from offmap.errors import SettingsError
from offmap.representations.graph import GraphRule, Graphs, build_graphs, line_graph
from offmap.representations.graph.cache import cache_of, graphs

TOLERANCE = GraphRule().tolerance


@pytest.fixture(scope="module")
def odd_crystals() -> Crystals:
    """Skewed, flat, sparse and ordinary cells, with sites outside of them."""
    rng = np.random.default_rng(5)
    items = []
    for i in range(12):
        lattice = np.eye(3) * rng.uniform(2.5, 6, 3) + rng.normal(size=(3, 3)) * 0.8
        if i == 1:
            lattice[1] += 2.7 * lattice[0]  # skewed
        if i == 2:
            lattice = np.diag([3.0, 3.0, 28.0])  # a layer in a vacuum
        if i == 3:
            lattice = np.diag([14.0, 15.0, 16.0])  # an atom far from its images
        n = 1 if i == 3 else 1 + i % 5
        coords = np.arange(n)[:, None] / n + rng.uniform(-0.1, 0.1, (n, 3)) + rng.integers(-2, 3)
        items.append(Crystal(f"odd-{i}", lattice, rng.integers(1, 90, n).astype(np.uint8), coords))
    return Crystals.from_list(items)


def all_within(crystal: Crystal, radius: float) -> list[tuple[int, int, NDArray[np.float64]]]:
    """Every (source, target, vector) not longer than the radius, by trying all images."""
    height = 1 / np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0)
    spread = np.ptp(crystal.frac_coords, axis=0)
    reach = np.ceil(radius / height + spread).astype(int)
    shifts = np.array(list(itertools.product(*(range(-m, m + 1) for m in reach))))
    found = []
    for i, j in itertools.product(range(len(crystal.numbers)), repeat=2):
        vectors = (shifts + crystal.frac_coords[j] - crystal.frac_coords[i]) @ crystal.lattice
        lengths = np.linalg.norm(vectors, axis=1)
        found += [(i, j, v) for v in vectors[(lengths <= radius) & (lengths > 1e-8)]]
    return found


def brute_force(crystal: Crystal, k: int) -> list[tuple[int, int, NDArray[np.float64]]]:
    """Edges to the k nearest neighbours and all as far as the last, in both directions."""
    radius = 4.0
    while True:
        pairs = all_within(crystal, radius)
        count = np.bincount([i for i, _, _ in pairs], minlength=len(crystal.numbers))
        if count.min() >= k:
            break
        radius *= 1.4
    lengths = [np.linalg.norm(v) for _, _, v in pairs]
    n = len(crystal.numbers)
    limit = [
        np.sort([d for (i, _, _), d in zip(pairs, lengths, strict=True) if i == atom])[k - 1]
        for atom in range(n)
    ]
    return [
        (i, j, v)
        for (i, j, v), d in zip(pairs, lengths, strict=True)
        if d <= max(limit[i], limit[j]) + TOLERANCE
    ]


def rows_of(edges: list[tuple[int, int, NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Edges as rows in an order of their own."""
    table = np.array([[i, j, *v] for i, j, v in edges])
    return table[np.lexsort(np.round(table, 3).T)]


def edges_in(graph: Graphs) -> NDArray[np.float64]:
    return rows_of(list(zip(graph.source, graph.target, graph.vector, strict=True)))


def lengths_of(graph: Graphs) -> NDArray[np.float64]:
    return np.linalg.norm(graph.vector, axis=1)


def test_edges_are_those_of_a_search_by_brute_force(odd_crystals: Crystals) -> None:
    found = build_graphs(odd_crystals)
    assert not found.reasons
    for i, crystal in enumerate(odd_crystals):
        expected = rows_of(brute_force(crystal, 12))
        mine = edges_in(found.take(np.array([i])))
        assert mine.shape == expected.shape
        np.testing.assert_allclose(mine, expected, atol=2e-5)


def test_radius_graphs_are_those_of_a_search_by_brute_force(odd_crystals: Crystals) -> None:
    found = build_graphs(odd_crystals, GraphRule(neighbours=0, radius=4.7))
    for i, crystal in enumerate(odd_crystals):
        mine = found.take(np.array([i]))
        expected = all_within(crystal, 4.7)
        assert len(mine.source) == len(expected)
        if expected:
            np.testing.assert_allclose(edges_in(mine), rows_of(expected), atol=2e-5)
    assert found.edges[4] == found.edges[3]  # the lonely atom has no edge, which is no fault
    assert not found.reasons


def test_every_edge_has_its_way_back_and_edges_are_sorted(odd_crystals: Crystals) -> None:
    found = build_graphs(odd_crystals)
    for i in range(len(found)):
        graph = found.take(np.array([i]))
        back = list(zip(graph.target, graph.source, -graph.vector, strict=True))
        np.testing.assert_array_equal(edges_in(graph), rows_of(back))
        assert (np.diff(graph.target) >= 0).all()


def test_the_whole_shell_of_the_twelfth_neighbour_counts() -> None:
    bcc = Crystal("Fe", np.full((3, 3), 1.435) - 2.87 * np.eye(3), np.array([26], np.uint8), ZERO)
    fcc = Crystal("Cu", 1.805 * (1 - np.eye(3)), np.array([29], np.uint8), ZERO)
    found = build_graphs(Crystals.from_list([bcc, fcc]))
    assert np.diff(found.edges).tolist() == [8 + 6, 12]
    twice = build_graphs(Crystals.from_list([bcc, fcc]), GraphRule(own_images=2))
    assert np.diff(twice.edges).tolist() == [28, 24]


ZERO = np.zeros((1, 3))


@pytest.mark.parametrize("change", ["rotated", "moved", "sheared"])
def test_what_is_the_same_crystal_has_the_same_graph(odd_crystals: Crystals, change: str) -> None:
    rng = np.random.default_rng(2)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    others = []
    for c in odd_crystals:
        lattice, coords = c.lattice, c.frac_coords
        if change == "rotated":
            lattice = lattice @ rotation
        elif change == "moved":
            coords = coords + rng.uniform(-1, 1, 3) + rng.integers(-1, 2, coords.shape)
        else:  # another cell of the same lattice
            step = np.array([[1, 1, 0], [0, 1, -1], [0, 0, 1]])
            lattice, coords = step @ lattice, coords @ np.linalg.inv(step)
        others.append(Crystal(c.material_id, lattice, c.numbers, coords))
    one, other = build_graphs(odd_crystals), build_graphs(Crystals.from_list(others))
    np.testing.assert_array_equal(one.edges, other.edges)
    for i in range(len(one)):
        a, b = one.take(np.array([i])), other.take(np.array([i]))
        np.testing.assert_allclose(np.sort(lengths_of(a)), np.sort(lengths_of(b)), rtol=1e-5)
        np.testing.assert_allclose(
            np.sort(line_graph(a).cosine), np.sort(line_graph(b).cosine), atol=1e-4
        )


def test_a_supercell_repeats_the_graph(odd_crystals: Crystals) -> None:
    """Only with each edge to an own image once: twice, as in ALIGNN's code, is another graph."""
    doubled = []
    for c in odd_crystals:
        lattice = c.lattice * np.array([[2.0], [1], [1]])
        coords = np.concatenate([c.frac_coords, c.frac_coords + np.eye(3)[0]]) / [2, 1, 1]
        doubled.append(Crystal(c.material_id, lattice, np.tile(c.numbers, 2), coords))
    one, two = build_graphs(odd_crystals), build_graphs(Crystals.from_list(doubled))
    np.testing.assert_array_equal(2 * np.diff(one.edges), np.diff(two.edges))
    np.testing.assert_array_equal(2 * one.n_pairs, two.n_pairs)
    rule = GraphRule(own_images=2)
    one, two = (build_graphs(c, rule) for c in (odd_crystals, Crystals.from_list(doubled)))
    assert (2 * np.diff(one.edges) > np.diff(two.edges)).any()


def test_pairs_of_edges_follow_each_other(odd_crystals: Crystals) -> None:
    found = build_graphs(odd_crystals)
    batch = found.united()
    pairs = line_graph(batch)
    assert found.n_pairs.sum() == len(pairs.first) == pairs.starts[-1]
    np.testing.assert_array_equal(batch.target[pairs.first], batch.source[pairs.second])
    np.testing.assert_array_equal(
        np.repeat(np.arange(len(batch.source)), np.diff(pairs.starts)), pairs.second
    )
    assert len({*zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}) == len(pairs.first)
    there = (batch.target[:, None] == batch.source[None, :]).sum()  # every pair there is
    assert there == len(pairs.first)
    a, b = -batch.vector[pairs.first], batch.vector[pairs.second]
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(pairs.cosine, np.clip(cosine, -1, 1), atol=1e-6)


def test_what_has_no_graph_says_why(odd_crystals: Crystals) -> None:
    lattice, z = np.eye(3) * 4, np.array([11, 17], np.uint8)
    bad = [
        Crystal("flat", lattice * [[1], [1], [0]], z, np.array([[0, 0, 0], [0.5, 0.5, 0.5]])),
        Crystal("twice", lattice, z, np.array([[0, 0, 0], [1.0, 0, 0.001]])),
        Crystal("formula", np.full((3, 3), np.nan), z, np.full((2, 3), np.nan)),
        Crystal("empty", lattice, z[:0], ZERO[:0]),
    ]
    found = build_graphs(Crystals.concat([odd_crystals.take(slice(2)), Crystals.from_list(bad)]))
    assert sorted(found.reasons) == [2, 3, 4, 5]
    said = [found.reasons[i] for i in range(2, 6)]
    for text, word in zip(said, ("volume", "overlap", "no structure", "no atoms"), strict=True):
        assert word in text
    assert (np.diff(found.edges)[2:] == 0).all()


def test_graphs_come_back_from_the_cache(
    odd_crystals: Crystals, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("OFFMAP_CACHE", str(tmp_path))
    first = graphs(odd_crystals.take(np.array([5, 1, 5, 0])))
    built: list[int] = []
    monkeypatch.setattr(
        "offmap.representations.graph.cache.build_graphs",
        lambda crystals, rule: built.append(len(crystals)) or build_graphs(crystals, rule),
    )
    order = np.array([0, 3, 5, 1])
    again = graphs(odd_crystals.take(order))
    assert built == [1]  # only the one that was not there
    expected = build_graphs(odd_crystals).take(order)
    for name in ("numbers", "atoms", "source", "target", "vector", "edges"):
        np.testing.assert_array_equal(getattr(again, name), getattr(expected, name))
    np.testing.assert_array_equal(
        first.take(np.array([0])).vector, again.take(np.array([2])).vector
    )
    for file in cache_of(GraphRule()).folder.glob("*.npz"):
        file.write_bytes(file.read_bytes()[:-100])
    damaged = graphs(odd_crystals.take(order))
    assert sum(built) == 5
    np.testing.assert_array_equal(damaged.vector, expected.vector)


def test_rules_that_mean_nothing_are_refused() -> None:
    for settings in ({"neighbours": -1}, {"radius": 0.0}, {"own_images": 0}):
        with pytest.raises(SettingsError):
            GraphRule(**settings)
