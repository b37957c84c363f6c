"""TensorFlow Serving: a SavedModel below a folder whose name is a number, perhaps with handlers.

What it expects is in the source of sagemaker-tensorflow-serving-container; Amazon SageMaker Python SDK,
"Deploying to TensorFlow Serving Endpoints".
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from modelgate.artifacts.contracts import scripts
from modelgate.artifacts.contracts.judged import Judged, some
from modelgate.artifacts.contracts.scripts import DEFAULT_SCRIPT, REQUIREMENTS, Script

_SAVED_MODEL = "saved_model.pb"
_SHARD = re.compile(r"(.*variables\.data-)(\d{5})-of-(\d{5})")
_OTHERS = (".h5", ".hdf5", ".keras", ".pb", ".pkl", ".joblib", ".tflite", ".ckpt", ".index", ".onnx")


def judge(judged: Judged) -> Mapping[str, str]:
    models = [name for name in judged.members if posixpath.basename(name) == _SAVED_MODEL]
    served = [name for name in models if _version(name)]
    if not served and judged.is_wrapped(aside=lambda wrapper: bool(models) or wrapper == "code"):
        return {}
    if not models:
        others = [name for name in judged.members if name.lower().endswith(_OTHERS)]
        found = f"holds no {_SAVED_MODEL}"
        judged.problem(
            "",
            f"{found} ({some(others)})" if others else found,
            "save it as a SavedModel (model.export or tf.saved_model.save) into a folder that is named by a "
            f"number: 1/{_SAVED_MODEL}",
        )
    elif not served:
        folder = posixpath.dirname(models[0])
        judged.problem(
            models[0],
            f"lies in {folder}/, whose name is not a number" if folder else "lies at the root",
            f"put it and what is beside it into a folder that is named by a number: 1/{_SAVED_MODEL}",
        )
    _check_variables(judged, served)
    _check_handlers(judged)
    judged.words.append(f"a SavedModel: {some(served)}")
    return {}


def begun(judged: Judged) -> None:
    script = scripts.read(judged, DEFAULT_SCRIPT)
    if script is not None:
        _check_script(judged, script)


def _version(name: str) -> bool:
    return re.fullmatch(r"[0-9]+", posixpath.basename(posixpath.dirname(name))) is not None


def _check_variables(judged: Judged, served: list[str]) -> None:
    for model in served:
        folder = posixpath.join(posixpath.dirname(model), "variables")
        shards = [found for name in judged.under(folder) if (found := _SHARD.fullmatch(name))]
        wanted = {f"{each[1]}{n:05d}-of-{each[3]}" for each in shards for n in range(_count(each))}
        missing = sorted(wanted - judged.members.keys())
        index = posixpath.join(folder, "variables.index")
        if index in judged.members and not shards:
            missing = [posixpath.join(folder, "variables.data-…")]
        if missing:
            judged.problem(folder, f"lacks {some(missing)}", "save the model again, and pack all of it")


def _count(shard: re.Match[str]) -> int:
    return min(int(shard[3]), 1000)


def _check_handlers(judged: Judged) -> None:
    script = scripts.read(judged, DEFAULT_SCRIPT)
    if script is not None:
        _check_script(judged, script)
        _check_requirements(judged)
        return
    if DEFAULT_SCRIPT in judged.members:
        return
    for name, text in judged.texts.items():
        if name.endswith(".py") and re.search(
            r"^(async )?def (input_|output_)?handler\b", text, re.MULTILINE
        ):
            found = f"has handlers, and the container imports {DEFAULT_SCRIPT} alone"
            judged.problem(name, found, f"move it to {DEFAULT_SCRIPT}")


def _check_script(judged: Judged, script: Script) -> None:
    if script.may_define("handler"):
        return
    missing = [name for name in ("input_handler", "output_handler") if not script.may_define(name)]
    if missing:
        found = f"has no {' and no '.join(missing)}"
        mend = (
            "define input_handler(data, context) and output_handler(data, context), or handler(data, context)"
        )
        judged.problem(script.name, found, mend)


def _check_requirements(judged: Judged) -> None:
    if REQUIREMENTS in judged.members and f"code/{REQUIREMENTS}" not in judged.members:
        found = f"lies at the root, and the container installs what code/{REQUIREMENTS} names"
        judged.problem(REQUIREMENTS, found, f"move it to code/{REQUIREMENTS}")
