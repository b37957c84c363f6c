"""What each prebuilt container wants to find in an artifact, and the environment that it needs.

One file for each kind of container; each names the public source of what it says. A container whose rules are
not known for sure has no contract: its artifacts get the checks that hold for every file (`general`), and no
more. So what is refused could not have been served, as far as that can be told without running it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from modelgate.artifacts.contracts import general
from modelgate.artifacts.contracts.judged import Judged
from modelgate.artifacts.inspection import Artifact, Member
from modelgate.errors import Problem, Refused

if TYPE_CHECKING:
    from modelgate.artifacts.contracts import servers

# Amazon SageMaker API Reference, ModelPackageContainerDefinition: Environment has at most 16 entries.
MOST_ENVIRONMENT = 16

_Environment = Mapping[str, str]


def families() -> tuple[str, ...]:
    """The frameworks that have a contract, in alphabetical order."""
    return tuple(sorted(_LOADERS))


def covers(family: str) -> bool:
    """Whether artifacts of this framework are held against a contract. Others get the general checks only."""
    return family in _LOADERS


def reads(family: str | None, environment: Mapping[str, str]) -> Callable[[str], bool]:
    """Which members' text ``check`` will want to see; the ``keep`` of ``inspection.inspect``."""
    contract = _contract(family)
    return contract.reads(environment) if contract else lambda _: False


def check(
    family: str | None,
    artifact: Artifact | None,
    environment: Mapping[str, str],
    *,
    where: str = "model.tar.gz",
    container: str = "container",
) -> Mapping[str, str]:
    """Judge an artifact by the contract of its container, and complete the environment.

    Args:
        family: the framework, as in the manifest: ``sklearn``; None for an image of one's own without one.
        artifact: as inspected, with the texts that ``reads`` asks for; None where the manifest names none.
        environment: what the user has set; those values win.
        where: how problems name the artifact: ``model.tar.gz``, ``model/``.
        container: its place in the manifest, for problems of the environment: ``containers.1``.

    Returns:
        The environment that CreateModel has to set.

    Raises:
        Refused: the container could not serve this artifact. Says what was found and what it expects.
    """
    judged = Judged(family, artifact or _NONE, environment, where, container)
    added = _judge(judged) if artifact is not None else _judge_without_artifact(judged)
    complete = {**added, **environment}
    if len(complete) > MOST_ENVIRONMENT:
        names = ", ".join(sorted(set(added) - set(environment)))
        also = f", with {names}, which the container needs" if names else ""
        judged.environment_problem(
            "",
            f"has {len(complete)} entries{also}",
            f"SageMaker allows {MOST_ENVIRONMENT}",
        )
    _refuse(judged)
    return MappingProxyType(complete)


def check_beginning(
    family: str | None,
    members: Iterable[Member],
    texts: Mapping[str, str],
    environment: Mapping[str, str],
    *,
    where: str = "model.tar.gz",
) -> None:
    """Refuse what the beginning of an artifact proves, whatever comes after it. Never accepts.

    Args:
        members: those that were seen so far.
        texts: of the files that were seen to their end, by name.

    Raises:
        Refused: ``check`` would refuse any artifact that begins so.
    """
    beginning = Artifact(tuple(members), texts, 0, 0, "")
    judged = Judged(family, beginning, environment, where)
    general.check(judged)
    contract = _contract(family)
    if contract is not None:
        contract.begun(judged)
    _refuse(judged)


def describe(family: str | None, artifact: Artifact, environment: Mapping[str, str]) -> str:
    """What an artifact is to its container, in words; empty where there is no contract that tells."""
    judged = Judged(family, artifact, environment)
    _judge(judged)
    return "; ".join(judged.words)


def _judge(judged: Judged) -> Mapping[str, str]:
    general.check(judged)
    contract = _contract(judged.family)
    return contract.judge(judged) if contract else {}


def _judge_without_artifact(judged: Judged) -> Mapping[str, str]:
    contract = _contract(judged.family)
    added = contract.without_artifact(judged.environment) if contract else {}
    if contract is not None and added is None:
        place = f"manifest.yaml: {judged.container}.artifact"
        found = f"names none, and the {judged.family} container has nothing to serve without one"
        by_name = (
            f", or a model of a hub: {judged.container}.environment.{contract.hub}" if contract.hub else ""
        )
        judged.problems.append(Problem(place, found, f"name a tarball or a folder{by_name}"))
    return added or {}


def _refuse(judged: Judged) -> None:
    if judged.problems:
        raise Refused(*dict.fromkeys(judged.problems))


_NONE = Artifact((), MappingProxyType({}), 0, 0, "")


# ── the contracts, each loaded with what it needs when it is first asked for ──────────────────────
# A named tuple, not a dataclass, which would add a millisecond to the start of a function.
class _Contract(NamedTuple):
    """
    Attributes:
        judge: notes what is wrong, and gives the environment that it adds to the user's.
        reads: the names whose text it wants to see.
        begun: notes what is wrong with a beginning, whatever comes after it.
        without_artifact: what it adds where the environment names a model that lies elsewhere, else None.
        hub: the variable that names one.
    """

    judge: Callable[[Judged], Mapping[str, str]]
    reads: Callable[[_Environment], Callable[[str], bool]] = lambda _: lambda _: False
    begun: Callable[[Judged], None] = lambda _: None
    without_artifact: Callable[[_Environment], Mapping[str, str] | None] = lambda _: None
    hub: str = ""


