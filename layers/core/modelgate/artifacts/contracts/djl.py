"""DJL Serving, AWS's Large Model Inference containers.

What they expect is in the source of djl-serving (ModelInfo, PyModel, ModelStore) and in its documentation,
"Model Artifacts for LMI" and "Container and Model Configurations".
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping

from modelgate.artifacts.contracts import saved, scripts
from modelgate.artifacts.contracts.judged import NOTHING, Judged, local_folder

_PROPERTIES = "serving.properties"
_MODEL_ID = "option.model_id"
_ENTRY_POINT = "option.entryPoint"
_SCRIPT = "model.py"
_HUB = ("HF_MODEL_ID", "OPTION_MODEL_ID")
_CONFIGS = (saved.CONFIG, "params.json", "adapter_config.json")
_TOKENIZERS = (saved.TOKENIZER_CONFIG, "tekken.json")
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".neff", ".engine", ".onnx")
# By files of these names the server finds an engine of its own. Those of scikit-learn and XGBoost are not
# among them: its handlers for these want options as well.
_OF_OTHER_ENGINES = ("model.pt", "model.onnx", "MAR-INF/MANIFEST.json", "metadata.yaml")
_PYTHON = ("Python", "MPI", "DeepSpeed", "FasterTransformer")


def reads(environment: Mapping[str, str]) -> Callable[[str], bool]:
    root = saved.reads()
    deeper = saved.reads(local_folder(environment.get("OPTION_MODEL_ID", "")) or "")
    return lambda name: (
        root(name) or deeper(name) or name == _PROPERTIES or (name.endswith(".py") and "/" not in name)
    )


def without_artifact(environment: Mapping[str, str]) -> Mapping[str, str] | None:
    named = [environment.get(name, "") for name in _HUB]
    return NOTHING if any(name and local_folder(name) is None for name in named) else None


def judge(judged: Judged) -> Mapping[str, str]:
    if judged.is_wrapped(aside=lambda wrapper: wrapper in ("MAR-INF", "tensorrt_llm")):
        return {}
    options = _options(judged)
    model = options.get(_MODEL_ID) or options.get("option.s3url", "")
    engine = options.get("engine", "Python")
    entry = options.get(_ENTRY_POINT, "")
    script = _check_script(judged, entry)
    folder = local_folder(model) if model else ""
    if script or folder is None or engine not in _PYTHON or (entry and not entry.endswith(".py")):
        judged.words.append(f"{script or model or entry or engine}, as {_PROPERTIES} or the environment says")
    elif _is_of_another_engine(judged):
        judged.words.append("a model of an engine that the container finds by itself")
    elif folder and not any(name.startswith(f"{folder}/") for name in judged.members):
        found = f"is {model!r}, which is not in the artifact"
        judged.problem(_PROPERTIES, f"{_MODEL_ID} {found}", "name a hub's model, or a folder that is in it")
    else:
        _check_saved(judged, folder)
    return {}


def _check_saved(judged: Judged, folder: str) -> None:
    config = saved.config_of(judged, posixpath.join(folder, saved.CONFIG))
    if saved.has(judged, folder, "model_index.json"):
        judged.words.append("a pipeline of Diffusers")
        return
    if not saved.has(judged, folder, *_CONFIGS):
        if folder or any(posixpath.basename(name) == saved.CONFIG for name in judged.members):
            saved.missing_config(judged, folder)
        else:
            found = f"holds no {saved.CONFIG} at its root, and no {_PROPERTIES} that names {_MODEL_ID}"
            judged.problem("", found, "put one of them there; save_pretrained writes the former")
        return
    saved.check_weights(judged, folder, _WEIGHTS, anywhere=judged.family == "djl-neuronx")
    if not saved.has(judged, folder, *_TOKENIZERS, "adapter_config.json"):
        mend = "save the tokenizer beside the model: tokenizer.save_pretrained"
        judged.problem(posixpath.join(folder, saved.TOKENIZER_CONFIG), "is not there", mend)
    named = config.get("architectures") if config else None
    known = named[0] if isinstance(named, list) and named else "a model"
    judged.words.append(f"{known}, as save_pretrained writes it")


def _check_script(judged: Judged, entry: str) -> str | None:
    """The script that answers requests, if the artifact has one; what is wrong with it is noted."""
    name = entry if entry.endswith(".py") and "://" not in entry and not entry.startswith("/") else _SCRIPT
    if entry and name == entry and name not in judged.members:
        judged.problem(name, f"is not there, and {_ENTRY_POINT} names it", "put the script there")
        return name
    script = scripts.read(judged, name) if entry in ("", name) else None
    if script is None:
        return name if name in judged.members and entry in ("", name) else None
    handler = _options(judged).get("option.handler", "handle")
    if script.may_define(handler):
        return name
    # The server then takes its own handler, as far as it finds a model for it.
    if not saved.has(judged, "", *_CONFIGS) and _MODEL_ID not in _options(judged):
        judged.problem(name, f"has no {handler}", f"define {handler}(inputs), which answers the requests")
        return name
    return None


def _is_of_another_engine(judged: Judged) -> bool:
    if saved.has(judged, "", *_CONFIGS):
        return False
    compiled = any(name.endswith((".engine", "config.pbtxt")) for name in judged.members)
    return compiled or saved.has(judged, "", *_OF_OTHER_ENGINES)


def _options(judged: Judged) -> Mapping[str, str]:
    """What the server is told: by serving.properties first, then by the environment."""
    options = {}
    for variable, value in judged.environment.items():
        if variable.startswith("OPTION_") and value:
            key = variable.removeprefix("OPTION_").lower()
            options[_NAMES.get(key, f"option.{key}")] = value
    if judged.environment.get("DJL_ENTRY_POINT"):
        options.setdefault(_ENTRY_POINT, judged.environment["DJL_ENTRY_POINT"])
    if judged.environment.get("HF_MODEL_ID"):
        options.setdefault(_MODEL_ID, judged.environment["HF_MODEL_ID"])
    return options | _properties(judged.texts.get(_PROPERTIES, ""))


_NAMES = {"engine": "engine", "entrypoint": _ENTRY_POINT}


def _properties(text: str) -> dict[str, str]:
    """The keys and values of a Java properties file, as far as LMI's documentation uses its syntax."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=" if "=" in line else ":") for line in lines if line and line[0] not in "#!")
    return {key.strip(): value.strip() for key, _, value in pairs}
