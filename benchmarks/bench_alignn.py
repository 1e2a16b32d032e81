"""A training step of ALIGNN, beside the model in PyTorch of the package alignn.

    python benchmarks/bench_alignn.py mp2018.parquet --crystals 8
    python benchmarks/bench_alignn.py prototypes --crystals 32 --steps 3

Forward and backward pass on the same crystals and graphs, one thread, the same weights; processor
seconds, the least of the steps. The package alignn (PyPI) is timed where it is installed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from offmap import datasets
from offmap.models.alignn.batch import GraphData
from offmap.models.alignn.features import atom_features
from offmap.models.alignn.network import AlignnNetwork
from offmap.representations.graph import GraphRule, Graphs, build_graphs, line_graph


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="name or path of a dataset")
    parser.add_argument("--crystals", type=int, default=8, help="in a batch, drawn at random")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    crystals = datasets.load(given.data).crystals
    rows = np.random.default_rng(given.seed).permutation(len(crystals))[: given.crystals]
    graphs = build_graphs(crystals.take(rows), GraphRule(own_images=2))
    batch = GraphData(graphs).batch(np.arange(len(graphs)))
    mine = AlignnNetwork()
    theirs = upstream(graphs, mine)
    print(
        f"{len(graphs)} crystals, {len(batch.numbers)} atoms, {len(batch.source)} edges,"
        f" {len(batch.cosine)} pairs\n\n| | processor s per step |\n|---|---|"
    )
    seconds = timed(lambda: mine(batch), mine, given.steps)
    print(f"| offmap | {seconds:.2f} |", flush=True)
    bound = products(lambda: mine(batch))
    if theirs is None:
        print(f"| alignn | not installed |\n\n{bound}")
        return
    network, forward = theirs
    other = timed(forward, network, given.steps)
    with torch.no_grad():
        difference = float((mine(batch) - forward()).abs().max())
    print(
        f"| alignn | {other:.2f} |\n\nratio {other / seconds:.1f}; outputs within {difference:.0e}"
    )


def products(forward: Callable[[], torch.Tensor]) -> str:
    """Matrix products of a step, and how long they take as fast as one of that shape goes here."""
    with FlopCounterMode(display=False) as counter:
        forward().square().mean().backward()
    pairs, weight = torch.randn(2048, 256), torch.randn(256, 256)
    seconds = []
    for _ in range(40):
        begun = time.process_time()
        pairs @ weight
        seconds.append(time.process_time() - begun)
    work, rate = counter.get_total_flops(), 2 * 2048 * 256**2 / float(np.median(seconds[5:]))
    return (
        f"{work / 1e9:.0f} GFLOP of matrix products, {work / rate:.2f} s at the"
        f" {rate / 1e9:.0f} GFLOP/s of a product of 2048 x 256 x 256"
    )


def timed(forward: Callable[[], torch.Tensor], network: torch.nn.Module, steps: int) -> float:
    """Processor seconds of the fastest step, after one that does not count."""
    found = []
    for _ in range(steps + 1):
        network.zero_grad(set_to_none=True)
        begun = time.process_time()
        forward().square().mean().backward()
        found.append(time.process_time() - begun)
    return min(found[1:])


def upstream(
    graphs: Graphs, mine: AlignnNetwork
) -> tuple[torch.nn.Module, Callable[[], torch.Tensor]] | None:
    """The package's model, whose weights ``mine`` takes over, and its call on these graphs."""
    try:
        from alignn.models import alignn_atomwise_pure as pure
        from alignn.torch_graph_builder import TorchGraph
    except ModuleNotFoundError:
        return None
    network = pure.ALIGNNAtomWisePure(
        pure.ALIGNNAtomWisePureConfig(
            name="alignn_atomwise_pure",
            alignn_layers=2,
            gcn_layers=2,
            atom_input_features=92,
            hidden_features=256,
            calculate_gradient=False,
            gradwise_weight=0,
            use_penalty=False,
            energy_mult_natoms=False,
        )
    )
    network.config.lg_on_fly = False
    mine.load_state_dict({name: network.state_dict()[name] for name in mine.state_dict()})
    whole = graphs.united()
    pairs = line_graph(whole)
    graph = TorchGraph(
        len(whole.numbers),
        integers(whole.source),
        integers(whole.target),
        ndata={
            "atom_features": torch.from_numpy(atom_features()[whole.numbers]),
            "V": torch.ones(len(whole.numbers)),
            "Z": integers(whole.numbers),
        },
        edata={"r": torch.from_numpy(whole.vector)},
        batch_num_nodes=integers(np.diff(graphs.atoms)),
        batch_num_edges=integers(np.diff(graphs.edges)),
    )
    cosine = {"h": torch.from_numpy(pairs.cosine)}
    ends = integers(pairs.first), integers(pairs.second)
    line = TorchGraph(len(whole.source), *ends, ndata={}, edata=cosine)
    lattice = torch.eye(3).repeat(len(graphs), 1, 1)
    return network, lambda: network((graph, line, lattice))["out"]


def integers(values: np.ndarray) -> torch.Tensor:
    """Whole numbers as torch indexes with them."""
    return torch.from_numpy(values.astype(np.int64))


if __name__ == "__main__":
    main()
