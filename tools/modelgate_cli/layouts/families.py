"""How each framework's models are laid out, from what the framework wrote on disk."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from modelgate.errors import Problem, Refused
from modelgate_cli.layouts import scripts
from modelgate_cli.layouts.folders import files_in
from modelgate_cli.layouts.material import REQUIREMENTS, SCRIPT, Layout, Material

# What the containers' own loaders, or the script that is generated for sklearn, can load.
_SKLEARN = (".joblib", ".pkl", ".pickle")
_XGBOOST = (".ubj", ".json", ".pkl", ".pickle", ".model", ".bin", ".xgb")
_SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
# By what tensors of an ONNX model lie beside it when it is larger than a protocol buffer can be.
_ONNX_DATA = (".data", "_data")
# What a Trainer writes for going on with the training, at the root of its output folder.
_OF_TRAINING = re.compile(
    r"(optimizer|scheduler|scaler)\.(pt|bin)|rng_state.*\.pth|trainer_state\.json|training_args\.bin"
    r"|events\.out\.tfevents.*|runs/|checkpoint-\d+/|global_step\d+/"
)
_CHECKPOINT = re.compile(r"checkpoint-(\d+)/")


def lay_out(material: Material, model: Path) -> Layout:
    """The model's part of the artifact.

    Args:
        model: a file or folder that is there.

    Raises:
        Refused: the container could not load it, and what would be right.
    """
    return _layout_of(material.framework)(material, model)


def answers_json(framework: str | None) -> bool:
    """Whether its container takes JSON rather than CSV by default."""
    return framework in {"pytorch", "tensorflow", "mxnet"} or is_pretrained(framework)


def is_pretrained(framework: str | None) -> bool:
    """Whether its container serves what ``save_pretrained`` wrote."""
    return bool(framework) and str(framework).startswith(("huggingface", "djl-", "vllm", "sglang"))


def _layout_of(framework: str | None) -> Callable[[Material, Path], Layout]:
    layout = _LAYOUTS.get(framework or "", _as_it_is)
    return _pretrained if is_pretrained(framework) else layout


def _as_it_is(material: Material, model: Path) -> Layout:
    if model.is_file():
        return Layout({model.name: model})
    found = files_in(model, apart=material.apart)
    return Layout(dict(found.files), left_out=tuple(found.left_out))


def _sklearn(material: Material, model: Path) -> Layout:
    onnx = _onnx_in(material, model)
    if onnx is not None:
        return serving_onnx(onnx)
    if material.has_code or model.is_dir():
        return _with_a_script_inside(material, model)
    if model.suffix not in _SKLEARN:
        raise _unloadable(material, model, _SKLEARN)
    return Layout({model.name: model}).with_files(
        {SCRIPT: scripts.for_sklearn(model.name)}, generated=[SCRIPT]
    )


def _xgboost(material: Material, model: Path) -> Layout:
    if model.is_file() and model.suffix not in _XGBOOST and not material.has_code:
        raise _unloadable(material, model, _XGBOOST)
    return _as_it_is(material, model)


def _pytorch(material: Material, model: Path) -> Layout:
    onnx = _onnx_in(material, model)
    if onnx is not None:
        return serving_onnx(onnx)
    if material.has_code or model.is_dir():
        return _as_it_is(material, model)
    kind = _other_than_torchscript(model)
    if kind is not None:
        mend = (
            "give the script whose model_fn loads it (--script FILE), or save it as TorchScript: "
            "torch.jit.script(model).save('model.pt')"
        )
        raise Refused(Problem(str(model), f"is {kind}, which the container cannot load by itself", mend))
    # Every version of the container looks for this name first.
    return Layout({"model.pt": model})


def is_torchscript(model: Path) -> bool:
    """Whether a file of PyTorch's holds its code as well, so that any container can run it."""
    return _other_than_torchscript(model) is None


def _other_than_torchscript(model: Path) -> str | None:
    """What else a file is; PyTorch's serialization keeps code and constants of TorchScript in the zip."""
    try:
        with zipfile.ZipFile(model) as archive:
            names = {name.partition("/")[2] or name for name in archive.namelist()}
    except zipfile.BadZipFile:
        with model.open("rb") as stream:
            pickled = stream.read(1) == b"\x80"
        return "a state dict or a pickled module" if pickled else "no file that PyTorch wrote"
    if "constants.pkl" in names:
        return None
    if "archive_format" in names or "serialized_exported_program.json" in names:
        return "a program of torch.export"
    if "data.pkl" in names:
        return "a state dict or a pickled module"
    return "a zip archive, and none of TorchScript"


