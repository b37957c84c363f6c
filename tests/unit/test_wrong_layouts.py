"""How people lay artifacts out, and what is said where a container could not serve them.

Each wrong layout is a right one with a single change, so what is refused is that change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest

from modelgate.artifacts import contracts
from modelgate.artifacts.inspection import HEAD_BYTES, Artifact, Member
from modelgate.errors import Refused

Files = Mapping[str, str | bytes]

MODEL_FN = "def model_fn(model_dir):\n    return 1\n"
TORCHSCRIPT = b"PK\x03\x04\0\0\x08\x08" + bytes(120)
PICKLE = b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x05torch\x94" + bytes(64)
LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(64)
XGB_CLASSIFIER = b"\x80\x04\x95\x20\x10\0\0\0\0\0\0\x8c\x0fxgboost.sklearn\x94\x8c\rXGBClassifier\x94\x93\x94"
SAFETENSORS = (2).to_bytes(8, "little") + b"{}" + bytes(32)
GGUF = b"GGUF\x03\0\0\0" + bytes(64)
PROTOBUF = b"\x08\x01\x12\x10" + bytes(32)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 1\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>"


def config(*architectures: str, **more: object) -> str:
    named = {"architectures": list(architectures)} if architectures else {}
    return json.dumps({**named, **more})


def index(*names: str) -> str:
    return json.dumps({"weight_map": {f"layer.{n}": name for n, name in enumerate(names)}})


SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
BERT: Files = {
    "config.json": config("BertForSequenceClassification"),
    "model.safetensors": SAFETENSORS,
    "tokenizer.json": "{}",
    "tokenizer_config.json": "{}",
}
LLAMA: Files = {**BERT, "config.json": config("LlamaForCausalLM")}
SHARDED: Files = {
    **{name: content for name, content in LLAMA.items() if name != "model.safetensors"},
    **dict.fromkeys(SHARDS, SAFETENSORS),
    "model.safetensors.index.json": index(*SHARDS),
}
SAVED_MODEL: Files = {
    "1/saved_model.pb": PROTOBUF,
    "1/variables/variables.index": b"1",
    "1/variables/variables.data-00000-of-00002": b"1",
    "1/variables/variables.data-00001-of-00002": b"1",
}
HANDLERS = "def input_handler(data, context): ...\ndef output_handler(data, context): ...\n"
MXNET: Files = {"model-symbol.json": "{}", "model-0000.params": b"1", "model-shapes.json": "[]"}
TRITON: Files = {"bert/config.pbtxt": 'name: "bert"\ninput { name: "ids" }\n', "bert/1/model.onnx": PROTOBUF}
TRITON_PYTHON: Files = {
    "glue/config.pbtxt": 'backend: "python"\n',
    "glue/1/model.py": "class TritonPythonModel:\n    def execute(self, requests): ...\n",
}


@dataclass(frozen=True)
class Layout:
    """An artifact's files, and the environment that the manifest gives its container."""

    family: str | None
    files: Files
    environment: Mapping[str, str] = field(default_factory=dict)

    def artifact(self, kind: Literal["tarball", "folder"] = "tarball") -> Artifact:
        """As an inspection would tell it."""
        wanted = contracts.reads(self.family, self.environment)
        contents = {n: c.encode() if isinstance(c, str) else c for n, c in self.files.items()}
        members = tuple(Member(n, len(c), "file", c[:HEAD_BYTES]) for n, c in contents.items())
        texts = {n: c.decode() for n, c in contents.items() if wanted(n)}
        return Artifact(members, texts, 1, 1, "0" * 64, kind)

    def check(self, kind: Literal["tarball", "folder"] = "tarball") -> Mapping[str, str]:
        where = "model.tar.gz" if kind == "tarball" else "model/"
        return contracts.check(self.family, self.artifact(kind), self.environment, where=where)


