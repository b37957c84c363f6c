"""What SageMaker demands of a container of one's own: each demand as data, and the way through them.

The pages are those of the Amazon SageMaker AI Developer Guide, by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Part = Literal["image", "train", "serve"]
Status = Literal["passed", "failed", "not tried"]

PARTS: tuple[Part, ...] = ("image", "train", "serve")

_OWN_ALGORITHMS = "Containers with custom training algorithms"
_RUNS_TRAINING = "How Amazon SageMaker AI Runs Your Training Image"
_INFORMS_TRAINING = "How Amazon SageMaker AI Provides Training Information"
_SIGNALS = "How Amazon SageMaker AI Signals Algorithm Success and Failure"
_OUTPUT = "How Amazon SageMaker AI Processes Training Output"
_HOSTING = "Custom Inference Code with Hosting Services"
_PIPELINES = "Run Real-time Predictions with an Inference Pipeline"
_ISOLATED = "Run Training and Inference Containers in Internet-Free Mode"

# FailureReason of an endpoint, in SageMaker's words.
_NOT_STARTED = (
    "the endpoint fails: CannotStartContainerError. Please ensure the model container for variant AllTraffic "
    "starts correctly when invoked with 'docker run <image> serve'"
)
_NO_PING = (
    "the endpoint fails after minutes: The primary container for production variant AllTraffic did not pass "
    "the ping health check. Please check CloudWatch logs for this endpoint."
)


@dataclass(frozen=True)
class Check:
    """One demand.

    Attributes:
        demand: what is demanded.
        does: how it is tried.
        page: where AWS demands it.
        fails: what SageMaker does with a container that does not keep it, with its FailureReason where that
            is known.
        mend: what to do about it.
        needs: the checks without which this one says nothing, by their ids.
    """

    id: str
    part: Part
    demand: str
    does: str
    page: str
    fails: str
    mend: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What a check saw.

    Attributes:
        words: what was seen, or why nothing could be.
        mend: what to do about it, where that is more than the check itself knows.
    """

    status: Status
    words: str
    mend: str | None = None


def held(words: str) -> Seen:
    return Seen("passed", words)


def broken(words: str, mend: str | None = None) -> Seen:
    return Seen("failed", words, mend)


def untried(words: str) -> Seen:
    return Seen("not tried", words)


@dataclass(frozen=True)
class Result:
    """What came of a check.

    Attributes:
        because: the id of the check that failed, where this one was not tried for that.
        seconds: how long it took.
    """

    check: Check
    seen: Seen
    because: str | None = None
    seconds: float = 0.0

    @property
    def status(self) -> Status:
        return self.seen.status

    @property
    def mend(self) -> str:
        return self.seen.mend or self.check.mend

    def document(self) -> dict[str, Any]:
        """For programs."""
        failed = {"sagemaker": self.check.fails, "mend": self.mend} if self.status == "failed" else {}
        return {
            "id": self.check.id,
            "status": self.status,
            "demand": self.check.demand,
            "did": self.check.does,
            "seen": self.seen.words,
            **failed,
            "page": self.check.page,
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class Report:
    """What came of all checks.

    Attributes:
        image: what was checked, as it was named.
    """

    image: str
    results: tuple[Result, ...]
    seconds: float

    @property
    def failed(self) -> tuple[Result, ...]:
        return self.of("failed")

    def of(self, status: Status) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.status == status)

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "image": self.image,
            "keeps_the_contract": not self.failed,
            "passed": len(self.of("passed")),
            "failed": len(self.failed),
            "not_tried": len(self.of("not tried")),
            "seconds": round(self.seconds, 1),
            "checks": [result.document() for result in self.results],
        }


def run(
    checks: Sequence[Check],
    attempts: Mapping[str, Callable[[], Seen]],
    watch: Callable[[Check], None],
    known: Sequence[Result] = (),
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Result, ...]:
    """Goes through the checks in their order.

    Args:
        attempts: what tries each check, by its id.
        watch: is told of each check that is tried.
        known: what came of some of them already.
    """
    results = {result.check.id: result for result in known}
    for check in checks:
        if check.id in results:
            continue
        blocking = _blocking(check, results)
        if blocking is not None:
            words = f"not tried, because {blocking} failed"
            results[check.id] = Result(check, untried(words), because=blocking)
            continue
        watch(check)
        began = clock()
        seen = attempts[check.id]()
        results[check.id] = Result(check, seen, seconds=clock() - began)
    return tuple(results.values())


