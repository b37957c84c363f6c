"""What a container is tried with: data, hyperparameters, a model, a request, and how long it is waited for.

It comes from the command line; else from the ``job.yaml`` in the folder of the container; else a table of
numbers is made up, as SageMaker's own algorithms take it: "Common Data Formats for Training" in the Amazon
SageMaker AI Developer Guide.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from container_check.contract import Part
from localcloud.training.channels import Channel, LocalFolder
from localcloud.training.hosts import OPT_ML
from modelgate.errors import Problem, Refused
from modelgate.locations import of_url
from modelgate.run import JOB_FILE
from modelgate.training import hyperparameters
from modelgate.training.job import TrainingJob, read_job

MADE_UP_CHANNEL = "train"
CSV = "text/csv"
_ROWS = 40
# What no number, no boolean and no name of anything is.
_NO_VALUE = "no-such-value"
_JOB_NAME = "container-check"
_REGION = "eu-central-1"
_CODE = f"{OPT_ML}/code"


@dataclass(frozen=True)
class Limits:
    """How long is waited for what, in seconds.

    Attributes:
        training: for the end of a training.
        start: until a container answers /ping.
        settle: for the first good answer, of a server that listens somewhere or answers something wrong.
        ping, invocation, sigterm: what SageMaker gives.
    """

    training: float = 120.0
    start: float = 60.0
    settle: float = 4.0
    ping: float = 2.0
    invocation: float = 60.0
    sigterm: float = 30.0


@dataclass(frozen=True)
class Request:
    """What a container is asked.

    Attributes:
        expect: a text that the answer must contain.
        made_up: whether nobody said that it takes this.
    """

    content_type: str
    body: bytes
    accept: str | None = None
    expect: str | None = None
    made_up: bool = False


@dataclass(frozen=True)
class Trial:
    """
    Attributes:
        channels: their data lie in folders of this machine.
        hyperparameters: as SageMaker writes them.
        bad: those with which training must fail; none if nobody knows of such ones.
        bad_words: what is bad about them.
        environment, serving_environment: of the container that trains, and of the one that serves.
        code: a folder for the training toolkit to run a program of.
        model: a folder or a tarball to serve; None to serve what training made.
        may_use_network: whether serving may need a network.
    """

    channels: tuple[Channel, ...]
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    bad: Mapping[str, str] | None = None
    bad_words: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    serving_environment: Mapping[str, str] = field(default_factory=dict)
    code: Path | None = None
    model: Path | None = None
    request: Request | None = None
    instance_type: str = "ml.m5.large"
    may_use_network: bool = False
    limits: Limits = field(default_factory=Limits)

    @property
    def as_numbers(self) -> dict[str, Any] | None:
        """The hyperparameters as an algorithm would like them; None where all of them are real texts."""
        read = {name: _read(value) for name, value in self.hyperparameters.items()}
        return read if any(not isinstance(value, str) for value in read.values()) else None


@dataclass(frozen=True)
class Given:
    """What the command line says; None or nothing where it does not.

    Attributes:
        data: a folder with a folder for each channel, or with the files of the channel ``train``.
        bad_hyperparameter: a name and a value.
    """

    data: Path | None = None
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    bad_hyperparameter: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    model: Path | None = None
    content_type: str | None = None
    body: str | None = None
    expect: str | None = None
    instance_type: str | None = None
    may_use_network: bool = False
    limits: Limits = field(default_factory=Limits)


def trial_of(given: Given, folder: Path | None, scratch: Path, parts: Collection[Part]) -> Trial:
    """Puts together what the command line, the folder's ``job.yaml`` and imagination say.

    Args:
        folder: of the container's source; None if an image is checked.
        scratch: an empty folder, for data that are made up.
        parts: what is checked.

    Raises:
        Refused: ``job.yaml`` is wrong, or names data that are not here.
    """
    job = _job_in(folder)
    limits, network = given.limits, given.may_use_network
    trial = Trial((), model=given.model, may_use_network=network, limits=limits)
    if job is not None and folder is not None:
        trial = _of_job(trial, job, folder, needs_data="train" in parts and given.data is None)
    if given.data is not None:
        trial = replace(trial, channels=_channels_in(given.data))
    made_up = not trial.channels
    if made_up:
        trial = replace(trial, channels=(_made_up(scratch),))
    trial = replace(
        trial,
        instance_type=given.instance_type or trial.instance_type,
        hyperparameters={**trial.hyperparameters, **given.hyperparameters},
        environment={**trial.environment, **given.environment},
        serving_environment={**trial.serving_environment, **given.environment},
        request=_request(given, trial.request, made_up=made_up),
    )
    if given.bad_hyperparameter:
        words = " and ".join(f"{name}={value}" for name, value in given.bad_hyperparameter.items())
        return replace(trial, bad={**trial.hyperparameters, **given.bad_hyperparameter}, bad_words=words)
    return _with_bad_one(trial)


def _job_in(folder: Path | None) -> TrainingJob | None:
    if folder is None or not (folder / JOB_FILE).is_file():
        return None
    return read_job((folder / JOB_FILE).read_bytes())


def _of_job(trial: Trial, job: TrainingJob, folder: Path, *, needs_data: bool) -> Trial:
    encoded = hyperparameters.encoded(job.hyperparameters, for_script=job.script is not None)
    code = None
    if job.script is not None:
        code = folder / job.script.source.removesuffix(".tar.gz")
        encoded |= hyperparameters.of_toolkit(
            program=job.script.program, source=_CODE, region=_REGION, job=_JOB_NAME
        )
    request, environment = None, {}
    if job.serve is not None:
        test = job.serve.smoke_test
        request = Request(test.content_type, test.body.encode(), test.accept, test.expect)
        environment = dict(job.serve.container.environment) if job.serve.container else {}
    return replace(
        trial,
        channels=_channels_of(job, folder) if needs_data else (),
        hyperparameters=encoded,
        environment=job.environment,
        serving_environment=environment,
        code=code if code is not None and code.is_dir() else None,
        request=request,
        instance_type=job.instances.type,
    )


def _channels_of(job: TrainingJob, folder: Path) -> tuple[Channel, ...]:
    problems, channels = [], []
    for name, data in job.data.items():
        where = f"{JOB_FILE}: data.{name}"
        if of_url(data.location) is not None:
            found = f"lies in {data.location}, and a check asks nobody for data"
            problems.append(Problem(where, found, "give --data DIR, with a folder for each channel"))
        elif not (path := folder / data.location).exists():
            problems.append(
                Problem(where, f"there is nothing at {path}", "put the data there, or give --data")
            )
        else:
            # Files serve for FastFile too. A pipe is not laid: what reads one is told that they are files.
            channels.append(Channel(name, LocalFolder(path), content_type=data.content_type or ""))
    if problems:
        raise Refused(*problems)
    return tuple(channels)


def _channels_in(folder: Path) -> tuple[Channel, ...]:
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        return (Channel(MADE_UP_CHANNEL, LocalFolder(folder), content_type=_type_of([folder])),)
    return tuple(Channel(path.name, LocalFolder(path), content_type=_type_of([path])) for path in folders)


def _type_of(folders: Sequence[Path]) -> str:
    """What algorithms are told of the data: CSV, where there is nothing else."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return CSV if files and all(path.suffix == ".csv" for path in files) else ""


