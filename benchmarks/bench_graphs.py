"""Crystal graphs and line graphs per second on one core, beside the package alignn.

    python benchmarks/bench_graphs.py ../shared/data/mp2018.parquet

Without a file the embedded dataset is used. The package alignn (PyPI, with jarvis-tools) is built
the same graphs by its own two ways, if it is installed: ``k-nearest``, the rule of the study (in
Python), and its faster builder in torch, which joins exactly 12 neighbours. Graphs of the first
kind are compared edge by edge.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from offmap import datasets
from offmap.crystals import Crystals
from offmap.representations.graph import GraphRule, Graphs, build_graphs, line_graph


def rate(work: Callable[[], object], n: int) -> float:
    """Milliseconds of processor time per crystal."""
    begun = time.process_time()
    work()
    return 1e3 * (time.process_time() - begun) / n


def with_lines(graphs: Graphs, batch: int = 32) -> None:
    """Line graphs, batch by batch."""
    for i in range(0, len(graphs), batch):
        line_graph(graphs.take(np.arange(i, min(i + batch, len(graphs)))).united())


def table(source: np.ndarray, target: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Edges as rows of ends and length, sorted."""
    rows = np.column_stack([source, target, np.linalg.norm(vector, axis=1)])
    return rows[np.lexsort(rows.T[::-1])]


def same_edges(one: Graphs, theirs: tuple[np.ndarray, ...]) -> bool:
    ours, other = table(one.source, one.target, one.vector), table(*theirs)
    return ours.shape == other.shape and bool(np.allclose(ours, other, atol=1e-3))


def beside_alignn(crystals: Crystals, ours: Graphs, n_slow: int) -> None:
    """Time and compare the package alignn."""
    try:
        import torch
        from alignn.graphs import build_undirected_edgedata, nearest_neighbor_edges
        from alignn.torch_graph_builder import _line_graph_edges, build_pure_torch_graph
        from jarvis.core.atoms import Atoms
    except ImportError as error:
        print(f"alignn: skipped, not installed ({error.name})")
        return
    torch.set_num_threads(1)
    atoms = [
        Atoms(
            lattice_mat=c.lattice.tolist(),
            coords=c.frac_coords.tolist(),
            elements=[s.symbol for s in a],
            cartesian=False,
        )
        for c, a in zip(crystals, crystals.to_ase(), strict=True)
    ]

    def in_torch() -> None:
        for each in atoms:
            build_pure_torch_graph(each, two_body_cutoff=8.0, max_neighbors=12)

    def nearest() -> list[tuple[np.ndarray, ...]]:
        found = []
        for each in atoms[:n_slow]:
            edges, _ = nearest_neighbor_edges(each, 8, 12, use_canonize=True)
            u, v, r, _ = build_undirected_edgedata(each, edges)
            _line_graph_edges(u, v, len(each.elements))
            found.append((u.numpy(), v.numpy(), r.numpy()))
        return found

    print(f"alignn, torch builder: {rate(in_torch, len(atoms)):.2f} ms per crystal")
    begun = time.process_time()
    theirs = nearest()
    each = 1e3 * (time.process_time() - begun) / n_slow
    print(f"alignn, k-nearest: {each:.1f} ms per crystal ({n_slow} crystals)")
    same = [same_edges(ours.take(np.array([i])), edges) for i, edges in enumerate(theirs)]
    print(f"same edges as k-nearest: {sum(same)} of {n_slow} crystals")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", default="prototypes", help="materials")
    parser.add_argument("--n", type=int, default=300, help="crystals")
    parser.add_argument("--n-slow", type=int, default=30, help="crystals for alignn's k-nearest")
    arguments = parser.parse_args()
    crystals = datasets.load(arguments.file, None).crystals
    rows = np.random.default_rng(0).permutation(len(crystals))[: arguments.n]
    crystals = crystals.take(rows)
    with_lines(build_graphs(crystals.take(slice(2))))  # compiled before it is timed
    rule = GraphRule(own_images=2)
    graphs = build_graphs(crystals, rule)
    pairs = graphs.n_pairs.sum() / len(graphs.numbers)
    print(f"{len(crystals)} crystals, {crystals.n_sites.mean():.1f} atoms, {pairs:.0f} pairs/atom")
    first = rate(lambda: build_graphs(crystals, rule), len(crystals))
    second = rate(lambda: with_lines(graphs), len(crystals))
    print(f"offmap: {first:.3f} + {second:.3f} = {first + second:.3f} ms per crystal")
    beside_alignn(crystals, graphs, min(arguments.n_slow, len(crystals)))


if __name__ == "__main__":
    main()
