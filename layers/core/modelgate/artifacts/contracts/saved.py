"""A model as ``save_pretrained`` of Hugging Face writes it: a config, weights, and a tokenizer.

Hugging Face Transformers documentation, "Loading models"; the layout of shards is that of
``model.safetensors.index.json``, whose ``weight_map`` names the file of each tensor.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from modelgate.artifacts.contracts.judged import Judged, some

CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
INDEX = ".index.json"

# What a trainer leaves beside the weights, and nothing that serves reads.
_OF_TRAINING = re.compile(
    r"(training_args|optimizer|scheduler|scaler|rng_state\S*|random_states\S*)\.(bin|pt|pth|pkl)"
)
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.[a-z]+)")
_MOST_SHARDS = 5000
_TOKENIZER = re.compile(
    r".*token.*|vocab.*|merges\.txt|bpe\.codes|.*\.(model|spm|tiktoken|vocab)|tekken\.json", re.IGNORECASE
)
_NO_TOKENIZER_FILES = {"canine", "perceiver"}
_SAVE = "save the model there with save_pretrained"


def reads(folder: str = "") -> Callable[[str], bool]:
    """The names whose text these checks want to see."""
    return lambda name: (
        posixpath.dirname(name) == folder and (posixpath.basename(name) == CONFIG or name.endswith(INDEX))
    )


def config_of(judged: Judged, name: str) -> Mapping[str, Any] | None:
    """A JSON object of the artifact; None where its text is not there or is none, which is noted."""
    text = judged.texts.get(name)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        judged.problem(name, f"is not JSON ({_one_line(error)})", f"{_SAVE} again")
        return None
    if not isinstance(content, dict):
        judged.problem(name, "is not a JSON object", f"{_SAVE} again")
        return None
    return content


def has(judged: Judged, folder: str, *names: str) -> bool:
    return any(posixpath.join(folder, name) in judged.members for name in names)


def missing_config(judged: Judged, folder: str) -> None:
    """Notes that there is no config.json, and points at the one that was meant."""
    elsewhere = [name for name in judged.members if posixpath.basename(name) == CONFIG]
    deeper = sorted({posixpath.dirname(name) for name in elsewhere} - {""})
    place = posixpath.join(folder, CONFIG)
    there = f"there is one in {some(f'{each}/' for each in deeper)}: " if deeper else ""
    mend = f"{there}put what is in that folder here" if deeper else _SAVE
    judged.problem(place, "is not there", mend)


def check_weights(judged: Judged, folder: str, suffixes: tuple[str, ...], *, anywhere: bool = False) -> None:
    """Notes that there are no weights, or not all of them.

    Args:
        suffixes: of files that the container loads.
        anywhere: whether they may lie below the folder as well.
    """
    names = list(judged.members) if anywhere else judged.under(folder)
    weights = [
        name
        for name in names
        if name.endswith(suffixes) and not _OF_TRAINING.fullmatch(posixpath.basename(name))
    ]
    _check_shards(judged, folder)
    if not weights:
        others = [name for name in judged.members if name.endswith((".pt", ".pth", ".pkl", ".bin", ".ckpt"))]
        lies = f" (it holds {some(others)})" if others else ""
        place = f"{folder}/" if folder else ""
        mend = f"{_SAVE}, which writes model.safetensors"
        judged.problem(place, f"holds no weights that the container loads{lies}", mend)


def _check_shards(judged: Judged, folder: str) -> None:
    told: set[str] = set()
    for index in (name for name in judged.under(folder) if name.endswith(INDEX)):
        content = config_of(judged, index)
        weight_map = content.get("weight_map") if content is not None else None
        if content is not None and not isinstance(weight_map, dict):
            judged.problem(index, "has no weight_map", f"{_SAVE} again")
        elif isinstance(weight_map, dict):
            named = {posixpath.join(folder, str(name)) for name in weight_map.values()}
            missing = sorted(named - judged.members.keys())
            told |= named
            if missing:
                found = f"names {len(missing)} of {len(named)} files that are not there ({some(missing)})"
                judged.problem(index, found, "put all of the shards beside it")
    missing = sorted(_missing_shards(judged.under(folder)) - told)
    if missing:
        there = f"shards are not there: {some(missing)}"
        judged.problem(f"{folder}/" if folder else "", there, "put all of the shards beside the others")


def _missing_shards(names: list[str]) -> set[str]:
    present = set(names)
    wanted = {
        f"{shard[1]}-{number:05d}-of-{shard[3]}{shard[4]}"
        for name in names
        if (shard := _SHARD.fullmatch(name))
        for number in range(1, min(int(shard[3]), _MOST_SHARDS) + 1)
    }
    return wanted - present


def has_shards_without_index(judged: Judged, folder: str = "") -> bool:
    """Transformers finds shards by their index alone."""
    names = judged.under(folder)
    return any(map(_SHARD.fullmatch, names)) and not any(name.endswith(INDEX) for name in names)


def check_tokenizer(judged: Judged, folder: str, config: Mapping[str, Any] | None) -> None:
    """Notes that no file of a tokenizer is there."""
    if config is not None and str(config.get("model_type")) in _NO_TOKENIZER_FILES:
        return
    if config is not None and str(config.get("tokenizer_class", "")).startswith(
        ("ByT5", "Canine", "Perceiver")
    ):
        return
    if not any(_TOKENIZER.fullmatch(posixpath.basename(name)) for name in judged.under(folder)):
        place = f"{folder}/" if folder else ""
        judged.problem(place, "holds no tokenizer", "save it beside the model: tokenizer.save_pretrained")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
