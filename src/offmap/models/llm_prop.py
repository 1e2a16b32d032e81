"""LLM-Prop: a T5 encoder reads the description of a crystal, a linear layer gives the label."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import T5Config

from offmap.errors import SettingsError
from offmap.models.batching import Ragged
from offmap.models.language import encoder_folder, make_encoder, read_config, read_tokenizer
from offmap.models.network import NetworkRegressor
from offmap.models.recipe import Keep, Precision, Recipe
from offmap.progress import Progress
from offmap.representations.text import DESCRIPTION, Descriptions, descriptions
from offmap.representations.text.words import ANG, CLS, NUM, simplify

Weights = Literal["pretrained", "random"]

ENCODER = "google/t5-v1_1-small"
"""The study's encoder, by its name on the Hugging Face hub (Apache-2.0)."""


class LLMProp(NetworkRegressor):
    """LLM-Prop at the settings of the study.

    Parameters
    ----------
    descriptions
        Table (Parquet or CSV) of ``material_id`` and ``description``; by default descriptions are
        made by Robocrystallographer.
    encoder
        Folder of a T5 encoder, or its name on the hub.
    weights
        ``"pretrained"``, or ``"random"`` ones of the encoder's sizes.
    max_tokens
        Descriptions are cut there.
    epochs, batch_size, learning_rate, gradient_clip
        Of the training; AdamW with weight decay 0.01, OneCycle, L1 loss of the standardised target.
    dropout
        In front of the last layer; that inside the encoder is the encoder's own.
    like
        Batches that are drawn together and sorted by length, so that little is padded.
    precision
        ``"auto"``: bfloat16 products on a graphics card that has them.
    validation_share, keep
        Materials kept out of training, and whether the ``"best"`` epoch by them or the ``"last"``
        is kept.
    device, random_state, n_jobs, checkpoint
        Where it runs, what is random in it, threads, and the file it goes on from after a kill.

    References
    ----------
    Rubungo et al., arXiv 2310.14029; Li et al., Commun. Mater. 6, 9 (2025); Raffel et al., JMLR 21,
    140 (2020).
    """

    consumes = "text"
    given = DESCRIPTION
    config_: Any
    tokenizer_: Tokenizer

    def __init__(
        self,
        *,
        descriptions: str | None = None,
        encoder: str = ENCODER,
        weights: Weights = "pretrained",
        max_tokens: int = 1500,
        epochs: int = 50,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        gradient_clip: float = 1.0,
        dropout: float = 0.5,
        like: int = 8,
        precision: Precision = "auto",
        validation_share: float = 0.0,
        keep: Keep = "last",
        device: str = "auto",
        random_state: int = 0,
        n_jobs: int = 1,
        checkpoint: str | None = None,
    ) -> None:
        self.descriptions = descriptions
        self.encoder = encoder
        self.weights: Weights = weights
        self.max_tokens = max_tokens
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.gradient_clip = gradient_clip
        self.dropout = dropout
        self.like = like
        self.precision: Precision = precision
        self.validation_share = validation_share
        self.keep: Keep = keep
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.checkpoint = checkpoint

    def make_network(self) -> nn.Module:
        """Encoder and last layer: from the file of a trained one, or as training begins."""
        if self.weights not in get_args(Weights):
            known = " or ".join(get_args(Weights))
            raise SettingsError(f"weights = {self.weights!r}: choose {known}")
        tokenizer = self._tokenizer()
        if hasattr(self, "config_"):
            config, folder = self.config_, None
        else:
            source = encoder_folder(self.encoder, self.weights == "pretrained")
            config, folder = read_config(source), source if self.weights == "pretrained" else None
        encoder = make_encoder(config, tokenizer.get_vocab_size(), folder)
        self.config_ = encoder.config
        return _Network(encoder, self.dropout)

    def describe(self, X: Any, progress: Progress | None = None) -> Descriptions:
        """Descriptions of crystals."""
        return descriptions(X, self.descriptions, self.n_jobs, progress)

    def batches_of(self, described: Descriptions) -> Texts:
        """Their tokens."""
        tokenizer = self._tokenizer()
        tokenizer.enable_truncation(self.max_tokens)
        texts = [f"{CLS} {simplify(text)}" for text in described.texts]
        tokens = [np.array(e.ids, np.int32) for e in tokenizer.encode_batch(texts)]
        offsets = np.cumsum([0] + [len(ids) for ids in tokens])
        return Texts(np.concatenate([np.empty(0, np.int32), *tokens]), offsets)

    def make_recipe(self) -> Recipe:
        """How the study trains it."""
        return Recipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=0.01,
            loss="l1",
            standardise=True,
            gradient_clip=self.gradient_clip,
            precision=self.precision,
            validation_share=self.validation_share,
            keep=self.keep,
            like=self.like,
        )

    def _tokenizer(self) -> Tokenizer:
        if not hasattr(self, "tokenizer_"):
            source = encoder_folder(self.encoder, with_weights=False)
            self.tokenizer_ = read_tokenizer(source, (CLS, NUM, ANG))
        return self.tokenizer_

    def _train(self, X: Any, y: Any, watch: Any) -> Any:
        for name in ("tokenizer_", "config_"):  # of a training before
            self.__dict__.pop(name, None)
        return super()._train(X, y, watch)

    def facts(self) -> dict[str, Any]:
        """How it was trained, for the record of a run."""
        return super().facts() | {"encoder": self.encoder, "weights": self.weights}

    def own_state(self) -> dict[str, Any]:
        """Sizes of the encoder and its tokenizer, as JSON."""
        return {"config": self.config_.to_json_string(), "tokenizer": self.tokenizer_.to_str()}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Take up both."""
        self.config_ = T5Config.from_dict(json.loads(state["config"]))
        self.tokenizer_ = Tokenizer.from_str(state["tokenizer"])


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Tokens of a batch, padded, shape (n, longest), and which of them are none of the padding."""

    tokens: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        return type(self)(self.tokens.to(device), self.mask.to(device))


@dataclass(frozen=True, eq=False)
class Texts(Ragged):
    """Tokens of descriptions, one after the other; ``offsets`` has shape (n + 1,)."""

    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def batch(self, rows: NDArray[np.int64]) -> TextBatch:
        """The descriptions at these rows."""
        sizes = self.sizes[rows]
        place = np.arange(sizes.max(initial=1))
        mask = place < sizes[:, None]
        at = np.where(mask, self.offsets[rows][:, None] + place, 0)
        tokens = np.where(mask, self.tokens[at], 0)
        return TextBatch(torch.from_numpy(tokens.astype(np.int64)), torch.from_numpy(mask))


class _Network(nn.Module):  # type: ignore[misc]
    def __init__(self, encoder: nn.Module, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(encoder.config.d_model, 1)

    def forward(self, batch: TextBatch) -> Tensor:
        """Labels, shape (n,)."""
        found: Tensor = self.last(self.dropout(self.embed(batch))).squeeze(-1)
        return found

    def embed(self, batch: TextBatch) -> Tensor:
        """What the encoder makes of the token in front, shape (n, d_model)."""
        hidden = self.encoder(input_ids=batch.tokens, attention_mask=batch.mask.long())
        found: Tensor = hidden.last_hidden_state[:, 0]
        return found
