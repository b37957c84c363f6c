"""MLflow's models: what the folder that ``log_model`` wrote holds, and how a container can serve it.

MLflow Documentation, "MLflow Models": the file MLmodel says in which flavors a model can be loaded. A
flavor's own file is taken out where its framework's container loads that; else the container of sklearn or
pytorch loads the whole model by MLflow itself, as a python_function.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from modelgate.errors import Problem, Refused
from modelgate_cli.layouts import families, scripts
from modelgate_cli.layouts.folders import files_in
from modelgate_cli.layouts.material import REQUIREMENTS, SCRIPT, Content, Layout, Material

_FILE = "MLmodel"
_MOST_BYTES = 1024 * 1024
_PYTHON_FUNCTION = "python_function"
# What MLflow writes beside every model for itself.
_MLFLOWS_OWN = re.compile(
    r"MLmodel|conda\.yaml|python_env\.yaml|requirements\.txt|constraints\.txt|registered_model_meta|metadata/.*"
    r"|(serving_)?input_example.*\.json"
)
# The containers in which a generated script can load a model by MLflow.
_BY_MLFLOW = ("sklearn", "pytorch")
# The flavors that are taken out, and the frameworks whose containers load them then.
_FRAMEWORKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sklearn": ("sklearn",),
        "xgboost": ("xgboost",),
        "pytorch": ("pytorch",),
        "transformers": ("huggingface",),
        "tensorflow": ("tensorflow",),
        "keras": ("tensorflow",),
        "onnx": ("sklearn", "pytorch"),
    }
)
# The version of its framework, as each flavor names it.
_VERSIONS: Mapping[str, str] = MappingProxyType(
    {
        "sklearn": "sklearn_version",
        "xgboost": "xgb_version",
        "pytorch": "pytorch_version",
        "transformers": "transformers_version",
        "tensorflow": "keras_version",
        "onnx": "onnx_version",
    }
)
# The containers that serve a pipeline of transformers, which has a task.
_TASKS = {"huggingface", "huggingface-neuron", "huggingface-neuronx"}
_NUMBERS = {"boolean", "integer", "long", "float", "double"}

_Flavor = Mapping[str, Any]
_Lay = Callable[[_Flavor, str], "Layout | None"]


class _Described(BaseModel):
    """MLmodel; what is not needed of it is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    flavors: dict[str, dict[str, Any]]
    run_id: str | None = None
    model_id: str | None = None
    artifact_path: str | None = None
    signature: dict[str, Any] | None = None


