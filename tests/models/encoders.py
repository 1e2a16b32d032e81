"""A small encoder of text in a folder, and descriptions of the toy crystals in our own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from offmap.crystals import Crystals
from offmap.elements import SYMBOLS

SIZES: dict[str, Any] = {
    "model_type": "t5", "d_model": 48, "d_kv": 16, "d_ff": 96, "num_layers": 1, "num_heads": 3,
    "feed_forward_proj": "gated-gelu", "dropout_rate": 0.0, "pad_token_id": 0, "eos_token_id": 1,
}  # fmt: skip


def describe(crystals: Crystals) -> list[str]:
    """What might be said of binary crystals."""
    texts = []
    for crystal in crystals:
        a, b = (SYMBOLS[z] for z in dict.fromkeys(crystal.numbers.tolist()))
        length = (np.abs(np.linalg.det(crystal.lattice)) / len(crystal.numbers)) ** (1 / 3)
        texts.append(
            f"{a}{b} is {len(crystal.numbers)}-atom and crystallizes in the cubic space group."
            f" {a}(1) is bonded to six equivalent {b}(1) atoms. All {a}(1)-{b}(1) bond lengths are"
            f" {length:.2f} Å. The tilt angles range from 0-12°."
        )
    return texts


def write_encoder(folder: Path, texts: list[str], **sizes: Any) -> Path:
    """A folder with the sizes of a small encoder and a tokenizer that is trained on texts."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from tokenizers.trainers import WordLevelTrainer

    tokenizer = Tokenizer(WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    first = ["<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(texts, WordLevelTrainer(vocab_size=400, special_tokens=first))
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    known = {"vocab_size": tokenizer.get_vocab_size()}
    (folder / "config.json").write_text(json.dumps(SIZES | known | sizes))
    return folder
