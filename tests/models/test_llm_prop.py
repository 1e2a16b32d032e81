"""LLM-Prop on a small encoder and a small tokenizer that is trained here."""

from __future__ import annotations

import hashlib
import json
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sentencepiece
import torch
import transformers

from offmap import Study, stages
from offmap.datasets.base import Dataset
from offmap.errors import DataError, SettingsError
from offmap.inputs import load_materials, prepare
from offmap.models.base import make_model

from .encoders import describe, write_encoder

ROWS = np.arange(0, 792, 12)[:64]


@pytest.fixture(scope="module")
def small(toy_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings: descriptions of the toy crystals, and a random encoder for them."""
    folder = tmp_path_factory.mktemp("llm")
    texts = describe(toy_dataset.crystals)
    table = pd.DataFrame({"material_id": toy_dataset.crystals.material_id, "description": texts})
    table.to_parquet(folder / "words.parquet")
    encoder = write_encoder(folder / "encoder", texts)
    return {
        "descriptions": str(folder / "words.parquet"), "encoder": str(encoder),
        "weights": "random", "dropout": 0.0, "learning_rate": 3e-3, "batch_size": 16,
    }  # fmt: skip


@pytest.fixture(scope="module")
def sixty_four(toy_dataset: Dataset) -> tuple[Any, np.ndarray]:
    return toy_dataset.crystals.take(ROWS), toy_dataset.frame["energy"].to_numpy()[ROWS]


def test_it_learns_64_descriptions_by_heart(
    small: dict[str, Any], sixty_four: tuple[Any, np.ndarray], tmp_path: Path
) -> None:
    crystals, y = sixty_four
    model = make_model("llm_prop", {**small, "epochs": 100}, 1, 1).fit(crystals, y)
    y_pred = model.predict(crystals)
    assert np.abs(y_pred - y).mean() < 0.02
    embedded = model.embed(crystals)
    assert embedded.shape == (64, 48)
    # padding and company change nothing
    np.testing.assert_allclose(model.predict(crystals.take([5])), y_pred[[5]], atol=1e-4)
    # a file holds all that it takes, without the encoder's folder
    model.save(tmp_path / "model.pt")
    loaded = type(model).load(tmp_path / "model.pt").set_params(encoder="gone/away")
    np.testing.assert_allclose(loaded.predict(crystals), y_pred, atol=1e-5)


def test_it_goes_on_from_its_checkpoint(
    small: dict[str, Any], sixty_four: tuple[Any, np.ndarray], tmp_path: Path
) -> None:
    crystals, y = sixty_four
    settings = {**small, "epochs": 3, "dropout": 0.2}
    whole = make_model("llm_prop", settings, 0, 1).fit(crystals, y).predict(crystals)
    kept = {**settings, "checkpoint": str(tmp_path / "state")}
    next(make_model("llm_prop", kept, 0, 1).fit_by_round(crystals, y, crystals))
    resumed = make_model("llm_prop", kept, 0, 1).fit(crystals, y)
    np.testing.assert_array_equal(resumed.predict(crystals), whole)


def test_tokens_in_front_and_at_most_so_many(
    small: dict[str, Any], sixty_four: tuple[Any, np.ndarray]
) -> None:
    crystals, _ = sixty_four
    model = make_model("llm_prop", {**small, "max_tokens": 20}, 0, 1)
    texts = model.make_data(crystals)
    ids = {name: model.tokenizer_.token_to_id(name) for name in ("[CLS]", "[NUM]", "[ANG]")}
    assert (texts.tokens[texts.offsets[:-1]] == ids["[CLS]"]).all()
    assert texts.sizes.max() == 20
    whole = make_model("llm_prop", small, 0, 1).make_data(crystals)
    for name in ("[NUM]", "[ANG]"):
        assert (whole.tokens == ids[name]).sum() == 64
    batch = whole.batch(np.array([3, 1]))
    assert batch.mask.sum(1).tolist() == whole.sizes[[3, 1]].tolist()
    assert not batch.tokens[~batch.mask].any()


def test_the_study_s_settings() -> None:
    model = make_model("llm_prop", {}, 0, 1)
    assert (model.encoder, model.weights) == ("google/t5-v1_1-small", "pretrained")
    assert (model.max_tokens, model.dropout) == (1500, 0.5)
    recipe = model.make_recipe()
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (50, 64, 1e-3)
    assert (recipe.optimizer, recipe.schedule, recipe.loss) == ("adamw", "onecycle", "l1")
    assert recipe.standardise


def with_weights(small: dict[str, Any], folder: Path, kind: str) -> tuple[Path, Any]:
    """A copy of the small encoder's folder with weights, and the weights."""
    folder.mkdir(parents=True)
    for path in Path(small["encoder"]).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = transformers.T5Config.from_json_file(str(folder / "config.json"))
    torch.manual_seed(3)
    encoder = transformers.T5EncoderModel(config)
    if kind == "safetensors":
        encoder.save_pretrained(str(folder))
    else:
        torch.save(encoder.state_dict(), folder / "pytorch_model.bin")
    return folder, encoder.shared.weight.detach()


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_weights_of_a_folder(small: dict[str, Any], tmp_path: Path, kind: str) -> None:
    folder, words = with_weights(small, tmp_path / "own", kind)
    settings = {**small, "encoder": str(folder), "weights": "pretrained"}
    network = make_model("llm_prop", settings, 0, 1).make_network()
    rows = network.encoder.shared.weight.detach()
    assert len(rows) == len(words) + 3  # [CLS], [NUM], [ANG]
    torch.testing.assert_close(rows[: len(words)], words)


def test_a_tokenizer_of_sentencepiece(tmp_path: Path) -> None:
    from offmap.models.language import read_tokenizer

    texts = [f"{a}(1) is bonded to six {b}(1) atoms." for a in ("Na", "Ti") for b in ("O", "Cl")]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 5), model_prefix=str(tmp_path / "spiece"), vocab_size=40,
        hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    tokenizer = read_tokenizer(tmp_path, ("[CLS]",))
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spiece.model"))
    for text in texts:
        assert tokenizer.encode(text).ids == [*theirs.encode(text), 1]
    first = tokenizer.token_to_id("[CLS]")
    assert first == len(theirs) + 100  # 32,100 for T5: the encoder has rows for 32,128
    assert tokenizer.encode("[CLS] Na(1)").ids == [first, *theirs.encode("Na(1)"), 1]


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "executed")