class MlflowModel:
    """An MLflow model on disk.

    Args:
        root: its folder.
    """

    def __init__(self, root: Path, described_as: _Described) -> None:
        self._root = root
        self._described = described_as
        self._flavors = described_as.flavors

    @property
    def answers_to_csv(self) -> bool:
        """Whether its signature is a table of numbers, or says nothing."""
        try:
            inputs = json.loads(str((self._described.signature or {}).get("inputs") or "[]"))
        except json.JSONDecodeError:
            return True
        return all(isinstance(each, dict) and _is_a_row_of_numbers(each) for each in inputs)

    def lay_out(self, material: Material, model: Path) -> Layout:
        """
        Raises:
            Refused: the framework's container cannot serve this model, and which could.
        """
        if material.framework is None or material.has_code:
            layout = families.lay_out(material, model)
        else:
            layout = self._served_by(material, material.framework)
        return replace(layout, source_uri=self._source_uri, metadata={**self._run, **layout.metadata})

    @property
    def _source_uri(self) -> str | None:
        path = self._described.artifact_path
        if self._described.run_id and path and "://" not in path and not path.startswith("/"):
            return f"runs:/{self._described.run_id}/{path}"
        if self._described.model_id:
            return f"models:/{self._described.model_id}"
        return f"runs:/{self._described.run_id}" if self._described.run_id else None

    @property
    def _run(self) -> Mapping[str, str]:
        return {"mlflow.run_id": self._described.run_id} if self._described.run_id else {}

    def _served_by(self, material: Material, framework: str) -> Layout:
        for flavor, lay in self._layouts().items():
            if flavor in self._flavors and _serves(framework, flavor):
                layout = lay(self._flavors[flavor], framework)
                if layout is not None:
                    return self._told(layout, flavor, material)
        if framework in _BY_MLFLOW and _PYTHON_FUNCTION in self._flavors:
            return self._by_mlflow(material)
        raise Refused(self._unservable(framework))

    def _unservable(self, framework: str) -> Problem:
        flavors = " and ".join(sorted(self._flavors)) or "no flavor"
        fitting = [name for flavor in self._flavors for name in _FRAMEWORKS.get(flavor, ())]
        choices = dict.fromkeys([*fitting, *(_BY_MLFLOW if _PYTHON_FUNCTION in self._flavors else ())])
        mend = "give a script that loads it: --script FILE"
        if choices:
            mend = f"choose --framework {' or '.join(choices)}, or {mend}"
        found = f"is an MLflow model with {flavors}, which the {framework} container cannot load"
        return Problem(str(self._root / _FILE), found, mend)

    def _told(self, layout: Layout, flavor: str, material: Material) -> Layout:
        """Says with which version the model was saved, and what of its folder is not packed."""
        saved_with = str(self._flavors[flavor].get(_VERSIONS.get(flavor, ""), ""))
        notes = list(layout.notes)
        # What serves ONNX is not the framework that is named.
        if saved_with and material.version and flavor != "onnx" and _apart(saved_with, material.version):
            notes.append(
                f"the model was saved with {flavor} {saved_with}; the container is {material.version}"
            )
        packed = {content for content in layout.files.values() if isinstance(content, Path)}
        found = files_in(self._root, apart=material.apart)
        left_out = [name for name, path in found.files.items() if path not in packed]
        metadata = {"mlflow.flavor": f"{flavor} {saved_with}".strip()}
        return replace(layout, notes=tuple(notes), left_out=(*found.left_out, *left_out), metadata=metadata)

    # ── flavor by flavor ──────────────────────────────────────────────────────────────────────────
    def _layouts(self) -> Mapping[str, _Lay]:
        """How each flavor is taken out; None where its files are such that only MLflow can load them."""
        return {
            "sklearn": self._sklearn,
            "xgboost": self._xgboost,
            "pytorch": self._pytorch,
            "transformers": self._transformers,
            "tensorflow": self._tensorflow,
            "keras": self._tensorflow,
            "onnx": self._onnx,
        }

    def _sklearn(self, of: _Flavor, _: str) -> Layout | None:
        pickled = of.get("serialization_format", "pickle") in {"pickle", "cloudpickle"}
        # Models may be logged to answer with predict_proba and the like.
        if not pickled or self._flavors.get(_PYTHON_FUNCTION, {}).get("predict_fn", "predict") != "predict":
            return None
        model = self._in_it(str(of.get("pickled_model") or "model.pkl"))
        layout = Layout({model.name: model}).with_files(
            {SCRIPT: scripts.for_sklearn(model.name)}, generated=[SCRIPT]
        )
        # joblib, which loads it, brings no cloudpickle under the name that such a file asks for.
        needs = "cloudpickle" if of.get("serialization_format") == "cloudpickle" else None
        return self._with_code_paths(layout, of, needs)

    def _xgboost(self, of: _Flavor, _: str) -> Layout | None:
        model = self._in_it(str(of.get("data") or "model.xgb"))
        return Layout({model.name: model})

    def _pytorch(self, of: _Flavor, _: str) -> Layout | None:
        data = str(of.get("model_data") or "data")
        names = (data, f"{data}/model.pth")
        model = next((self._in_it(name) for name in names if (self._root / name).is_file()), None)
        if model is None:
            return None
        if families.is_torchscript(model):
            return Layout({"model.pt": model})
        layout = Layout({model.name: model}).with_files(
            {SCRIPT: scripts.for_pickled_module(model.name)}, generated=[SCRIPT]
        )
        return self._with_code_paths(layout, of, "cloudpickle")

    def _transformers(self, of: _Flavor, framework: str) -> Layout | None:
        self._check_weights(of)
        weights = files_in(self._in_it(_folder_of_weights(of))).files
        has_components = (self._root / "components").is_dir()
        others = files_in(self._in_it("components")).files if has_components else {}
        # Tokenizers and processors lie in folders of their own here, and at the root in a container.
        beside = {PurePosixPath(name).name: path for name, path in others.items()}
        task = of.get("task") if framework in _TASKS else None
        return Layout({**beside, **weights}, environment={"HF_TASK": str(task)} if task else {})

    def _check_weights(self, of: _Flavor) -> None:
        problem = None
        if of.get("peft_adaptor"):
            mend = "merge it into its model (merge_and_unload), and log that"
            problem = "is an adapter, and its base model is not in it", mend
        elif not (self._root / _folder_of_weights(of)).is_dir():
            name, revision = of.get("source_model_name"), of.get("source_model_revision")
            pinned = f" --environment HF_MODEL_REVISION={revision}" if revision else ""
            mend = f"leave MODEL out, and give --environment HF_MODEL_ID={name}{pinned}"
            problem = f"names {name} on the hub, and has no weights in it", mend
        if problem is not None:
            raise Refused(Problem(str(self._root / _FILE), *problem))

    def _tensorflow(self, of: _Flavor, _: str) -> Layout | None:
        data = str(of.get("data") or "data")
        names = [str(of.get("saved_model_dir") or data), f"{data}/model"]
        there = (name for name in names if (self._root / name / "saved_model.pb").is_file())
        folder = next(map(self._in_it, there), None)
        if folder is None:
            found = "is saved as a Keras file, and TensorFlow Serving loads a SavedModel"
            mend = "load it, write a SavedModel (model.export('my-model')), and pack that folder"
            raise Refused(Problem(str(self._root / _FILE), found, mend))
        return families.saved_model(folder)

    def _onnx(self, of: _Flavor, _: str) -> Layout | None:
        model = self._in_it(str(of.get("data") or "model.onnx"))
        if model.is_dir():
            return families.serving_onnx(files_in(model).files)
        # Tensors that are too many for one file lie in others beside it, under any name.
        found = files_in(self._root).files
        beside = {
            name: path for name, path in found.items() if "/" not in name and not _MLFLOWS_OWN.fullmatch(name)
        }
        return families.serving_onnx({**beside, model.name: model})

    def _by_mlflow(self, material: Material) -> Layout:
        """The whole model, with a script that loads it by MLflow."""
        of = self._flavors[_PYTHON_FUNCTION]
        found = files_in(self._root, apart=material.apart)
        files: dict[str, Content] = {
            f"{scripts.MLFLOW_FOLDER}/{name}": path for name, path in found.files.items()
        }
        generated: dict[str, Content] = {SCRIPT: scripts.for_mlflow()}
        if material.requirements is None:
            generated[REQUIREMENTS] = self._requirements()
        python = str(of.get("python_version", ""))
        notes = ["MLflow and what the model requires are installed by pip whenever the container starts"]
        if python:
            notes.append(
                f"the model was saved with Python {python}; its pickles may ask for that minor version"
            )
        layout = Layout(files, left_out=tuple(found.left_out), notes=tuple(notes))
        return replace(
            layout.with_files(generated, generated=generated),
            metadata={"mlflow.flavor": f"{_PYTHON_FUNCTION} {of.get('loader_module', '')}".strip()},
        )

    def _requirements(self) -> bytes:
        lines = list(self._required())
        if not any(_names(line) in {"mlflow", "mlflow-skinny"} for line in lines):
            where, mend = str(self._root / "requirements.txt"), "give what it requires: --requirements FILE"
            raise Refused(Problem(where, "names no mlflow, which is to load the model", mend))
        return "".join(f"{line}\n" for line in lines).encode()

    def _required(self) -> Iterator[str]:
        if not (self._root / "requirements.txt").is_file():
            return
        for line in self._in_it("requirements.txt").read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                yield line.strip()

    def _with_code_paths(self, layout: Layout, flavor: _Flavor, needs: str | None) -> Layout:
        """With the modules that were logged beside the model, and a package that its file asks for."""
        code = flavor.get("code") or self._flavors.get(_PYTHON_FUNCTION, {}).get("code")
        if code:
            modules = files_in(self._in_it(str(code))).files
            layout = layout.with_files({f"code/{name}": path for name, path in modules.items()})
        if needs is None or REQUIREMENTS in layout.files:
            return layout
        line = next((line for line in self._required() if _names(line) == needs), needs)
        return layout.with_files({REQUIREMENTS: f"{line}\n".encode()}, generated=[REQUIREMENTS])

    def _in_it(self, name: str) -> Path:
        """What MLmodel names, which may come from anybody, so that nothing else of this machine is packed."""
        path = (self._root / name).resolve()
        if not path.exists() or not path.is_relative_to(self._root.resolve()):
            where, mend = str(self._root / _FILE), "download the model again, whole"
            raise Refused(Problem(where, f"names {name}, which is not in its folder", mend))
        return path