def _autogluon() -> _Contract:
    from modelgate.artifacts.contracts import frameworks, scripts

    return _Contract(frameworks.autogluon, scripts.reads, frameworks.sklearn_begun)


def _chainer() -> _Contract:
    from modelgate.artifacts.contracts import frameworks, scripts

    return _Contract(frameworks.chainer, scripts.reads, frameworks.chainer_begun)


def _djl() -> _Contract:
    from modelgate.artifacts.contracts import djl

    return _Contract(djl.judge, djl.reads, without_artifact=djl.without_artifact, hub="HF_MODEL_ID")


def _huggingface() -> _Contract:
    from modelgate.artifacts.contracts import frameworks, huggingface

    return _Contract(
        huggingface.judge,
        huggingface.reads,
        frameworks.optional_begun,
        huggingface.without_artifact,
        "HF_MODEL_ID",
    )


def _llama_cpp() -> _Contract:
    from modelgate.artifacts.contracts import servers

    return _Contract(
        servers.llama_cpp, without_artifact=servers.llama_without_artifact, hub="SM_LLAMA_CPP_HF_REPO"
    )


def _mxnet() -> _Contract:
    from modelgate.artifacts.contracts import frameworks, scripts

    return _Contract(frameworks.mxnet, scripts.reads, frameworks.optional_begun)


def _pytorch() -> _Contract:
    from modelgate.artifacts.contracts import frameworks, scripts

    return _Contract(frameworks.pytorch, scripts.reads, frameworks.optional_begun)


def _ray_serve() -> _Contract:
    from modelgate.artifacts.contracts import servers

    return _Contract(servers.ray_serve, without_artifact=servers.ray_without_artifact)


def _sglang() -> _Contract:
    from modelgate.artifacts.contracts import servers

    return _server(servers.SGLANG)


def _sklearn() -> _Contract:
    from modelgate.artifacts.contracts import frameworks, scripts

    return _Contract(frameworks.sklearn, scripts.reads, frameworks.sklearn_begun)


def _tei() -> _Contract:
    from modelgate.artifacts.contracts import servers

    return _server(servers.TEI)


def _tensorflow() -> _Contract:
    from modelgate.artifacts.contracts import scripts, tensorflow

    return _Contract(tensorflow.judge, scripts.reads, tensorflow.begun)


def _tgi() -> _Contract:
    from modelgate.artifacts.contracts import servers

    return _server(servers.TGI)


def _tgi_neuron() -> _Contract:
    from modelgate.artifacts.contracts import servers

    return _server(servers.TGI_NEURON)


def _triton() -> _Contract:
    from modelgate.artifacts.contracts import triton

    return _Contract(triton.judge, triton.reads)


def _vllm() -> _Contract:
    from modelgate.artifacts.contracts import servers

    return _server(servers.VLLM)


def _xgboost() -> _Contract:
    from modelgate.artifacts.contracts import frameworks, scripts

    return _Contract(frameworks.xgboost, scripts.reads, frameworks.xgboost_begun)


def _server(server: servers.Server) -> _Contract:
    return _Contract(
        server.judge, server.reads, without_artifact=server.without_artifact, hub=server.variable
    )


_LOADERS: Mapping[str, Callable[[], _Contract]] = MappingProxyType(
    {
        "autogluon": _autogluon,
        "chainer": _chainer,
        "djl-deepspeed": _djl,
        "djl-fastertransformer": _djl,
        "djl-lmi": _djl,
        "djl-neuronx": _djl,
        "djl-tensorrtllm": _djl,
        "huggingface": _huggingface,
        "huggingface-llm": _tgi,
        "huggingface-llm-neuronx": _tgi_neuron,
        "huggingface-neuron": _huggingface,
        "huggingface-neuronx": _huggingface,
        "huggingface-sglang": _sglang,
        "huggingface-tei": _tei,
        "huggingface-tei-cpu": _tei,
        "huggingface-vllm": _vllm,
        "huggingface-vllm-omni": _vllm,
        "llama-cpp": _llama_cpp,
        "llama-cpp-arm64": _llama_cpp,
        "mxnet": _mxnet,
        "pytorch": _pytorch,
        "ray-serve": _ray_serve,
        "sagemaker-tritonserver": _triton,
        "sglang": _sglang,
        "sglang-server": _sglang,
        "sklearn": _sklearn,
        "tensorflow": _tensorflow,
        "vllm": _vllm,
        "vllm-omni": _vllm,
        "vllm-server": _vllm,
        "xgboost": _xgboost,
    }
)


@lru_cache(maxsize=len(_LOADERS))
def _contract(family: str | None) -> _Contract | None:
    loader = _LOADERS.get(family or "")
    return loader() if loader is not None else None
