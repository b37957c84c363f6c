"""Servers whose environment tells them what to serve: TGI, TEI, vLLM, SGLang, llama.cpp, Ray Serve.

What each reads is in the entry points of its image: text-generation-inference (sagemaker-entrypoint.sh) and
aws/deep-learning-containers (scripts/docker, docker/tei); AWS Deep Learning Containers documentation,
"Amazon SageMaker AI Deployment" of each.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from modelgate.artifacts.contracts import saved
from modelgate.artifacts.contracts.judged import MODEL_DIRECTORY, NOTHING, Judged, local_folder, some

_MISTRAL = "params.json"
_DIFFUSERS = "model_index.json"


class Server(NamedTuple):
    """
    Attributes:
        variable: names the model: a hub's name, or a path in the container.
        also: variables that name one where neither ``variable`` nor an artifact does.
        must_be_set: whether ``variable`` has to name the artifact's path too.
        weights: suffixes of what it loads.
        configs: one of these has to be there.
        fast_tokenizer: whether it reads tokenizer.json only.
        anywhere: whether weights may lie in folders: models that were compiled.
        load_format: the variable that chooses another format of weights.
    """

    variable: str
    also: tuple[str, ...] = ()
    must_be_set: bool = False
    weights: tuple[str, ...] = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".tensors")
    configs: tuple[str, ...] = (saved.CONFIG, _MISTRAL, _DIFFUSERS)
    fast_tokenizer: bool = False
    anywhere: bool = False
    load_format: str = ""

    def reads(self, environment: Mapping[str, str]) -> Callable[[str], bool]:
        return saved.reads(local_folder(environment.get(self.variable, MODEL_DIRECTORY)) or "")

    def without_artifact(self, environment: Mapping[str, str]) -> Mapping[str, str] | None:
        names = [environment.get(name, "") for name in (self.variable, *self.also)]
        elsewhere = [name for name in names if name and local_folder(name) is None]
        return {self.variable: elsewhere[0]} if elsewhere else None

    def judge(self, judged: Judged) -> Mapping[str, str]:
        named = judged.environment.get(self.variable)
        folder = local_folder(named) if named else ""
        if folder is None:
            judged.words.append(f"{named}, which the container loads by that name")
            return {}
        added = {self.variable: MODEL_DIRECTORY} if self.must_be_set else NOTHING
        if folder in judged.members:
            judged.words.append(f"{folder}, which the container is told to load")
            return added
        if folder and not any(name.startswith(f"{folder}/") for name in judged.members):
            found = f"is {named!r}, which is not in the artifact"
            judged.environment_problem(self.variable, found, f"name {MODEL_DIRECTORY}, or what is below it")
        elif folder or not judged.is_wrapped(aside=lambda _: False):
            self._check_model(judged, folder)
        return added

    def _check_model(self, judged: Judged, folder: str) -> None:
        config = saved.config_of(judged, posixpath.join(folder, saved.CONFIG))
        if any(name.endswith(".gguf") for name in judged.under(folder)) and ".gguf" in self.weights:
            judged.words.append("a model as GGUF")
            return
        if not saved.has(judged, folder, *self.configs):
            saved.missing_config(judged, folder)
        if saved.has(judged, folder, _DIFFUSERS) and _DIFFUSERS in self.configs:
            judged.words.append("a pipeline of Diffusers")
            return
        if not judged.environment.get(self.load_format):
            saved.check_weights(judged, folder, self.weights, anywhere=self.anywhere)
        self._check_tokenizer(judged, folder, config)
        judged.words.append(f"a model as save_pretrained writes it, {_architecture(config)}")

    def _check_tokenizer(self, judged: Judged, folder: str, config: Mapping[str, Any] | None) -> None:
        if not self.fast_tokenizer:
            saved.check_tokenizer(judged, folder, config)
        elif not saved.has(judged, folder, "tokenizer.json"):
            mend = "save a fast tokenizer beside the model: tokenizer.save_pretrained"
            judged.problem(posixpath.join(folder, "tokenizer.json"), "is not there", mend)


def _architecture(config: Mapping[str, Any] | None) -> str:
    named = config.get("architectures") if config else None
    return str(named[0]) if isinstance(named, list) and named else "of an architecture that is not told"


# Both end at once where HF_MODEL_ID is not set, be there an artifact or not.
TGI = Server("HF_MODEL_ID", must_be_set=True, weights=(".safetensors", ".bin", ".pt"))
TGI_NEURON = Server(
    "HF_MODEL_ID",
    must_be_set=True,
    weights=(".safetensors", ".bin", ".pt", ".neuron", ".neff"),
    anywhere=True,
)
TEI = Server(
    "HF_MODEL_ID",
    must_be_set=True,
    weights=(".safetensors", ".bin", ".onnx"),
    configs=(saved.CONFIG,),
    fast_tokenizer=True,
    anywhere=True,
)
# Its first images read SM_VLLM_MODEL alone; later ones look into the artifact, then at HF_MODEL_ID.
VLLM = Server("SM_VLLM_MODEL", also=("HF_MODEL_ID",), must_be_set=True, load_format="SM_VLLM_LOAD_FORMAT")
SGLANG = Server("SM_SGLANG_MODEL_PATH", load_format="SM_SGLANG_LOAD_FORMAT")


# ── llama.cpp: the first GGUF ─────────────────────────────────────────────────────────────────────
_LLAMA_MODEL = "SM_LLAMA_CPP_MODEL"
_LLAMA_HUB = ("SM_LLAMA_CPP_HF_REPO", "SM_LLAMA_CPP_MODEL_URL")
_GGUF = ".gguf"


def llama_without_artifact(environment: Mapping[str, str]) -> Mapping[str, str] | None:
    model = environment.get(_LLAMA_MODEL, "")
    elsewhere = bool(model) and local_folder(model) is None
    return NOTHING if elsewhere or any(environment.get(name) for name in _LLAMA_HUB) else None


def llama_cpp(judged: Judged) -> Mapping[str, str]:
    if llama_without_artifact(judged.environment) is not None:
        return {}
    named = judged.environment.get(_LLAMA_MODEL)
    if named:
        if local_folder(named) not in judged.members:
            found = f"is {named!r}, which is not in the artifact"
            judged.environment_problem(_LLAMA_MODEL, found, "name a .gguf file that is in it")
        return {}
    found_at = [name for name in judged.members if name.endswith(_GGUF) and name.count("/") <= 1]
    deeper = [name for name in judged.members if name.endswith(_GGUF)]
    if not found_at:
        lies = f", or in a folder there (it is at {some(deeper)})" if deeper else ""
        found = f"holds no .gguf file at its root{lies}"
        mend = "put it at the root" if deeper else "convert the model with llama.cpp's convert_hf_to_gguf.py"
        judged.problem("", found, mend)
    judged.words.append(f"{some(found_at)}, which the container finds by itself")
    return {}


# ── Ray Serve: an application ─────────────────────────────────────────────────────────────────────
_RAY_CONFIG = "config.yaml"
_RAY_APPLICATION = "SM_RAYSERVE_APP"


def ray_without_artifact(environment: Mapping[str, str]) -> Mapping[str, str] | None:
    return NOTHING if environment.get(_RAY_APPLICATION) else None


def ray_serve(judged: Judged) -> Mapping[str, str]:
    application = judged.environment.get(_RAY_APPLICATION)
    if not application and not judged.is_wrapped() and _RAY_CONFIG not in judged.members:
        mend = (
            f"put a config of Ray Serve there, or set container.environment.{_RAY_APPLICATION} to module:app"
        )
        judged.problem(_RAY_CONFIG, "is not there", mend)
    judged.words.append(f"an application of Ray Serve: {application or _RAY_CONFIG}")
    return {}