def _made_up(scratch: Path) -> Channel:
    """Rows of a label and four numbers, which tell two labels apart."""
    folder = scratch / "data" / MADE_UP_CHANNEL
    folder.mkdir(parents=True)
    rows = [_row(number) for number in range(_ROWS)]
    (folder / "sample.csv").write_text("".join(f"{label},{features}\n" for label, features in rows))
    return Channel(MADE_UP_CHANNEL, LocalFolder(folder), content_type=CSV)


def _row(number: int) -> tuple[int, str]:
    label = number % 2
    features = (label * 5 + number * step % 7 / 2 for step in (1, 2, 3, 5))
    return label, ",".join(f"{feature:.1f}" for feature in features)


def _request(given: Given, of_job: Request | None, *, made_up: bool) -> Request | None:
    if given.body is not None:
        return Request(given.content_type or CSV, given.body.encode(), expect=given.expect)
    if of_job is not None:
        return replace(
            of_job,
            content_type=given.content_type or of_job.content_type,
            expect=given.expect or of_job.expect,
        )
    if made_up and given.model is None:
        return Request(CSV, _row(1)[1].encode(), expect=given.expect, made_up=True)
    return None


def _with_bad_one(trial: Trial) -> Trial:
    """With a word where a number belongs, if there is a number."""
    for name, value in trial.hyperparameters.items():
        number = _read(value)
        if isinstance(number, int | float) and not isinstance(number, bool):
            # In quotes where the toolkit reads JSON; it takes plain words too.
            bad = {**trial.hyperparameters, name: _NO_VALUE}
            return replace(trial, bad=bad, bad_words=f"{name}={_NO_VALUE}")
    return trial


def _read(text: str) -> Any:
    """A number or a boolean, if the text is one; else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) else text
