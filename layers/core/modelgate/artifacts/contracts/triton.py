"""Triton Inference Server: a model repository, ``<model>/config.pbtxt`` and ``<model>/<version>/…``.

Triton Inference Server documentation, "Model Repository"; how SageMaker's image starts it is in its
docker/sagemaker/serve.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from modelgate.artifacts.contracts import scripts
from modelgate.artifacts.contracts.judged import Judged, some
from modelgate.artifacts.inspection import Member

_CONFIG = "config.pbtxt"
_DEFAULT_MODEL = "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME"
_REPOSITORY = f"<model>/{_CONFIG} and <model>/<version>/<file>"
# Triton passes over what begins with a zero.
_VERSION = re.compile(r"[1-9][0-9]*")


def reads(_environment: Mapping[str, str]) -> Callable[[str], bool]:
    return lambda name: (
        (name.count("/") == 1 and name.endswith(f"/{_CONFIG}"))
        or (name.count("/") == 2 and name.endswith("/model.py"))
    )


def judge(judged: Judged) -> Mapping[str, str]:
    if _CONFIG in judged.members:
        mend = f"put the model into a folder that bears its name: {_REPOSITORY}"
        judged.problem(_CONFIG, "lies at the root, where the container takes folders for models", mend)
        return {}
    # Hidden ones count as well: the container takes whatever folder there is.
    tops = sorted({member.name.partition("/")[0] for member in judged.artifact.members if _is_deep(member)})
    chosen = judged.environment.get(_DEFAULT_MODEL)
    if not tops:
        judged.problem("", "holds no folder at its root", f"lay it out as a model repository: {_REPOSITORY}")
    elif chosen and chosen not in tops:
        judged.environment_problem(_DEFAULT_MODEL, f"is {chosen!r}, and the folders are {some(tops)}", _NAME)
    elif not chosen and len(tops) > 1:
        judged.problem("", f"holds {len(tops)} folders at its root ({some(tops)})", _ONE)
    else:
        _check_model(judged, chosen or tops[0])
        judged.words.append(f"a model repository of Triton, of which {chosen or tops[0]} is served")
    return {}


_ONE = f"leave one, or name the one to be served: container.environment.{_DEFAULT_MODEL}"
_NAME = "name one of them"


def _is_deep(member: Member) -> bool:
    return member.kind == "directory" or "/" in member.name


def _check_model(judged: Judged, model: str) -> None:
    config = judged.texts.get(f"{model}/{_CONFIG}")
    name = _top_level(config, "name") if config else None
    if name and name != model:
        found = f"names the model {name!r}, and its folder is {model}/"
        judged.problem(f"{model}/{_CONFIG}", found, "give both the same name")
    inside = {
        each.name.split("/")[1]
        for each in judged.artifact.members
        if each.name.startswith(f"{model}/") and (each.kind == "directory" or each.name.count("/") > 1)
    }
    versions = sorted((each for each in inside if _VERSION.fullmatch(each)), key=int)
    if not versions:
        lies = f" (it has {some(sorted(inside))})" if inside else ""
        found = f"has no folder that is named by a version{lies}"
        judged.problem(f"{model}/", found, f"put the model file into {model}/1/")
        return
    if config and _top_level(config, "platform") == "ensemble":
        return
    held = [each for each in versions if _holds_files(judged, f"{model}/{each}/")]
    if not held:
        judged.problem(f"{model}/{versions[-1]}/", "holds no file", "put the model file there")
    elif config and _top_level(config, "backend") == "python":
        _check_python(judged, config, [f"{model}/{each}/model.py" for each in held])


def _check_python(judged: Judged, config: str, names: list[str]) -> None:
    if _top_level(config, "default_model_filename"):
        return
    if not any(name in judged.members for name in names):
        judged.problem(names[-1], "is not there, and the backend is python", "put the model's script there")
        return
    # Which versions are served follows from the policy; without one it is the newest.
    script = scripts.read(judged, names[-1]) if "version_policy" not in config else None
    if script is not None and not script.may_define("TritonPythonModel"):
        mend = "define it, with execute(self, requests)"
        judged.problem(names[-1], "has no class TritonPythonModel", mend)


def _holds_files(judged: Judged, folder: str) -> bool:
    return any(name.startswith(folder) for name in judged.members)


def _top_level(config: str, field: str) -> str | None:
    """The text of a field of the config itself, and not of a message in it."""
    depth = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|#[^\n]*|[{}\[\]]|[A-Za-z_]\w*\s*:\s*"([^"]*)"', config):
        text = token.group()
        if text in "{[":
            depth += 1
        elif text in "}]":
            depth -= 1
        elif depth == 0 and token.group(1) is not None and text.split(":")[0].strip() == field:
            return token.group(1)
    return None
