"""Pretrained encoders of text: found in a folder or on the Hugging Face hub, read as data alone.

Whatever lies in such a folder, no code of it is run: weights are read from safetensors, or as bare
tensors from ``pytorch_model.bin``; tokenizers from ``tokenizer.json`` or ``spiece.model``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import NFKC
from transformers import T5Config, T5EncoderModel, T5Tokenizer
from transformers.utils import logging

from offmap.errors import SettingsError

_CONFIG = "config.json"
_TOKENIZERS = ("tokenizer.json", "spiece.model")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def encoder_folder(name: str, with_weights: bool) -> Path:
    """The folder of an encoder: itself, or its copy from the hub, fetched if it is not there.

    Parameters
    ----------
    name
        A folder, or a name on the hub such as ``google/t5-v1_1-small``.
    with_weights
        Whether its weights are needed besides its sizes and its tokenizer.

    Raises
    ------
    SettingsError
        If something of it is missing and cannot be fetched.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        lacking = _lacking(folder, with_weights)
        if lacking:
            raise SettingsError(f"encoder = {name!r}: the folder holds no {lacking}")
        return folder
    if name.count("/") > 1 or name.startswith((".", "~", "/")):
        raise SettingsError(f"encoder = {name!r}: there is no such folder")
    found = _from_hub(name, [_CONFIG, *_TOKENIZERS], only_local=True)
    if found is None or _lacking(found, with_weights):
        found = _fetched(name, with_weights)
    return found


def read_config(folder: Path) -> Any:
    """Sizes of the encoder."""
    try:
        settings = json.loads((folder / _CONFIG).read_text())
        kind = settings.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise SettingsError(f"{folder / _CONFIG} cannot be read: {error}") from error
    if kind != "t5":
        raise SettingsError(f"{folder} holds an encoder of type {kind!r}; 't5' is what can be used")
    return T5Config.from_dict(settings)


def read_tokenizer(folder: Path, more: Sequence[str]) -> Tokenizer:
    """The tokenizer, with the tokens ``more`` as words of their own."""
    with _quiet():
        if (folder / _TOKENIZERS[0]).is_file():
            tokenizer = Tokenizer.from_file(str(folder / _TOKENIZERS[0]))
        else:
            tokenizer = _from_sentencepiece(folder / _TOKENIZERS[1])
    tokenizer.no_padding()
    tokenizer.add_special_tokens(list(more))
    return tokenizer


def make_encoder(config: Any, n_tokens: int, folder: Path | None = None) -> Any:
    """An encoder for ``n_tokens`` tokens: with the weights of a folder, or random ones.

    Raises
    ------
    SettingsError
        If the weights cannot be read, or are others than the sizes say.
    """
    with _quiet():
        encoder = T5EncoderModel(config) if folder is None else _read_encoder(folder)
        if n_tokens > encoder.config.vocab_size:
            encoder.resize_token_embeddings(n_tokens, mean_resizing=False)
    return encoder


def _from_sentencepiece(path: Path) -> Tokenizer:
    """T5's tokenizer of a SentencePiece file, with its 100 further tokens at the end."""
    from sentencepiece import SentencePieceProcessor

    try:
        pieces = SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    vocabulary = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(len(pieces))]
    tokenizer: Tokenizer = T5Tokenizer(vocab=vocabulary, extra_ids=100).backend_tokenizer
    tokenizer.normalizer = NFKC()  # what SentencePiece's nmt_nfkc does, apart from control codes
    return tokenizer


def _read_encoder(folder: Path) -> Any:
    import torch

    try:
        return T5EncoderModel.from_pretrained(
            str(folder),
            use_safetensors=(folder / _WEIGHTS[0]).is_file(),  # else bare tensors of the .bin
            weights_only=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
        )
    except Exception as error:  # damaged, of other sizes, or with more than tensors inside
        raise SettingsError(f"the weights in {folder} cannot be read: {error}") from error


def _lacking(folder: Path, with_weights: bool) -> str:
    """What is missing in a folder, in words; empty if nothing is."""
    needed = [(_CONFIG,), _TOKENIZERS, *([_WEIGHTS] if with_weights else [])]
    lacking = [names for names in needed if not any((folder / name).is_file() for name in names)]
    return " nor ".join(lacking[0]) if lacking else ""


def _fetched(name: str, with_weights: bool) -> Path:
    """Fetch from the hub: safetensors where there are some, bare tensors otherwise."""
    small = [_CONFIG, "tokenizer_config.json", *_TOKENIZERS]
    found = _from_hub(name, [*small, *(_WEIGHTS[:1] if with_weights else ())])
    if found is not None and with_weights and not (found / _WEIGHTS[0]).is_file():
        found = _from_hub(name, [*small, _WEIGHTS[1]])
    lacking = "" if found is None else _lacking(found, with_weights)
    if found is None or lacking:
        raise SettingsError(f"encoder = {name!r}: the hub has no {lacking} of it")
    return found


def _from_hub(name: str, files: list[str], only_local: bool = False) -> Path | None:
    """The copy of these files here; ``None`` if there is none and ``only_local``."""
    from huggingface_hub import constants, snapshot_download

    try:
        with _quiet():
            return Path(snapshot_download(name, allow_patterns=files, local_files_only=only_local))
    except Exception as error:  # no such name, no connection, a proxy that says no
        if only_local:
            return None
        problem = error
    said = str(problem).strip().splitlines()
    raise SettingsError(
        f"encoder = {name!r} is no folder here, and cannot be fetched from {constants.ENDPOINT}"
        f" ({said[0] if said else type(problem).__name__}). Where there is a connection,"
        f" 'hf download {name}' fetches it; a copy of the files can be named as a folder:"
        f" encoder = '/path/to/files'. weights = 'random' does without pretrained weights."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries from writing reports and bars to the terminal."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars
    from huggingface_hub.utils import enable_progress_bars as enable

    verbosity, bars = logging.get_verbosity(), not are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()
        if bars:
            enable()
