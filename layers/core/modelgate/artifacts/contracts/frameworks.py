"""Containers that import a script or load one file by themselves: scikit-learn, XGBoost, PyTorch and theirs.

What they expect is in the sources of their inference toolkits (sagemaker-inference-toolkit,
sagemaker-scikit-learn-container, sagemaker-xgboost-container, sagemaker-pytorch-inference-toolkit,
sagemaker-mxnet-inference-toolkit, sagemaker-chainer-container), and in the Amazon SageMaker AI Developer
Guide, "Machine Learning Frameworks and Languages".
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from types import MappingProxyType

from modelgate.artifacts.contracts import scripts
from modelgate.artifacts.contracts.general import is_model_file
from modelgate.artifacts.contracts.judged import MODEL_DIRECTORY, NOTHING, Judged, some
from modelgate.artifacts.contracts.scripts import DEFAULT_SCRIPT, PROGRAM, SUBMIT_DIRECTORY
from modelgate.artifacts.gzip_stream import PACK

# The containers' own default for the folder is one that no artifact has, so both are always set.
_SCRIPT_ENVIRONMENT = MappingProxyType({PROGRAM: "inference.py", SUBMIT_DIRECTORY: f"{MODEL_DIRECTORY}/code"})
_NO_MODEL = (".py", ".pyc", ".txt", ".md", ".toml", ".cfg")

# How files begin that neither pickle nor Booster.load_model reads.
_NOT_XGBOOST = {
    b"PK\x03\x04": "a zip",
    b"\x1f\x8b": "compressed with gzip",
    b"\x89HDF": "HDF5",
    b"booster[0]": "a dump for people to read (dump_model), which cannot be loaded",
}
_TORCHSCRIPT = (".pt", ".pth")
_ZIP = b"PK\x03\x04"
_FLATBUFFER = b"PTMF"  # after the first four bytes
_MXNET = ("model-symbol.json", "model-0000.params", "model-shapes.json")
# What torch-model-archiver writes; TorchServe takes the handler from it.
_ARCHIVED = "MAR-INF/MANIFEST.json"


# ── a script is needed ────────────────────────────────────────────────────────────────────────────
def sklearn(judged: Judged) -> Mapping[str, str]:
    return _scripted(judged, _SCRIPT_ENVIRONMENT)


def chainer(judged: Judged) -> Mapping[str, str]:
    # Its container knows no transform_fn, so nothing is excluded by one.
    return _scripted(judged, _SCRIPT_ENVIRONMENT, transform_excludes=False)


def autogluon(judged: Judged) -> Mapping[str, str]:
    return _scripted(judged, NOTHING)


def sklearn_begun(judged: Judged) -> None:
    scripts.check_begun(judged)


def chainer_begun(judged: Judged) -> None:
    scripts.check_begun(judged, transform_excludes=False)


def _scripted(
    judged: Judged, environment: Mapping[str, str], *, transform_excludes: bool = True
) -> Mapping[str, str]:
    if judged.is_wrapped():
        return {}
    scripts.check_required(judged, transform_excludes=transform_excludes)
    script = scripts.script_name(judged.environment)
    models = _models(judged, posixpath.dirname(script or DEFAULT_SCRIPT))
    if not models:
        judged.problem("", "holds no model file", "put what model_fn loads at the root, such as model.joblib")
    judged.words.append(f"{script or 'a script in S3'}, whose model_fn loads {some(models)}")
    return environment


def _models(judged: Judged, folder: str) -> list[str]:
    """What model_fn may load. It may read from beside the script as well, but not a script."""
    elsewhere = [
        name
        for name in judged.members
        if not (folder and name.startswith(f"{folder}/")) and not name.endswith((".py", "requirements.txt"))
    ]
    return elsewhere + [name for name in judged.under(folder) if not name.endswith(_NO_MODEL) and folder]


# ── XGBoost: the one file at the root, or a script ────────────────────────────────────────────────
def xgboost(judged: Judged) -> Mapping[str, str]:
    if judged.is_wrapped():
        return {}
    if _has_script(judged):
        return _scripted(judged, _SCRIPT_ENVIRONMENT)
    files = judged.under("")
    if not files:
        mend = "the container loads the one file there (a pickle, or Booster.save_model)"
        judged.problem("", "holds no model file at its root", mend if judged.is_folder else f"{mend}: {PACK}")
    elif len(files) > 1:
        mend = (
            "leave only the model there, since the container loads whatever it finds; "
            f"or load it yourself, by model_fn in {DEFAULT_SCRIPT}"
        )
        found = f"holds {len(files)} files at its root ({some(files)})"
        judged.problem("", found, scripts.mend_by_moving(judged) or mend)
    else:
        _check_booster(judged, files[0])
        judged.words.append(f"{files[0]}, which the container loads by itself")
    return {}


def xgboost_begun(judged: Judged) -> None:
    if _has_script(judged):
        scripts.check_begun(judged)


def _has_script(judged: Judged) -> bool:
    return PROGRAM in judged.environment or any(name.endswith(".py") for name in judged.under("code"))


def _check_booster(judged: Judged, name: str) -> None:
    member = judged.members[name]
    if member.kind == "file" and member.size == 0 and not is_model_file(name):
        judged.problem(name, "is empty", "save the model again: booster.save_model")
    known = next((what for start, what in _NOT_XGBOOST.items() if member.head.startswith(start)), None)
    if known is not None:
        judged.problem(name, f"is {known}", "save the booster itself: booster.save_model('xgboost-model')")
    elif member.head.startswith(b"\x80") and b"xgboost.sklearn" in member.head:
        judged.problem(
            name,
            "is a pickle of scikit-learn's interface (XGBClassifier and its like), and the container "
            "expects a Booster",
            "save what is in it: model.get_booster().save_model('xgboost-model')",
        )


# ── PyTorch: TorchScript, or a script ─────────────────────────────────────────────────────────────
def pytorch(judged: Judged) -> Mapping[str, str]:
    if judged.is_wrapped(aside=lambda wrapper: wrapper in ("code", "MAR-INF")):
        return {}
    if scripts.loads_the_model(judged) is not False:
        return {}
    if _ARCHIVED in judged.members:
        judged.words.append("a TorchServe archive")
    else:
        _check_torchscript(judged)
    return {}


def _check_torchscript(judged: Judged) -> None:
    """Without a model_fn the container loads model.pt, or the one file of its kind at the root."""
    files = [name for name in judged.under("") if name.endswith(_TORCHSCRIPT)]
    if "model.pt" in judged.members:
        files = ["model.pt"]
    if not files:
        others = [name for name in judged.members if is_model_file(name)]
        found = "holds neither a .pt or .pth file at its root nor a script with a model_fn"
        judged.problem("", f"{found} ({some(others)})" if others else found, _LOAD_OR_TORCHSCRIPT)
    elif len(files) > 1:
        found = f"holds {len(files)} .pt and .pth files at its root ({some(files)}), and no script"
        mend = "call the TorchScript that is to be served model.pt; or load them by model_fn in "
        judged.problem("", found, mend + DEFAULT_SCRIPT)
    else:
        member = judged.members[files[0]]
        head = member.head
        if head.startswith(b"\x80"):
            found = (
                "is a pickle, as torch.save wrote them: a state dict or a whole module, and not TorchScript"
            )
            judged.problem(files[0], found, _LOAD_OR_TORCHSCRIPT)
        elif len(head) > 8 and not head.startswith(_ZIP) and head[4:8] != _FLATBUFFER:
            judged.problem(files[0], "is not TorchScript, which is a zip", _LOAD_OR_TORCHSCRIPT)
        judged.words.append(f"{files[0]}, which the container loads as TorchScript")


_LOAD_OR_TORCHSCRIPT = (
    f"add {DEFAULT_SCRIPT} with a model_fn(model_dir) that builds the model and loads its state dict; "
    "or save it with torch.jit.save as model.pt"
)


# ── MXNet: a module's three files, or a script ────────────────────────────────────────────────────
def mxnet(judged: Judged) -> Mapping[str, str]:
    if judged.is_wrapped():
        return {}
    if scripts.loads_the_model(judged) is not False:
        return {}
    missing = [name for name in _MXNET if name not in judged.members]
    if missing:
        others = [name for name in judged.under("") if name.endswith((".params", ".json"))]
        lies = f" (it holds {some(others)})" if others else ""
        judged.problem(
            "",
            f"lacks {', '.join(missing)}{lies}",
            f"the container loads {', '.join(_MXNET)} from the root: name the files so, or load yours by "
            f"model_fn in {DEFAULT_SCRIPT}",
        )
    judged.words.append("a module of MXNet, which the container loads by itself")
    return {}


def optional_begun(judged: Judged) -> None:
    scripts.check_optional_begun(judged)
