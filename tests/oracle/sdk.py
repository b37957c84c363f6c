"""AWS's own resolver, as it is: asked as the classes of its SDK ask it, its answers untouched.

Other than in the wild is only that it remembers what it would find out again for every answer: what is in its
files, and the signature of its own function.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import re
from importlib import metadata
from typing import Any, NamedTuple

# The SDK looks for credentials when it is imported. There are none, and the network is not asked for any.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")

from sagemaker.core import image_uris  # type: ignore[import-untyped]

logging.getLogger("sagemaker").setLevel(logging.ERROR)
image_uris.config_for_framework = functools.cache(image_uris.config_for_framework)
image_uris.utils._botocore_resolver = functools.cache(image_uris.utils._botocore_resolver)
_undecorated = inspect.unwrap(image_uris.retrieve)
_undecorated.__signature__ = inspect.signature(_undecorated)

VERSION = metadata.version("sagemaker-core")
GRAVITONS = frozenset(image_uris.GRAVITON_ALLOWED_TARGET_INSTANCE_FAMILY)

# Some of the SDK's files, each a family in the catalog, are reached by another framework and an option.
_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "huggingface-llm-neuronx": ("huggingface-llm-neuronx", {"inference_tool": "neuronx"}),
    "huggingface-neuron": ("huggingface", {"inference_tool": "neuron"}),
    "huggingface-neuronx": ("huggingface", {"inference_tool": "neuronx"}),
    "huggingface-training-compiler": ("huggingface", {"training_compiler_config": True}),
    "pytorch-neuron": ("pytorch", {"inference_tool": "neuron"}),
    "pytorch-training-compiler": ("pytorch", {"training_compiler_config": True}),
}
_MODEL_PARALLEL = {
    "torch_distributed": {"enabled": True},
    "smdistributed": {"modelparallel": {"enabled": True}},
}


class Question(NamedTuple):
    """One question to both resolvers, in the catalog's words."""

    framework: str
    scope: str
    version: str
    python: str | None
    base: str | None
    region: str
    instance_type: str


def answer(question: Question) -> str | None:
    """The URI; None where the SDK raises."""
    framework, options = _OPTIONS.get(question.framework, (question.framework, {}))
    try:
        if question.framework == "pytorch-smp":
            return str(_model_parallel(question))
        if framework == "huggingface" and question.scope == "training" and not options:
            # As image_uris.get_training_image_uri does; newer versions have their own in the data.
            options = {"container_version": "cu110-ubuntu18.04"}
        found = image_uris.retrieve(
            framework,
            question.region,
            version=question.version,
            py_version=question.python,
            base_framework_version=question.base,
            instance_type=question.instance_type,
            image_scope=question.scope,
            **options,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return str(found)


def _model_parallel(question: Question) -> str:
    """Which CUDA its tags name is known to this function only."""
    if question.scope != "training":
        raise ValueError("get_training_image_uri is for training")
    return str(
        image_uris.get_training_image_uri(
            question.region,
            "pytorch",
            framework_version=question.version,
            py_version=question.python,
            distribution=_MODEL_PARALLEL,
            instance_type=question.instance_type,
        )
    )


def frameworks() -> tuple[str, ...]:
    """The SDK's files that are for inference or training, by their names."""
    return tuple(
        name for name in image_uris.list_frameworks() if {"inference", "training"} & set(scopes(name))
    )


def scopes(framework: str) -> tuple[str, ...]:
    return tuple(data(framework).get("scope", data(framework)))


def data(framework: str) -> dict[str, Any]:
    """What is in the SDK's file of this name."""
    found: dict[str, Any] = image_uris.config_for_framework(framework)
    return found


def file(question: Question) -> str:
    """Where the SDK looks for the answer."""
    framework, options = _OPTIONS.get(question.framework, (question.framework, {}))
    tool = options.get("inference_tool")
    if framework in {"huggingface", "pytorch"} and "training_compiler_config" not in options:
        tool = image_uris._get_inference_tool(tool, question.instance_type)
        return f"{framework}-{tool}" if tool else framework
    return question.framework


def table(question: Question) -> dict[str, Any]:
    """The versions and aliases among which the SDK looks; nothing where it refuses the scope."""
    name = file(question)
    scope = image_uris._get_final_image_scope(question.framework, question.instance_type, question.scope)
    try:
        found: dict[str, Any] = image_uris._config_for_framework_and_scope(name, scope)
    except ValueError:
        return {"versions": {}}
    return found


def pythons(question: Question) -> tuple[str, ...]:
    """Of this version, oldest first; none where the tag names none, or where its base framework decides."""
    fields = _fields(question)
    names = fields.get("py_versions", ()) if "repository" in fields else fields
    return tuple(sorted((name for name in names if re.fullmatch(r"py\d+", name)), key=_age))


def bases(question: Question) -> tuple[str, ...]:
    """The base frameworks that this version is there on, in full, oldest first."""
    names = [name for name in _fields(question) if re.fullmatch(r"(pytorch|tensorflow)[\d.]+", name)]
    return tuple(sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)]))


def on_base(question: Question) -> dict[str, Any] | None:
    """What the SDK's data says about this version on this base framework."""
    found: dict[str, Any] | None = _fields(question).get(question.base or "")
    return found


def registry_host(account: str, region: str) -> str:
    endpoint = image_uris.utils._botocore_resolver().construct_endpoint("ecr", region)
    return f"{account}.dkr.{endpoint['hostname']}"


def _fields(question: Question) -> dict[str, Any]:
    known = table(question)
    name = known.get("version_aliases", {}).get(question.version, question.version)
    found: dict[str, Any] = known["versions"].get(name, {})
    return found


def _age(python: str) -> tuple[int, int]:
    return int(python[2]), int(python[3:] or -1)
