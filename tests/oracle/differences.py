"""Where the catalog differs from the SDK on purpose: each reason, its cases, and what is right in them.

What is right is never the catalog's own word: it is a refusal, or what the SDK says to another question, or
what its data says. So a reason excuses one answer only, and not whatever the catalog may say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from modelgate.images.instances import instance

from . import sdk
from .sdk import Question

_BY_NEURON = {
    "huggingface-neuron": "neuron",
    "huggingface-neuronx": "neuronx",
    "inferentia-mxnet": "neuron",
    "inferentia-pytorch": "neuron",
    "inferentia-tensorflow": "neuron",
}
_NAMED_NEURONX = ("huggingface-vllm-neuronx", "hyperpod-recipes-neuron")
_ON_BASES = ("huggingface", "huggingface-neuron", "huggingface-neuronx", "huggingface-training-compiler")
# Reasons may come together: a default on an instance type that the SDK does not know. Not many, though.
_AT_MOST = 4


@dataclass(frozen=True)
class Difference:
    """A reason to differ.

    Attributes:
        why: what is wrong with the SDK's answer, for those who read the figures.
        covers: whether the reason is for this question.
        right: the right answer to it: a URI, None for a refusal, or the question that the SDK has to be asked
            in its stead.
    """

    why: str
    covers: Callable[[Question], bool]
    right: Callable[[Question], str | Question | None]


def explanation(
    question: Question, theirs: str | None, ours: str | None, *, at_most: int = _AT_MOST
) -> Difference | None:
    """The reason for which these two answers differ; None where there is none.

    Reasons that are needed together are told by the first of them.
    """
    for difference in DIFFERENCES:
        if not difference.covers(question):
            continue
        right = difference.right(question)
        if isinstance(right, Question):
            better = sdk.answer(right)
            if better == ours or (at_most > 1 and explanation(right, better, ours, at_most=at_most - 1)):
                return difference
        elif right == ours != theirs:
            return difference
    return None


# ── what the cases have in common ─────────────────────────────────────────────────────────────────
def _machine(question: Question, what: Literal["family", "processor", "neuron"]) -> str | None:
    found = instance(question.instance_type)
    return getattr(found, what) if found else None


def _arm(question: Question) -> bool:
    found = instance(question.instance_type)
    return bool(found and found.arm)


def _unknown_to(question: Question) -> bool:
    """Whether the SDK's only version is not the one that was asked for."""
    known = sdk.table(question)
    return len(known["versions"]) == 1 and question.version not in {
        *known["versions"],
        *known.get("version_aliases", ()),
    }


def _in_full(question: Question) -> str | None:
    """The newest base framework that the given one, or none, can mean; None where it says all or nothing."""
    known = sdk.bases(question)
    if question.base is None:
        return known[-1] if len({name.rstrip(".0123456789") for name in known}) == 1 else None
    fitting = [name for name in known if name.startswith(f"{question.base}.")]
    return fitting[-1] if fitting and question.base not in known else None


def _trainium_tag(question: Question) -> str | None:
    """What the SDK's data says about Hugging Face's training images, put together."""
    found = sdk.on_base(question)
    if found is None or question.region not in found["registries"]:
        return None
    (python,), (neuron_sdk,), (system,) = (
        found["py_versions"],
        found["sdk_versions"],
        found["container_version"].values(),
    )
    if question.python not in {None, python}:
        return None
    number = str(question.base).removeprefix("pytorch")
    version = sdk.table(question)["version_aliases"].get(question.version, question.version)
    host = sdk.registry_host(found["registries"][question.region], question.region)
    tag = f"{number}-transformers{version}-neuronx-{python}-{neuron_sdk}-{system}"
    return f"{host}/{found['repository']}:{tag}"


def _refused(_: Question) -> None:
    return None


def _on(instance_type: str) -> Callable[[Question], Question]:
    return lambda question: question._replace(instance_type=instance_type)