def _blocking(check: Check, results: Mapping[str, Result]) -> str | None:
    """The failed check that this one cannot do without."""
    for needed in check.needs:
        result = results.get(needed)
        if result is not None and result.status == "failed":
            return needed
        if result is not None and result.because is not None:
            return result.because
    return None


def checks_of(parts: Collection[Part], *, trains_model: bool) -> tuple[Check, ...]:
    """The checks of some parts; those of the image are always made.

    Args:
        trains_model: whether what is served is what training makes.
    """
    chosen = [check for check in CHECKS if check.part in {"image", *parts}]
    if trains_model:
        return tuple(chosen)
    return tuple(
        replace(check, needs=tuple(each for each in check.needs if each != "train.model"))
        if check.part == "serve"
        else check
        for check in chosen
    )


CHECKS: tuple[Check, ...] = (
    # ── the image ─────────────────────────────────────────────────────────────────────────────────
    Check(
        id="image.exists",
        part="image",
        demand="there is an image",
        does="looked for it in the Docker Engine and pulled it, or built the folder",
        page=_OWN_ALGORITHMS,
        fails="a job fails: ClientError: Cannot pull algorithm container. Either the image does not exist or "
        "its permissions are incorrect.",
        mend="name an image that docker image ls shows, or a folder with a Dockerfile that builds",
    ),
    Check(
        id="image.platform",
        part="image",
        demand="it runs on linux/amd64",
        does="looked at the image's platform",
        page=_OWN_ALGORITHMS,
        fails="the container does not start, and its log says: exec format error. Of the instances only some "
        "serve on Graviton (ml.c7g and the like), and none but those run arm64",
        mend="build it with docker build --platform linux/amd64",
        needs=("image.exists",),
    ),
    Check(
        id="image.entry-point",
        part="image",
        demand="its entry point is in exec form, or there is none",
        does="looked at the image's ENTRYPOINT",
        page=_HOSTING,
        fails="a shell in front takes the argument train or serve for its own, and SIGTERM with it: the "
        "container starts the wrong thing, and is killed at its end instead of ended",
        mend='write ENTRYPOINT ["executable", "argument"]; or none, and put train and serve into PATH',
        needs=("image.platform",),
    ),
    Check(
        id="image.user",
        part="image",
        demand="it runs as root",
        does="looked at the image's USER",
        page=_HOSTING,
        fails="what SageMaker mounts under /opt/ml belongs to root, and other users may lack permissions: "
        "expect Permission denied in the log",
        mend="leave USER out of the Dockerfile, and have the server drop root for its workers",
        needs=("image.platform",),
    ),
    # ── training ──────────────────────────────────────────────────────────────────────────────────
    Check(
        id="train.starts",
        part="train",
        demand="train is a command that can be started",
        does="docker run IMAGE train, with /opt/ml as SageMaker lays it out",
        page=_RUNS_TRAINING,
        fails="the job fails with AlgorithmError, and all that the log says is the engine's: exec: "
        '"train": executable file not found in $PATH',
        mend="put an executable named train into PATH (chmod +x, a #! line), or an entry point that takes "
        "the argument; a container for hosting only is checked with --only serve",
        needs=("image.entry-point",),
    ),
    Check(
        id="train.hyperparameters",
        part="train",
        demand="it takes hyperparameters as texts",
        does="wrote /opt/ml/input/config/hyperparameters.json with texts only; where training failed, once "
        "more with numbers",
        page=_INFORMS_TRAINING,
        fails="the job fails: AlgorithmError, with the TypeError or ValueError of the first text that is "
        "used as a number",
        mend="convert each value where hyperparameters.json is read: int(...), float(...)",
        needs=("train.starts",),
    ),
    Check(
        id="train.succeeds",
        part="train",
        demand="it trains on its channels, and ends with exit code 0",
        does="waited for the end of the training",
        page=_SIGNALS,
        fails="the job fails: AlgorithmError: …, exit code: 1",
        mend="mend what the log ends with; data and hyperparameters of your own: --data, --hyperparameter",
        needs=("train.hyperparameters",),
    ),
    Check(
        id="train.model",
        part="train",
        demand="it writes its model to /opt/ml/model",
        does="looked into /opt/ml/model after the training",
        page=_OUTPUT,
        fails="the job is Completed, and its model.tar.gz is empty: only the endpoint fails, when it loads "
        "it",
        mend="write the model to /opt/ml/model",
        needs=("train.succeeds",),
    ),
    Check(
        id="train.data",
        part="train",
        demand="it reads its channels in /opt/ml/input/data",
        does="trained once more with the channels' folders empty",
        page=_INFORMS_TRAINING,
        fails="nothing fails: the job is Completed, with a model of something else than its data",
        mend="read the files in /opt/ml/input/data/<channel>, and end with an error where there are none",
        needs=("train.succeeds",),
    ),
    Check(
        id="train.writes",
        part="train",
        demand="it writes nothing outside of /opt/ml and /tmp",
        does="docker diff after the training",
        page=_OUTPUT,
        fails="nothing fails: what is written there is gone when the job ends",
        mend="write what is to stay to /opt/ml/model or /opt/ml/output/data, and the rest to /tmp",
        needs=("train.succeeds",),
    ),
    Check(
        id="train.refuses",
        part="train",
        demand="it ends with an error where a hyperparameter is wrong",
        does="trained once more with a bad hyperparameter",
        page=_SIGNALS,
        fails="nothing fails: the job is Completed, with a model that was not trained as somebody wrote",
        mend="check hyperparameters before training, and end with an exit code that is not 0",
        needs=("train.succeeds",),
    ),
    Check(
        id="train.failure",
        part="train",
        demand="it writes why it failed to /opt/ml/output/failure",
        does="looked for the file after the training with a bad hyperparameter",
        page=_OUTPUT,
        fails="the job fails: AlgorithmError: , exit code: 1. The reason is in the log only",
        mend="catch what goes wrong in train, and write it to /opt/ml/output/failure",
        needs=("train.refuses",),
    ),
    Check(
        id="train.reason-first",
        part="train",
        demand="the reason stands in the first 1,024 characters of /opt/ml/output/failure",
        does="looked where a traceback in the file ends",
        page=_OUTPUT,
        fails="SageMaker cuts FailureReason behind 1,024 characters: a traceback is shown without its error",
        mend="write the error first, and the traceback behind it",
        needs=("train.failure",),
    ),
    Check(
        id="train.sigterm",
        part="train",
        demand="SIGTERM ends training within 30 s",
        does="trained once more, and sent SIGTERM to its first process",
        page=_RUNS_TRAINING,
        fails="StopTrainingJob and spot interruptions wait 120 s and kill it: no checkpoint is written, and "
        "the time is paid for",
        mend="handle SIGTERM in train, or start it with tini: to process 1 the kernel gives no SIGTERM that "
        "it does not handle. A script in front has to exec it",
        needs=("train.succeeds",),
    ),
    # ── serving ───────────────────────────────────────────────────────────────────────────────────
    Check(
        id="serve.starts",
        part="serve",
        demand="serve is a command that can be started",
        does="docker run IMAGE serve, with the limits of its instance and the model in /opt/ml/model",
        page=_HOSTING,
        fails=_NOT_STARTED,
        mend="put an executable named serve into PATH (chmod +x, a #! line), or an entry point that takes "
        "the argument; a container for training only is checked with --only train",
        needs=("image.entry-point", "train.model"),
    ),
    Check(
        id="serve.read-only",
        part="serve",
        demand="it does not write to /opt/ml/model",
        does="mounted /opt/ml/model read-only; where it did not come up, once more to be written to",
        page=_HOSTING,
        fails=_NO_PING,
        mend="copy to /tmp what has to be changed or unpacked",
        needs=("serve.starts",),
    ),
    Check(
        id="serve.stays-up",
        part="serve",
        demand="it keeps running",
        does="looked whether it has ended by itself",
        page=_HOSTING,
        fails=_NO_PING,
        mend="mend what the log ends with",
        needs=("serve.read-only",),
    ),
    Check(
        id="serve.port",
        part="serve",
        demand="it listens on port 8080 of every address",
        does="looked at what it listens on in its network",
        page=_HOSTING,
        fails=_NO_PING,
        mend="listen on 0.0.0.0:8080",
        needs=("serve.stays-up",),
    ),
    Check(
        id="serve.ping",
        part="serve",
        demand="GET /ping is answered with 200",
        does="asked until it was, or until the time was over",
        page=_HOSTING,
        fails=_NO_PING,
        mend="answer GET /ping with status 200 and an empty body as soon as requests can be answered",
        needs=("serve.port",),
    ),
    Check(
        id="serve.ping-time",
        part="serve",
        demand="/ping is answered within 2 s",
        does="asked five times more",
        page=_HOSTING,
        fails=_NO_PING,
        mend="have /ping look at what is there already; load the model before, and compute nothing",
        needs=("serve.ping",),
    ),
    Check(
        id="serve.invocations",
        part="serve",
        demand="POST /invocations is answered with 200 within 60 s",
        does="sent a request",
        page=_HOSTING,
        fails='InvokeEndpoint fails: ModelError: Received server error (500) from primary with message "…". '
        "See the log of the endpoint",
        mend="mend what the answer or the log says; a request of your own: --content-type, --body",
        needs=("serve.ping",),
    ),
    Check(
        id="serve.model",
        part="serve",
        demand="it serves what lies in /opt/ml/model",
        does="served once more with /opt/ml/model empty",
        page=_HOSTING,
        fails="nothing fails: every version of the model answers as the one in the image does, or an "
        "endpoint without a model is InService",
        mend="load the model from /opt/ml/model at the start, and do not answer /ping with 200 without one",
        needs=("serve.ping",),
    ),
    Check(
        id="serve.unknown-path",
        part="serve",
        demand="an unknown path is answered with 404",
        does="asked for a path that there is not",
        page=_HOSTING,
        fails="nothing fails: but /ping says nothing either, of a server that answers everything with 200",
        mend="route only /ping and /invocations",
        needs=("serve.ping",),
    ),
    Check(
        id="serve.bad-request",
        part="serve",
        demand="a request that makes no sense is answered with 4xx or 5xx",
        does="sent bytes that are no text, as the same content type",
        page=_HOSTING,
        fails="nothing fails: who asks for nonsense takes the answer for one",
        mend="check requests, and answer wrong ones with 400",
        needs=("serve.invocations",),
    ),
    Check(
        id="serve.survives",
        part="serve",
        demand="it answers after a request that made no sense",
        does="asked for /ping after that",
        page=_HOSTING,
        fails="the container is started anew, and meanwhile every request fails: one client takes the "
        "endpoint from all",
        mend="catch errors where a request is answered",
        needs=("serve.invocations",),
    ),
    Check(
        id="serve.writes",
        part="serve",
        demand="it writes nothing outside of /tmp",
        does="docker diff of the container that was asked",
        page=_HOSTING,
        fails="nothing fails: but the disk of a container that runs for months fills up, and nobody sees "
        "what is written there",
        mend="write to stdout what is for the log, and to /tmp what is needed for a while",
        needs=("serve.ping",),
    ),
    Check(
        id="serve.sigterm",
        part="serve",
        demand="SIGTERM ends it within 30 s",
        does="sent SIGTERM to its first process",
        page=_HOSTING,
        fails="after 30 s it is killed with what is under way: at each update and scaling in, requests fail",
        mend="handle SIGTERM, or start the server with tini: to process 1 the kernel gives no SIGTERM that "
        "it does not handle. A script in front has to exec it",
        needs=("serve.ping",),
    ),
    Check(
        id="serve.bind-to-port",
        part="serve",
        demand="it listens where SAGEMAKER_BIND_TO_PORT says, if its label promises to",
        does="served once more with SAGEMAKER_BIND_TO_PORT=8081",
        page=_PIPELINES,
        fails="an inference pipeline with it fails: the containers did not pass the ping health check",
        mend="read the port from SAGEMAKER_BIND_TO_PORT, 8080 without; or take the label away",
        needs=("serve.ping",),
    ),
    Check(
        id="serve.network",
        part="serve",
        demand="it needs no network",
        does="served once more in a network without a way out",
        page=_ISOLATED,
        fails="with network isolation, or in a VPC without a way out: " + _NO_PING,
        mend="put into the image or the artifact what is fetched at the start; --network, if it may need one",
        needs=("serve.ping",),
    ),
)