def test_no_code_of_a_folder_is_run(small: dict[str, Any], tmp_path: Path) -> None:
    folder, _ = with_weights(small, tmp_path / "trap", "bin")
    sprung = tmp_path / "sprung"
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"shared.weight": Trap(sprung)}))
    config = (folder / "config.json").read_text().rstrip("} \n")
    (folder / "config.json").write_text(config + ', "auto_map": {"AutoModel": "own.Own"}}')
    (folder / "own.py").write_text(f"open({str(sprung)!r}, 'w').write('executed')")
    settings = {**small, "encoder": str(folder), "weights": "pretrained"}
    with pytest.raises(SettingsError, match="cannot be read"):
        make_model("llm_prop", settings, 0, 1).make_network()
    assert not sprung.exists()


class Hub(SimpleHTTPRequestHandler):
    """As much of the hub's interface as fetching files takes."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/") and "gone" not in self.path:
            self._listing()
        else:
            self._file()

    def do_HEAD(self) -> None:
        self._file()

    def _listing(self) -> None:
        files = sorted(Path(self.directory).iterdir())
        names = [{"rfilename": path.name} for path in files]
        tree = [
            {"type": "file", "path": path.name, "size": path.stat().st_size,
             "oid": hashlib.sha1(path.read_bytes()).hexdigest()}
            for path in files
        ]  # fmt: skip
        body = {"id": "group/small", "sha": "a" * 40, "siblings": names, "private": False,
                "disabled": False, "tags": [], "downloads": 0, "likes": 0}  # fmt: skip
        sent = json.dumps(tree if "/tree/" in self.path else body).encode()
        self._send(200, sent, "application/json")

    def _file(self) -> None:
        path = Path(self.directory) / self.path.rpartition("/")[2]
        self._send(200, path.read_bytes()) if path.is_file() else self._send(404, b"")

    def _send(self, status: int, body: bytes, kind: str = "application/octet-stream") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{len(body)}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ThreadingHTTPServer]:
    """A hub on this machine that has one encoder, ``group/small``."""
    from huggingface_hub import constants

    folder, _ = with_weights(small, tmp_path / "hub", "bin")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    here = f"http://127.0.0.1:{server.server_port}"
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, here)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", here)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_encoder_is_fetched_once(small: dict[str, Any], hub: ThreadingHTTPServer) -> None:
    settings = {**small, "encoder": "group/small", "weights": "pretrained"}
    make_model("llm_prop", settings, 0, 1).make_network()
    with pytest.raises(SettingsError, match="hf download group/gone"):
        make_model("llm_prop", {**settings, "encoder": "group/gone"}, 0, 1).make_network()
    hub.shutdown()
    hub.server_close()  # from here on only what was fetched is there
    make_model("llm_prop", settings, 0, 1).make_network()
    with pytest.raises(SettingsError, match="hf download group/gone") as caught:
        make_model("llm_prop", {**settings, "encoder": "group/gone"}, 0, 1).make_network()
    assert "weights = 'random'" in str(caught.value)


def test_errors_for_people(
    small: dict[str, Any], sixty_four: tuple[Any, np.ndarray], tmp_path: Path
) -> None:
    crystals, y = sixty_four
    table = pd.read_parquet(small["descriptions"])
    table[table["material_id"] != crystals.material_id[7]].to_csv(tmp_path / "few.csv")
    few = {**small, "descriptions": str(tmp_path / "few.csv")}
    with pytest.raises(DataError, match=r"1 crystals have no description, such as toy-0084: few"):
        make_model("llm_prop", few, 0, 1).fit(crystals, y)
    wrong = {
        "holds no config.json": {"encoder": str(tmp_path)},
        "holds no model.safetensors": {"weights": "pretrained"},
        "no such folder": {"encoder": str(tmp_path / "none")},
        "choose pretrained or random": {"weights": "own"},
    }
    for message, settings in wrong.items():
        with pytest.raises(SettingsError, match=message):
            make_model("llm_prop", {**small, **settings}, 0, 1).fit(crystals, y)
    other = tmp_path / "other"
    write_encoder(other, ["a few words"], model_type="bert")
    with pytest.raises(SettingsError, match="type 'bert'"):
        make_model("llm_prop", {**small, "encoder": str(other)}, 0, 1).fit(crystals, y)


def test_a_study_from_a_table_of_descriptions(
    small: dict[str, Any], toy_file: Path, tmp_path: Path
) -> None:
    table = pd.read_parquet(small["descriptions"])
    study = Study(
        dataset=str(toy_file), target="energy", limit=40, models=("llm_prop",), n_folds=2,
        criteria=("crystal_system",), min_size=10, n_bootstrap=20,
        model_settings={"llm_prop": {**small, "epochs": 2}},
    )  # fmt: skip
    used = load_materials(study)[0].crystals.material_id
    few = table[table["material_id"] != used[3]]
    few.to_parquet(tmp_path / "few.parquet")
    settings = {**small, "epochs": 2, "descriptions": str(tmp_path / "few.parquet")}
    study = replace(study, model_settings={"llm_prop": settings})
    store = stages.create(tmp_path / "study", prepare(study))
    assert not [outcome for outcome in stages.train(store) if outcome.error]
    rejected = pd.read_csv(store.folder / "rejected.csv")
    assert rejected["reason"].tolist() == ["description: few.parquet has no description"]
    scores = stages.score(store)
    assert set(scores["representation"]) == {"text"}
    assert {"crystal_system", "in_distribution"} == set(scores["criterion"])
    assert np.isfinite(scores["mae"]).all()