DIFFERENCES = (
    Difference(
        "what is no instance type gets no image; the SDK takes any name for a CPU's",
        lambda question: instance(question.instance_type) is None,
        _refused,
    ),
    Difference(
        "a base framework for what has none is refused; the SDK does not look at it",
        lambda question: question.base is not None and question.framework not in _ON_BASES,
        _refused,
    ),
    Difference(
        "training has no ARM images; the SDK gives the one for inference, or one for x86",
        lambda question: question.scope == "training" and _arm(question),
        _refused,
    ),
    Difference(
        "no image is for an ARM processor with a GPU; the SDK gives one for x86",
        lambda question: _arm(question) and _machine(question, "processor") == "gpu",
        _refused,
    ),
    Difference(
        "llama-cpp-arm64 is for Graviton, and not for x86",
        lambda question: question.framework == "llama-cpp-arm64" and not _arm(question),
        _refused,
    ),
    Difference(
        "llama-cpp-arm64 is for Graviton; the SDK knows four frameworks that are",
        lambda question: question.framework == "llama-cpp-arm64" and _arm(question),
        _on("ml.m5.large"),
    ),
    Difference(
        "newer Gravitons get the images for ARM; the SDK's list of them is old",
        lambda question: _arm(question) and _machine(question, "family") not in sdk.GRAVITONS,
        _on("ml.c7g.large"),
    ),
    Difference(
        "Gaudi is no CPU",
        lambda question: _machine(question, "processor") == "dl",
        _refused,
    ),
    Difference(
        "P2 is a GPU like others; AWS has retired it, and not for new versions only",
        lambda question: _machine(question, "family") == "p2",
        _on("ml.p3.2xlarge"),
    ),
    Difference(
        "images with Neuron's first SDK are for Inf1 only, and neuronx is for all others",
        lambda question: (
            question.framework in _BY_NEURON
            and _machine(question, "neuron") not in {None, _BY_NEURON[question.framework]}
        ),
        _refused,
    ),
    Difference(
        "huggingface on Inferentia2 and Trainium means neuronx; the SDK must be told",
        lambda question: question.framework == "huggingface" and _machine(question, "neuron") == "neuronx",
        lambda question: question._replace(framework="huggingface-neuronx"),
    ),
    Difference(
        "the SDK has an image for the processor neuronx, and no instance type that has it",
        lambda question: question.framework in _NAMED_NEURONX and _machine(question, "neuron") == "neuronx",
        _on("ml.neuronx.large"),
    ),
    Difference(
        "a base framework is found by itself, where there is one or the newest of one",
        lambda question: question.base is None and _in_full(question) is not None,
        lambda question: question._replace(base=_in_full(question)),
    ),
    Difference(
        "a short base framework means the full one; the SDK makes a tag of both: 2.6-transformers4.49.0",
        lambda question: question.base is not None and _in_full(question) is not None,
        lambda question: question._replace(base=_in_full(question)),
    ),
    Difference(
        "the same for the Training Compiler's versions: 1.11.0-transformers4.21",
        lambda question: (
            question.framework == "huggingface-training-compiler"
            and question.version in sdk.table(question).get("version_aliases", ())
        ),
        lambda question: question._replace(version=sdk.table(question)["version_aliases"][question.version]),
    ),
    Difference(
        "Hugging Face's training images are for Trainium; the SDK has them in its data, and refuses",
        lambda question: (
            question.framework == "huggingface-neuronx"
            and question.scope == "training"
            and _machine(question, "processor") == "trn"
        ),
        _trainium_tag,
    ),
    Difference(
        "an image for any processor is for Trainium's machines too; the SDK keeps all but pytorch from them",
        lambda question: _machine(question, "processor") == "trn" and question.framework != "pytorch",
        _on("ml.inf2.xlarge"),
    ),
    Difference(
        "the sklearn 1.4-2 that there is for inference is called 1.4-2-py312",
        lambda question: (
            (question.framework, question.scope, question.version) == ("sklearn", "inference", "1.4-2")
        ),
        lambda question: question._replace(version="1.4-2-py312"),
    ),
    Difference(
        "of several Pythons the newest is taken; the SDK demands one",
        lambda question: question.python is None and len(sdk.pythons(question)) > 1,
        lambda question: question._replace(python=sdk.pythons(question)[-1]),
    ),
    Difference(
        "another scope is refused; the SDK takes the only one that there is",
        lambda question: question.scope not in sdk.scopes(sdk.file(question)),
        _refused,
    ),
    Difference(
        "another version is refused; the SDK takes the only one that there is",
        _unknown_to,
        _refused,
    ),
)