def described(model: Path) -> MlflowModel | None:
    """What MLmodel says; None for what is no MLflow model.

    Raises:
        Refused: MLmodel cannot be read.
    """
    file = model / _FILE
    if not model.is_dir() or not file.is_file():
        return None
    try:
        with file.open("rb") as stream:
            content = yaml.safe_load(stream.read(_MOST_BYTES))
        return MlflowModel(model, _Described.model_validate(content))
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as error:
        reason = " ".join(str(error).split())
        found = f"is not as MLflow writes it ({reason})"
        raise Refused(Problem(str(file), found, "download the model again, whole")) from error


def _serves(framework: str, flavor: str) -> bool:
    frameworks = _FRAMEWORKS.get(flavor, ())
    return framework in frameworks or ("huggingface" in frameworks and families.is_pretrained(framework))


def _folder_of_weights(of: _Flavor) -> str:
    """Before MLflow 2.4.1 flavors did not name it."""
    return str(of.get("model_binary") or "pipeline")


def _is_a_row_of_numbers(column: Mapping[str, Any]) -> bool:
    if column.get("type") != "tensor":
        return column.get("type") in _NUMBERS
    spec = column.get("tensor-spec") or {}
    return len(spec.get("shape") or ()) <= 2 and not str(spec.get("dtype", "")).startswith(("str", "object"))


def _apart(one: str, other: str) -> bool:
    """Whether two versions differ in their first two numbers; the container's may name only the first."""
    pairs = zip(re.findall(r"\d+", one)[:2], re.findall(r"\d+", other)[:2], strict=False)
    return any(int(mine) != int(yours) for mine, yours in pairs)


def _names(requirement: str) -> str:
    """The package that a line of requirements.txt names."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")
