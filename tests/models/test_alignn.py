"""ALIGNN against the plain formulas, against its authors' package, and in the grid."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import offmap
from benchmarks.bench_alignn import upstream
from offmap import Study, registry
from offmap.crystals import Crystal, Crystals
from offmap.datasets.base import Dataset
from offmap.elements import NUMBERS, SYMBOLS
from offmap.engines import Shard
from offmap.errors import DataError, OffmapError, SettingsError
from offmap.evaluate import cells
from offmap.models.alignn import compiled, eager
from offmap.models.alignn import network as networks
from offmap.models.alignn.batch import Blocks, GraphData
from offmap.models.alignn.features import atom_features
from offmap.models.alignn.network import AlignnNetwork
from offmap.models.alignn.pairs import PairUpdate
from offmap.models.alignn.regressor import Alignn
from offmap.models.base import make_model
from offmap.models.batching import seeded
from offmap.models.embeddings import embeddings
from offmap.representations.graph import GraphRule, Graphs, build_graphs, line_graph
from offmap.testing import check_model
from tests.test_docs import executed

TINY = {"hidden": 8, "epochs": 2, "batch_size": 16}


@pytest.fixture(scope="module")
def mixed() -> Crystals:
    """Crystals whose atoms have different numbers of neighbours."""
    rng = np.random.default_rng(3)
    items = []
    for i in range(6):
        n = 1 + i
        lattice = np.eye(3) * (2.6 * n ** (1 / 3)) + rng.normal(size=(3, 3)) * 0.3
        numbers = rng.integers(1, 84, n).astype(np.uint8)
        items.append(Crystal(f"mixed-{i}", lattice, numbers, rng.uniform(0, 1, (n, 3))))
    return Crystals.from_list(items)


def network(dtype: Any = torch.float32, **size: Any) -> AlignnNetwork:
    with seeded(4):
        return AlignnNetwork(**{"hidden": 12, "embedding": 6} | size).to(dtype)


def plain(net: AlignnNetwork, graphs: Graphs) -> Any:
    """The published formulas, pair by pair, with sums over indices."""

    def convolved(layer: Any, first: Any, second: Any, x: Any, y: Any) -> tuple[Any, Any]:
        m = layer.src_gate(x)[first] + layer.dst_gate(x)[second] + layer.edge_gate(y)
        gate = torch.sigmoid(m)
        told = torch.zeros_like(x).index_add(0, second, gate * layer.dst_update(x)[first])
        h = told / (torch.zeros_like(x).index_add(0, second, gate) + 1e-6)
        x = x + functional.silu(layer.bn_nodes(layer.src_update(x) + h))
        return x, y + functional.silu(layer.bn_edges(m))

    dtype = net.fc.weight.dtype
    whole = graphs.united()
    pairs = line_graph(whole)
    source, target = (torch.from_numpy(a.astype(np.int64)) for a in (whole.source, whole.target))
    first, second = (torch.from_numpy(a.astype(np.int64)) for a in (pairs.first, pairs.second))
    x = net.atom_embedding(net.elements)[torch.from_numpy(whole.numbers.astype(np.int64))]
    length = np.linalg.norm(whole.vector, axis=1)
    y = net.edge_embedding(torch.from_numpy(length).to(dtype))
    z = net.angle_embedding(torch.from_numpy(pairs.cosine).to(dtype))
    for layer in net.alignn_layers:
        x, m = convolved(layer.node_update, source, target, x, y)
        y, z = convolved(layer.edge_update, first, second, m, z)
    for layer in net.gcn_layers:
        x, y = convolved(layer, source, target, x, y)
    of = torch.from_numpy(np.repeat(np.arange(len(graphs)), np.diff(graphs.atoms)))
    n = torch.from_numpy(np.diff(graphs.atoms))
    mean = torch.zeros(len(graphs), x.shape[1], dtype=dtype).index_add(0, of, x) / n[:, None]
    return net.fc(mean)[:, 0]


def wide(batch: Blocks) -> Blocks:
    """The same numbers in double precision."""
    from dataclasses import replace

    return replace(batch, length=batch.length.double(), cosine=batch.cosine.double())


@pytest.mark.parametrize("size", [{}, {"alignn_layers": 3, "gcn_layers": 1}, {"alignn_layers": 1}])
@pytest.mark.parametrize("table", [False, True])
def test_values_and_gradients_are_those_of_the_plain_formulas(
    mixed: Crystals, size: Any, table: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "_WORTH_A_TABLE", 0 if table else 1 << 40)
    graphs = build_graphs(mixed, GraphRule(own_images=2))
    batch = wide(GraphData(graphs).batch(np.arange(len(graphs))))
    net = network(torch.float64, **size)
    tolerance = 3e-6 if table else 1e-12
    labels = torch.arange(len(graphs)).double()

    def gradients(found: Any) -> dict[str, Any]:
        net.zero_grad()
        (found - labels).square().mean().backward()
        return {k: p.grad.clone() for k, p in net.named_parameters() if p.grad is not None}

    mine, theirs = net(batch), plain(net, graphs)
    torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)
    one, other = gradients(mine), gradients(theirs)
    unused = {k for k, g in other.items() if not g.abs().max()}
    assert set(one) >= set(other) - unused
    largest = max(float(g.abs().max()) for g in other.values())
    for name in set(other) & set(one):
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=10 * tolerance * largest)


@pytest.mark.parametrize("how", [compiled, eager])
def test_parts_of_a_batch_do_not_change_a_step(
    mixed: Crystals, how: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "able", lambda terms: how is compiled)
    graphs = build_graphs(mixed)
    batch = GraphData(graphs).batch(np.arange(len(graphs)))
    net = network()
    found = []
    for at_once in (1, 10**9):
        monkeypatch.setattr(how, "_AT_ONCE", at_once)
        net.zero_grad()
        net(batch).sum().backward()
        found.append(net.alignn_layers[0].edge_update.src_gate.weight.grad.clone())
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("table", [False, True])
def test_compiled_passes_are_those_of_torch_in_double_precision(
    mixed: Crystals, table: bool, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With gates half open, and with gates that are shut or open to the last bit."""
    monkeypatch.setattr(networks, "_WORTH_A_TABLE", 0 if table else 1 << 40)
    graphs = build_graphs(mixed, GraphRule(own_images=2))
    batch = GraphData(graphs).batch(np.arange(len(graphs)))
    single, double = network(hidden=70), network(torch.float64, hidden=70)
    found = []
    for net, given in ((single, batch), (double, wide(batch))):
        for name, p in net.named_parameters():
            if name.endswith("gate.weight"):
                p.data *= scale
        net(given).square().mean().backward()
        found.append({k: p.grad.double() for k, p in net.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    largest = max(float(g.abs().max()) for g in found[1].values())
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=0, atol=3e-5 * largest)


def test_what_is_no_number_stays_none(mixed: Crystals) -> None:
    graphs = build_graphs(mixed)
    batch = GraphData(graphs).batch(np.arange(len(graphs)))
    net = network()
    net.alignn_layers[1].edge_update.edge_gate.weight.data[0, 0] = float("nan")
    assert not torch.isfinite(net(batch)).any()


def test_the_pair_update_agrees_with_finite_differences() -> None:
    rng = torch.Generator().manual_seed(0)
    groups, h = ((0, 2), (1, 2), (2, 2), (3, 1)), 3
    n_pairs, n_edges = 2 + 2 * 4 + 9, 2 + 2 * 2 + 3

    def some(*shape: int) -> Any:
        return torch.randn(*shape, dtype=torch.float64, generator=rng).requires_grad_()

    z, weight, bias, table = some(n_pairs, h), some(h, h), some(h), some(5, 2 * h)
    place = torch.rand(n_pairs, dtype=torch.float64, generator=rng) * 4
    edges = [some(n_edges, h) for _ in range(3)]
    norm = [some(h), some(h)]
    for keep_z in (True, False):
        assert torch.autograd.gradcheck(
            lambda *a, k=keep_z: PairUpdate.apply(*a[:3], None, None, *a[3:], groups, k),
            (z, weight, bias, *edges, *norm),
        )
        assert torch.autograd.gradcheck(
            lambda t, *a, k=keep_z: PairUpdate.apply(None, None, None, t, place, *a, groups, k),
            (table, *edges, *norm),
        )


def test_what_is_the_same_crystal_has_the_same_prediction(mixed: Crystals) -> None:
    net = network()
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    doubled, turned = [], []
    for c in mixed:
        coords = np.concatenate([c.frac_coords, c.frac_coords + np.eye(3)[1]]) / [1, 2, 1]
        lattice = c.lattice * np.array([[1], [2.0], [1]])
        doubled.append(Crystal("", lattice, np.tile(c.numbers, 2), coords))
        turned.append(Crystal("", c.lattice @ rotation, c.numbers, c.frac_coords + 0.37))
    rows = np.arange(len(mixed))
    first, second, third = (
        net(GraphData(build_graphs(each)).batch(rows)).detach()
        for each in (mixed, Crystals.from_list(doubled), Crystals.from_list(turned))
    )
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(first, third, rtol=1e-5, atol=1e-5)
    alone = net(GraphData(build_graphs(mixed)).batch(np.array([3]))).detach()
    torch.testing.assert_close(first[3:4], alone, rtol=1e-5, atol=1e-5)


def test_an_atom_without_neighbours_is_no_fault(mixed: Crystals) -> None:
    graphs = build_graphs(mixed, GraphRule(neighbours=0, radius=1.5))
    batch = GraphData(graphs).batch(np.arange(len(graphs)))
    assert batch.groups[0][0] == 0
    assert torch.isfinite(network()(batch)).all()


def test_atom_features_follow_the_published_bins() -> None:
    features = atom_features()
    assert features.shape == (119, 92)
    names = "group period electronegativity radius valence ionization affinity block volume"
    starts = dict(zip(names.split(), [0, 19, 26, 36, 46, 58, 68, 78, 82], strict=True))

    def bins(symbol: str) -> dict[str, int]:
        hot = np.flatnonzero(features[NUMBERS[symbol]])
        found = {}
        for (name, start), end in zip(
            starts.items(), [*list(starts.values())[1:], 92], strict=True
        ):
            inside = hot[(hot >= start) & (hot < end)] - start
            assert len(inside) <= 1
            if len(inside):
                found[name] = int(inside[0])
        return found

    # sodium: group 1, period 3, 0.93, 166 pm, 1 electron, ln 5.14 eV, 0.55 eV, s, ln 23.8 cm3/mol
    assert list(bins("Na").values()) == [1, 2, 1, 6, 0, 1, 5, 0, 5]
    # oxygen: group 16, period 2, 3.44, 66 pm, 6 electrons, ln 13.62 eV, 1.46 eV, p, ln 17.4 cm3/mol
    assert list(bins("O").values()) == [16, 1, 8, 1, 5, 6, 6, 1, 4]
    assert bins("La")["group"] == bins("U")["group"] == 0
    assert bins("La")["block"] == 3
    assert "electronegativity" not in bins("Ar")
    alike: dict[bytes, list[str]] = {}
    for z in range(1, 101):
        alike.setdefault(features[z].tobytes(), []).append(SYMBOLS[z])
    assert [same for same in alike.values() if len(same) > 1] == [["Ho", "Er"]]


def test_the_table_of_atoms_is_what_the_builder_writes() -> None:
    from importlib.resources import files

    folder = Path(__file__).parents[2] / "builders" / "elements"
    sys.path.insert(0, str(folder))
    try:
        from build_atom_table import rows
    finally:
        sys.path.remove(str(folder))
    text = (files("offmap.representations") / "data" / "atoms.csv").read_text("utf-8")
    assert [line.split(",") for line in text.splitlines()] == rows()


def test_it_is_a_model_as_offmap_wants_it() -> None:
    found = check_model("alignn", {"hidden": 12, "epochs": 4, "batch_size": 8}, threads=1)
    assert "a seed reproduces" in found.held


def test_training_goes_on_and_the_trained_network_is_kept(mixed: Crystals, tmp_path: Path) -> None:
    y = np.arange(len(mixed), dtype=float)
    settings = TINY | {"preset": "fast", "checkpoint": str(tmp_path / "t.pt")}
    whole = Alignn(**TINY, preset="fast").fit(mixed, y)
    followed = Alignn(**settings).fit_by_round(mixed, y, mixed)
    next(followed)
    followed.close()
    rounds = dict(Alignn(**settings).fit_by_round(mixed, y, mixed))
    np.testing.assert_array_equal(whole.predict(mixed), rounds[2])
    whole.save(tmp_path / "m.pt")
    again = Alignn.load(tmp_path / "m.pt")
    np.testing.assert_array_equal(whole.predict(mixed), again.predict(mixed))
    assert again.embed(mixed).shape == (6, 8)
    with pytest.raises(SettingsError, match="no trained"):
        Alignn.load(tmp_path / "t.pt")


def test_it_overfits_64_crystals(toy_dataset: Dataset) -> None:
    """A narrow network learns 64 fixed crystals by heart in 160 steps."""
    small = np.flatnonzero(toy_dataset.crystals.n_sites == 2)
    rows = small[np.random.default_rng(0).permutation(len(small))[:64]]
    crystals, y = toy_dataset.crystals.take(rows), toy_dataset.frame["energy"].to_numpy()[rows]
    model = Alignn("fast", hidden=32, epochs=40, batch_size=16, learning_rate=0.01)
    mae = np.abs(model.fit(crystals, y).predict(crystals) - y).mean()
    assert mae < 0.02
    assert np.abs(y - np.median(y)).mean() > 0.3


def test_a_study_runs_from_crystals_to_scores(toy_dataset: Dataset, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).permutation(len(toy_dataset))[:44]
    file = _written(toy_dataset.take(np.sort(rows)), tmp_path)
    study = Study(
        dataset=str(file),
        target="energy",
        models=("alignn", "dummy"),
        representations=("magpie",),
        criteria=("crystal_system",),
        min_size=10,
        n_folds=2,
        model_settings={"alignn": TINY | {"epochs": 1}},
    )
    one = Shard(1, 1)  # scores and report are not for models to change
    run = offmap.run(study, tmp_path / "study", jobs=1, shard=one)
    assert not run.failed
    store = run.store
    done = [c for c in cells(store) if c.model == "alignn"]
    assert len(done) > 2
    assert {c.representation for c in done} == {"graph"}
    assert np.isfinite(store.read_predictions(done)["y_pred"]).all()
    cell = next(c for c in cells(store) if c.model == "alignn" and c.criterion == "crystal_system")
    facts = store.run_facts(cell)
    assert [row["number"] for row in facts["epochs"]] == [1]
    assert not store.network_file(cell, "training").exists()
    some = toy_dataset.crystals.take(np.arange(5))
    found = embeddings(store, cell, some)
    shown = executed("neural.md", store=store, cell=cell, crystals=some)["vectors"]
    np.testing.assert_array_equal(shown, found)
    assert found.shape == (5, 8)
    assert np.isfinite(found).all()
    written = store.network_file(cell, "model").stat().st_mtime_ns
    offmap.run(study, tmp_path / "study", jobs=1, shard=one)
    assert store.network_file(cell, "model").stat().st_mtime_ns == written  # trained once


def _written(dataset: Dataset, folder: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "some.parquet"
    table = dataset.crystals.to_arrow()
    pq.write_table(table.append_column("energy", pa.array(dataset.frame["energy"])), path)
    return path


def test_without_its_extra_it_says_which_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [n for n in sys.modules if n.startswith("offmap.models.alignn")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("batching", "checkpoints", "training", "network"):
        monkeypatch.delitem(sys.modules, f"offmap.models.{name}", raising=False)
    with pytest.raises(OffmapError, match=r"pip install 'offmap\[nn\]'"):
        registry.load("model", "alignn")


def test_settings_and_crystals_it_cannot_use_are_named(mixed: Crystals) -> None:
    with pytest.raises(SettingsError, match="hiden"):
        make_model("alignn", {"hiden": 3}, 0, 1)
    with pytest.raises(SettingsError, match="choose one of paper, fast"):
        Alignn("quick").fit(mixed, np.zeros(6))
    with pytest.raises(SettingsError, match="cannot be used here"):
        Alignn(device="cuda:77", **TINY).fit(mixed, np.zeros(6))
    formulas = Crystals.from_formulas(["NaCl"], ["salt"])
    with pytest.raises(DataError, match="1 crystals have no graph, such as salt"):
        Alignn(**TINY).fit(formulas, np.zeros(1))


@pytest.mark.filterwarnings("ignore")  # that package has some of its own
def test_it_is_what_its_authors_package_computes(mixed: Crystals) -> None:
    """Weights copied, the same graphs; skipped where alignn is not installed."""
    graphs, mine = build_graphs(mixed, GraphRule(own_images=2)), AlignnNetwork()
    theirs = upstream(graphs, mine)
    if theirs is None:
        pytest.skip("the package alignn is not installed")
    network, forward = theirs
    n_mine, n_theirs = (sum(p.numel() for p in net.parameters()) for net in (mine, network))
    assert n_mine == n_theirs == 2_046_849
    found = mine(GraphData(graphs).batch(np.arange(len(graphs))))
    torch.testing.assert_close(found, forward(), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_network_of_the_study_overfits_64_crystals(toy_dataset: Dataset) -> None:
    """All 256 features, in 120 steps."""
    small = np.flatnonzero(toy_dataset.crystals.n_sites == 2)[:64]
    crystals = toy_dataset.crystals.take(small)
    y = toy_dataset.frame["energy"].to_numpy()[small]
    model = Alignn("paper", epochs=30, batch_size=16, n_jobs=2).fit(crystals, y)
    assert np.abs(model.predict(crystals) - y).mean() < 0.02