def _tensorflow(material: Material, model: Path) -> Layout:
    if model.is_file():
        mend = "write a SavedModel and pack its folder: model.export('my-model') or tf.saved_model.save"
        raise Refused(Problem(str(model), "is a file, and TensorFlow Serving loads folders", mend))
    return saved_model(model, apart=material.apart)


def saved_model(folder: Path, *, apart: Path | None = None) -> Layout:
    """A SavedModel under the number of its version, which is 1 unless its folder is named for another."""
    found = files_in(folder, apart=apart)
    if not any((folder / name).is_file() for name in _SAVED_MODEL):
        return Layout(dict(found.files), left_out=tuple(found.left_out))
    name = folder.resolve().name
    version = name if re.fullmatch("[0-9]+", name) else "1"
    files = {
        name if name.startswith("code/") else f"{version}/{name}": path for name, path in found.files.items()
    }
    return Layout(files, left_out=tuple(found.left_out))


def _pretrained(material: Material, model: Path) -> Layout:
    if model.is_file():
        return Layout({model.name: model})
    found = files_in(model, apart=material.apart, leave_out=lambda name: bool(_OF_TRAINING.fullmatch(name)))
    checkpoints = [name for name in found.left_out if _CHECKPOINT.fullmatch(name)]
    if checkpoints and not any("/" not in name for name in found.files):
        newest = max(checkpoints, key=lambda name: int(name.removeprefix("checkpoint-").rstrip("/")))
        found_there = f"holds checkpoints only ({', '.join(checkpoints)})"
        mend = f"pack the one that is to serve: {model / newest.rstrip('/')}"
        raise Refused(Problem(str(model), found_there, mend))
    return Layout(dict(found.files), left_out=tuple(found.left_out))


def _onnx_in(material: Material, model: Path) -> Mapping[str, Path] | None:
    """The files of an ONNX model that nobody has a script for."""
    if material.has_code:
        return None
    if model.is_file():
        if model.suffix != ".onnx":
            return None
        beside = (model.with_name(f"{model.name}{suffix}") for suffix in _ONNX_DATA)
        return {path.name: path for path in (model, *beside) if path.is_file()}
    files = files_in(model, apart=material.apart).files
    models = [name for name in files if name.endswith(".onnx")]
    return files if len(models) == 1 and not any(name.endswith(".py") for name in files) else None


def serving_onnx(files: Mapping[str, Path]) -> Layout:
    """An ONNX model with a script and what the script needs.

    Args:
        files: exactly one of them is the model; the others hold its tensors.
    """
    model = next(name for name in files if name.endswith(".onnx"))
    generated = {SCRIPT: scripts.for_onnx(model), REQUIREMENTS: scripts.ONNX_REQUIREMENTS}
    note = "onnxruntime is installed by pip whenever the container starts, so it needs a way to PyPI"
    return Layout(dict(files), notes=(note,)).with_files(generated, generated=generated)


def _with_a_script_inside(material: Material, model: Path) -> Layout:
    layout = _as_it_is(material, model)
    if model.is_dir() and not material.has_code and not any(name.endswith(".py") for name in layout.files):
        mend = f"give the file that joblib wrote ({', '.join(_SKLEARN)}), or a script: --script FILE"
        raise Refused(Problem(str(model), "is a folder without a script that loads the model", mend))
    return layout


def _unloadable(material: Material, model: Path, suffixes: tuple[str, ...]) -> Refused:
    found = f"is not a file that the {material.framework} container can load"
    mend = f"give a file of {', '.join(suffixes)}, or a script whose model_fn loads it: --script FILE"
    if model.suffix == ".onnx":
        mend = "serve it by onnxruntime (--framework sklearn or pytorch), or give a script: --script FILE"
    return Refused(Problem(str(model), found, mend))


_LAYOUTS: Mapping[str, Callable[[Material, Path], Layout]] = MappingProxyType(
    {"sklearn": _sklearn, "xgboost": _xgboost, "pytorch": _pytorch, "tensorflow": _tensorflow}
)