RIGHT = {
    "sklearn": Layout(
        "sklearn", {"code/inference.py": MODEL_FN, "code/requirements.txt": "x", "model.joblib": PICKLE}
    ),
    "xgboost": Layout("xgboost", {"xgboost-model": b"{L\0\0\0\0\0\0\0\x07learner"}),
    "xgboost, a script": Layout(
        "xgboost", {"code/inference.py": MODEL_FN, "a.ubj": b"{L", "b.ubj": b"{L", "features.json": "[]"}
    ),
    "chainer": Layout("chainer", {"code/inference.py": MODEL_FN, "model.npz": TORCHSCRIPT}),
    "autogluon": Layout(
        "autogluon", {"code/inference.py": MODEL_FN, "predictor.pkl": PICKLE, "models/a/model.pkl": PICKLE}
    ),
    "torchscript": Layout("pytorch", {"model.pt": TORCHSCRIPT}),
    "torchscript beside others": Layout("pytorch", {"model.pt": TORCHSCRIPT, "head.pt": TORCHSCRIPT}),
    "a state dict": Layout("pytorch", {"code/inference.py": MODEL_FN, "weights.pth": LEGACY_TORCH}),
    "a torchserve archive": Layout(
        "pytorch", {"MAR-INF/MANIFEST.json": "{}", "handler.py": "", "weights.bin": PICKLE}
    ),
    "mxnet": Layout("mxnet", MXNET),
    "mxnet, a script": Layout("mxnet", {"code/inference.py": MODEL_FN, "net-0010.params": b"1"}),
    "a saved model": Layout("tensorflow", SAVED_MODEL),
    "a saved model under its name": Layout("tensorflow", {"half/00000123/saved_model.pb": PROTOBUF}),
    "a saved model with handlers": Layout("tensorflow", {**SAVED_MODEL, "code/inference.py": HANDLERS}),
    "transformers": Layout("huggingface", BERT),
    "transformers in shards": Layout("huggingface", SHARDED),
    "transformers for a task": Layout(
        "huggingface", {**BERT, "config.json": config("ViTModel")}, {"HF_TASK": "image-classification"}
    ),
    "transformers by a script": Layout(
        "huggingface", {"code/inference.py": MODEL_FN, "head.pt": TORCHSCRIPT, "config.json": "{}"}
    ),
    "diffusers": Layout("huggingface", {"model_index.json": "{}", "unet/config.json": "{}"}),
    "a hub's model with a script": Layout(
        "huggingface", {"code/inference.py": MODEL_FN}, {"HF_MODEL_ID": "org/model"}
    ),
    "neuron": Layout("huggingface-neuronx", {**BERT, "model.neuron": b"1"}),
    "lmi": Layout("djl-lmi", SHARDED),
    "lmi with properties": Layout(
        "djl-lmi", {"serving.properties": "# of a hub\nengine=Python\noption.model_id = org/model\n"}
    ),
    "lmi with a handler": Layout(
        "djl-lmi", {"serving.properties": "engine=Python", "model.py": "def handle(inputs): ...\n"}
    ),
    "lmi with formatters": Layout("djl-lmi", {**LLAMA, "model.py": "def parse(request): ...\n"}),
    "tgi": Layout("huggingface-llm", LLAMA),
    "tei": Layout("huggingface-tei", {**BERT, "onnx/model.onnx": PROTOBUF}),
    "vllm": Layout("vllm", LLAMA),
    "vllm of mistral": Layout(
        "vllm", {"params.json": "{}", "consolidated.safetensors": SAFETENSORS, "tekken.json": "{}"}
    ),
    "vllm in a folder": Layout(
        "vllm", {f"llama/{name}": c for name, c in LLAMA.items()}, {"SM_VLLM_MODEL": "/opt/ml/model/llama"}
    ),
    "sglang": Layout("sglang", SHARDED),
    "llama.cpp": Layout("llama-cpp", {"model/q4.gguf": GGUF}),
    "triton": Layout("sagemaker-tritonserver", TRITON),
    "triton, python": Layout("sagemaker-tritonserver", TRITON_PYTHON),
    "triton, several": Layout(
        "sagemaker-tritonserver",
        {**TRITON, **TRITON_PYTHON},
        {"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "glue"},
    ),
    "ray serve": Layout("ray-serve", {"config.yaml": "applications: []", "app.py": ""}),
    "an image of one's own": Layout(None, {"anything/at/all.txt": "x", "weights.bin": b"1"}),
    "an algorithm without a contract": Layout("blazingtext", {"model.bin": b"1"}),
}


@dataclass(frozen=True)
class Wrong:
    """A right layout and what is wrong with it.

    Attributes:
        of: the right one.
        says: what the refusal has to name: the place, what was found, the mend.
        more: files that are added or replaced.
        without: files that are missing.
        renamed: files that lie elsewhere.
        into: a folder into which all of it goes.
        environment: instead of the right one's.
    """

    of: str
    says: tuple[str, ...]
    more: Files = field(default_factory=dict)
    without: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    into: str = ""
    environment: Mapping[str, str] | None = None

    @property
    def layout(self) -> Layout:
        right = RIGHT[self.of]
        changed = {**right.files, **self.more}
        files = {self.into + self.renamed.get(n, n): c for n, c in changed.items() if n not in self.without}
        environment = right.environment if self.environment is None else self.environment
        return Layout(right.family, files, environment)


WRONG = {
    # ── everything in a folder of its own ──────────────────────────────────────────────────────
    **{
        f"{of}: wrapped": Wrong(of, ("export/: holds everything", "tar -C export -czf"), into="export/")
        for of in ("sklearn", "xgboost", "torchscript", "mxnet", "transformers", "lmi", "tgi", "vllm", "tei")
    },
    "a checkpoint": Wrong("transformers", ("checkpoint-500/: holds everything",), into="checkpoint-500/"),
    "ray serve: wrapped": Wrong("ray serve", ("app/: holds everything",), into="app/"),
    # ── files that are not what they are called ────────────────────────────────────────────────
    "a pointer of Git LFS": Wrong(
        "transformers",
        ("model.safetensors: is a Git LFS pointer", "git lfs pull"),
        {"model.safetensors": LFS},
    ),
    "a pointer in any image": Wrong(
        "an image of one's own", ("weights.bin: is a Git LFS pointer",), {"weights.bin": LFS}
    ),
    "many pointers are one problem": Wrong(
        "sglang",
        ("each of these 5 is a Git LFS pointer",),
        {**dict.fromkeys(SHARDS, LFS), **{f"extra-{n}.bin": LFS for n in range(3)}},
    ),
    "an empty model": Wrong("sklearn", ("model.joblib: is empty",), {"model.joblib": b""}),
    "an empty booster": Wrong("xgboost", ("xgboost-model: is empty",), {"xgboost-model": b""}),
    "an empty file in any image": Wrong(
        "an algorithm without a contract", ("model.bin: is empty",), {"model.bin": b""}
    ),
    "a web page": Wrong("torchscript", ("model.pt: is a web page",), {"model.pt": PAGE}),
    "an error of S3": Wrong(
        "lmi", ("is a web page or an error message",), {SHARDS[0]: b'<?xml version="1.0"?>\n<Error>'}
    ),
    "safetensors that were cut": Wrong(
        "transformers",
        ("model.safetensors: is shorter than the header",),
        {"model.safetensors": (90_000).to_bytes(8, "little") + b'{"__metadata__":'},
    ),
    "safetensors of a few bytes": Wrong(
        "transformers", ("is shorter than the header",), {"model.safetensors": b"\x02\0\0"}
    ),
    "no safetensors at all": Wrong(
        "transformers", ("is not safetensors",), {"model.safetensors": TORCHSCRIPT}
    ),
    "no GGUF at all": Wrong("llama.cpp", ("is not GGUF",), {"model/q4.gguf": SAFETENSORS}),
    # ── scikit-learn and XGBoost ───────────────────────────────────────────────────────────────
    "code at the root": Wrong(
        "sklearn",
        ("code/inference.py: is not in the archive", "inference.py has a model_fn: move it to"),
        renamed={"code/inference.py": "inference.py"},
    ),
    "a script of another name": Wrong(
        "sklearn",
        ("set container.environment.SAGEMAKER_PROGRAM to serve.py",),
        renamed={"code/inference.py": "code/serve.py"},
    ),
    "no script": Wrong(
        "sklearn", ("put a script there with a model_fn(model_dir)",), without=("code/inference.py",)
    ),
    "no model": Wrong("sklearn", ("holds no model file",), without=("model.joblib",)),
    "requirements at the root": Wrong(
        "sklearn",
        ("requirements.txt: lies at the root", "move it to code/requirements.txt"),
        renamed={"code/requirements.txt": "requirements.txt"},
    ),
    "a script that is no Python": Wrong(
        "chainer", ("code/inference.py: is not Python: line 1",), {"code/inference.py": "def model_fn(:"}
    ),
    "no model_fn": Wrong("autogluon", ("has no model_fn",), {"code/inference.py": "x = 1\n"}),
    "two boosters": Wrong(
        "xgboost", ("holds 2 files at its root (xgboost-model, model-1)",), {"model-1": b"{L"}
    ),
    "a booster and its script": Wrong(
        "xgboost", ("inference.py has a model_fn: move it to code/",), {"inference.py": MODEL_FN}
    ),
    "a booster in a folder": Wrong(
        "xgboost",
        ("holds no model file at its root",),
        {"data/x.bin": b"1"},
        renamed={"xgboost-model": "m/x"},
    ),
    "a pickled classifier": Wrong(
        "xgboost", ("XGBClassifier", "get_booster().save_model"), {"xgboost-model": XGB_CLASSIFIER}
    ),
    "a booster as text": Wrong(
        "xgboost", ("dump_model", "booster.save_model"), {"xgboost-model": b"booster[0]:\n0:[f2<2.45]"}
    ),
    "a booster zipped": Wrong("xgboost", ("xgboost-model: is a zip",), {"xgboost-model": TORCHSCRIPT}),
    # ── PyTorch and MXNet ──────────────────────────────────────────────────────────────────────
    "a state dict without a script": Wrong(
        "a state dict",
        ("weights.pth: is a pickle", "a state dict", "a model_fn(model_dir) that builds the model"),
        without=("code/inference.py",),
    ),
    "several models and no script": Wrong(
        "torchscript beside others",
        ("holds 2 .pt and .pth files at its root (head.pt, a.pt)", "model.pt"),
        {"a.pt": TORCHSCRIPT},
        without=("model.pt",),
    ),
    "a pickle for PyTorch": Wrong(
        "torchscript", ("holds neither a .pt or .pth file", "(model.pkl)"), renamed={"model.pt": "model.pkl"}
    ),
    "weights of Transformers for PyTorch": Wrong(
        "torchscript", ("(pytorch_model.bin)",), renamed={"model.pt": "pytorch_model.bin"}
    ),
    "PyTorch's script at the root": Wrong(
        "a state dict",
        ("inference.py: is not what the container imports", "move it to code/inference.py"),
        renamed={"code/inference.py": "inference.py"},
    ),
    "PyTorch's script under another name": Wrong(
        "a state dict",
        ("SAGEMAKER_PROGRAM to predict.py",),
        renamed={"code/inference.py": "code/predict.py"},
    ),
    "PyTorch's script that is named and missing": Wrong(
        "torchscript",
        ("code/serve.py: is not in the archive",),
        environment={"SAGEMAKER_PROGRAM": "serve.py"},
    ),
    "transform_fn beside another": Wrong(
        "a state dict",
        ("has transform_fn beside input_fn",),
        {"code/inference.py": f"{MODEL_FN}def transform_fn(a, b, c, d): ...\ndef input_fn(a, b): ...\n"},
    ),
    "PyTorch's requirements at the root": Wrong(
        "a state dict", ("requirements.txt: lies at the root",), {"requirements.txt": "timm"}
    ),
    "MXNet of another epoch": Wrong(
        "mxnet",
        ("lacks model-0000.params", "model-0010.params"),
        renamed={"model-0000.params": "model-0010.params"},
    ),
    "MXNet without shapes": Wrong("mxnet", ("lacks model-shapes.json",), without=("model-shapes.json",)),
    "MXNet's script without model_fn": Wrong(
        "mxnet, a script", ("lacks model-symbol.json",), {"code/inference.py": "x = 1\n"}
    ),
    # ── TensorFlow ─────────────────────────────────────────────────────────────────────────────
    "a saved model at the root": Wrong(
        "a saved model",
        ("saved_model.pb: lies at the root", "named by a number: 1/saved_model.pb"),
        renamed={name: name.removeprefix("1/") for name in SAVED_MODEL},
    ),
    "a saved model in a folder with a name": Wrong(
        "a saved model under its name",
        ("lies in half/v1/, whose name is not a number",),
        renamed={"half/00000123/saved_model.pb": "half/v1/saved_model.pb"},
    ),
    "a model of Keras": Wrong(
        "a saved model",
        ("holds no saved_model.pb (model.keras)",),
        {"model.keras": TORCHSCRIPT},
        without=tuple(SAVED_MODEL),
    ),
    "variables that are missing": Wrong(
        "a saved model",
        ("1/variables: lacks 1/variables/variables.data-00000-of-00002",),
        without=("1/variables/variables.data-00000-of-00002",),
    ),
    "half a pair of handlers": Wrong(
        "a saved model with handlers",
        ("has no output_handler", "or handler(data, context)"),
        {"code/inference.py": "def input_handler(data, context): ...\n"},
    ),
    "a model_fn for TensorFlow": Wrong(
        "a saved model with handlers",
        ("has no input_handler and no output_handler",),
        {"code/inference.py": MODEL_FN},
    ),
    "handlers at the root": Wrong(
        "a saved model with handlers",
        ("inference.py: has handlers", "move it to code/inference.py"),
        renamed={"code/inference.py": "inference.py"},
    ),
    "requirements at the root of TensorFlow's": Wrong(
        "a saved model with handlers", ("requirements.txt: lies at the root",), {"requirements.txt": "x"}
    ),
    # ── Hugging Face ───────────────────────────────────────────────────────────────────────────
    "no config": Wrong("transformers", ("config.json: is not there",), without=("config.json",)),
    "checkpoints beside each other": Wrong(
        "transformers",
        ("there is one in checkpoint-500/: put what is in that folder here",),
        {"trainer_state.json": "{}"},
        renamed={name: f"checkpoint-500/{name}" for name in BERT},
    ),
    "no weights": Wrong(
        "transformers",
        ("holds no weights that the container loads",),
        {"training_args.bin": PICKLE},
        without=("model.safetensors",),
    ),
    "weights of another kind": Wrong(
        "transformers", ("(it holds model.pt)",), renamed={"model.safetensors": "model.pt"}
    ),
    "no tokenizer": Wrong(
        "transformers",
        ("holds no tokenizer", "tokenizer.save_pretrained"),
        without=("tokenizer.json", "tokenizer_config.json"),
    ),
    "no architectures": Wrong(
        "transformers",
        ("config.json: has no architectures", "HF_TASK"),
        {"config.json": config(model_type="bert")},
    ),
    "an architecture without a task": Wrong(
        "transformers", ("has the architecture BertModel",), {"config.json": config("BertModel")}
    ),
    "a task that was forgotten": Wrong(
        "transformers for a task", ("has the architecture ViTModel",), environment={}
    ),
    "a config that is no JSON": Wrong(
        "transformers", ("config.json: is not JSON",), {"config.json": "{'architectures': None}"}
    ),
    "a config that is a list": Wrong(
        "transformers", ("config.json: is not a JSON object",), {"config.json": "[]"}
    ),
    "a shard that is missing": Wrong(
        "transformers in shards",
        ("index.json: names 1 of 2 files that are not there (model-00002-of-00002.safetensors)",),
        without=(SHARDS[1],),
    ),
    "shards without their index": Wrong(
        "transformers in shards",
        ("shards of weights without their index",),
        without=("model.safetensors.index.json",),
    ),
    "a path for the name of a hub's model": Wrong(
        "transformers",
        ("manifest.yaml: container.environment.HF_MODEL_ID: is '/opt/ml/model'", "leave it out"),
        environment={"HF_MODEL_ID": "/opt/ml/model"},
    ),
    "Hugging Face's script at the root": Wrong(
        "transformers by a script",
        ("inference.py: is not what the container imports",),
        renamed={"code/inference.py": "inference.py"},
    ),
    "a broken script beside a hub's model": Wrong(
        "a hub's model with a script", ("is not Python",), {"code/inference.py": "def model_fn(:"}
    ),
    # ── servers of large models ────────────────────────────────────────────────────────────────
    "LMI without its tokenizer's config": Wrong(
        "lmi", ("tokenizer_config.json: is not there",), without=("tokenizer_config.json",)
    ),
    "LMI without a config": Wrong(
        "lmi", ("holds no config.json at its root, and no serving.properties",), without=("config.json",)
    ),
    "LMI's properties without a model": Wrong(
        "lmi with properties", ("option.model_id",), {"serving.properties": "engine=Python\n"}
    ),
    "LMI's handler of another name": Wrong(
        "lmi with a handler", ("model.py: has no handle",), {"model.py": "def predict(inputs): ...\n"}
    ),
    "LMI's entry point that is missing": Wrong(
        "lmi with a handler",
        ("serve.py: is not there, and option.entryPoint names it",),
        {"serving.properties": "option.entryPoint=serve.py"},
    ),
    "a shard of LMI's that is missing": Wrong("lmi", ("names 1 of 2 files",), without=(SHARDS[0],)),
    "TEI without a fast tokenizer": Wrong(
        "tei", ("tokenizer.json: is not there", "fast tokenizer"), without=("tokenizer.json",)
    ),
    "TGI without weights": Wrong("tgi", ("holds no weights",), without=("model.safetensors",)),
    "vLLM without a config": Wrong("vllm", ("config.json: is not there",), without=("config.json",)),
    "a folder that vLLM is told of and that is not there": Wrong(
        "vllm in a folder",
        ("container.environment.SM_VLLM_MODEL: is '/opt/ml/model/llama3'",),
        environment={"SM_VLLM_MODEL": "/opt/ml/model/llama3"},
    ),
    "SGLang without a tokenizer": Wrong(
        "sglang", ("holds no tokenizer",), without=("tokenizer.json", "tokenizer_config.json")
    ),
    "SGLang's index without a map": Wrong(
        "sglang", ("has no weight_map",), {"model.safetensors.index.json": '{"metadata": {}}'}
    ),
    "llama.cpp without GGUF": Wrong("llama.cpp", ("holds no .gguf file",), LLAMA, without=("model/q4.gguf",)),
    "GGUF too deep": Wrong("llama.cpp", ("it is at a/b/q4.gguf",), renamed={"model/q4.gguf": "a/b/q4.gguf"}),
    # ── Triton and Ray Serve ───────────────────────────────────────────────────────────────────
    "Triton's model at the root": Wrong(
        "triton",
        ("config.pbtxt: lies at the root", "<model>/config.pbtxt"),
        renamed={name: name.removeprefix("bert/") for name in TRITON},
    ),
    "Triton's model without a version": Wrong(
        "triton",
        ("bert/: has no folder that is named by a version", "bert/1/"),
        renamed={"bert/1/model.onnx": "bert/model.onnx"},
    ),
    "Triton's version with a zero": Wrong(
        "triton", ("(it has 01)",), renamed={"bert/1/model.onnx": "bert/01/model.onnx"}
    ),
    "two models for Triton": Wrong(
        "triton", ("holds 2 folders at its root (bert, tokenizer)",), {"tokenizer/1/model.py": "x = 1"}
    ),
    "a model that Triton is told of and that is not there": Wrong(
        "triton, several",
        ("is 'bart', and the folders are bert, glue",),
        environment={"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "bart"},
    ),
    "Triton's model under another name": Wrong(
        "triton",
        ("names the model 'bert', and its folder is bert2/",),
        renamed={name: name.replace("bert/", "bert2/") for name in TRITON},
    ),
    "Triton's script without its class": Wrong(
        "triton, python", ("has no class TritonPythonModel",), {"glue/1/model.py": MODEL_FN}
    ),
    "Triton's script that is missing": Wrong(
        "triton, python",
        ("glue/1/model.py: is not there",),
        {"glue/1/weights.bin": b"1"},
        without=("glue/1/model.py",),
    ),
    "Ray Serve without a config": Wrong(
        "ray serve", ("config.yaml: is not there", "SM_RAYSERVE_APP"), without=("config.yaml",)
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_accepted(name: str) -> None:
    layout = RIGHT[name]
    assert layout.environment.items() <= layout.check().items()
    layout.check("folder")


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_for_what_it_is(name: str) -> None:
    with pytest.raises(Refused) as refused:
        WRONG[name].layout.check()
    for words in WRONG[name].says:
        assert words in str(refused.value)


def test_of_a_folder_nothing_is_said_of_archives() -> None:
    for wrong in WRONG.values():
        with pytest.raises(Refused) as refused:
            wrong.layout.check("folder")
        assert not any(words in str(refused.value) for words in ("tar -", "archive", "tar.gz"))


def test_every_family_with_a_contract_is_among_the_wrong() -> None:
    """The families that share a contract with one that is count as one."""
    alike = {
        "djl-lmi": ("djl-deepspeed", "djl-fastertransformer", "djl-neuronx", "djl-tensorrtllm"),
        "huggingface": ("huggingface-neuron", "huggingface-neuronx"),
        "huggingface-llm": ("huggingface-llm-neuronx",),
        "huggingface-tei": ("huggingface-tei-cpu",),
        "vllm": ("vllm-server", "vllm-omni", "huggingface-vllm", "huggingface-vllm-omni"),
        "sglang": ("sglang-server", "huggingface-sglang"),
        "llama-cpp": ("llama-cpp-arm64",),
    }
    shown = {str(wrong.layout.family) for wrong in WRONG.values()}
    assert set(contracts.families()) == (shown & set(contracts.families())) | {
        other for family in shown for other in alike.get(family, ())
    }


def test_a_beginning_is_refused_for_what_no_rest_can_mend() -> None:
    proved = ("a pointer of Git LFS", "an empty model", "a script that is no Python", "no model_fn")
    for name in (*proved, "half a pair of handlers", "transform_fn beside another"):
        layout = WRONG[name].layout
        artifact = layout.artifact()
        with pytest.raises(Refused) as refused:
            contracts.check_beginning(
                layout.family, artifact.members, artifact.texts, layout.environment, where="m.tar.gz"
            )
        assert str(refused.value).startswith("m.tar.gz: ")


def test_a_beginning_is_not_refused_for_what_may_still_come() -> None:
    for name in (
        "no model",
        "no script",
        "two boosters",
        "a state dict without a script",
        "a shard that is missing",
    ):
        layout = WRONG[name].layout
        artifact = layout.artifact()
        contracts.check_beginning(layout.family, artifact.members, artifact.texts, layout.environment)
