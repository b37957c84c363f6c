"""A training job on this machine: the same script or container, in the same tree, with no cloud at all.

What it makes goes the way that a job's results go on AWS, by the same code: the submission that
`training_finished` would upload, the inspection and the gate. What is different is told by
`localcloud.training.processes` and `localcloud.training.docker_hosts`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import deque
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.text import Text

from modelgate.errors import Gathering, Problem, Refused
from modelgate.gate import Check, judge
from modelgate.registry.submissions import Status as Registered
from modelgate.run import JOB_FILE, TrainingId
from modelgate.run_items import Status
from modelgate.submission import ARTIFACT, MANIFEST, SubmissionId
from modelgate.training.order import SOURCE_FILE, order
from modelgate.training.ports import Job
from modelgate.training.runs import TrainingRun
from modelgate.training.submitting import EVALUATION
from modelgate_cli.archive import write_tarball
from modelgate_cli.complaints import INTERRUPTED, NO, TROUBLE, USAGE, Complaint
from modelgate_cli.local_bucket import LocalBucket
from modelgate_cli.screen import duration, metrics_in_words
from modelgate_cli.submitting import Submitted
from modelgate_cli.submitting import refusal_of as refusal_of_submission
from modelgate_cli.submitting import shown as shown_of_submission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from localcloud.training.channels import Channel, Item
    from localcloud.training.hosts import Cluster
    from localcloud.training.job import Outcome, TrainingDescription
    from modelgate.manifest import Container
    from modelgate.ports import Bucket
    from modelgate.training.job import TrainingJob
    from modelgate.training.order import Channel as OrderedChannel
    from modelgate_cli.inspecting import Inspected
    from modelgate_cli.screen import Screen
    from modelgate_cli.training_folder import TrainingFolder

# Everything of a run is called so, and it is the ARN of the job in the lineage.
_RUN, _ARN = "local", "modelgate train --local"
POLICY_FILE = "policy.yaml"
# In every folder of results, so that nothing else is ever replaced by the next ones; and git leaves them out.
_MARK = ".gitignore"
_MARKED = f"# Results of {_ARN}, which its next run replaces.\n*\n"
_CODE = "/opt/ml/code"
_CHECKPOINTS = "/opt/ml/checkpoints"
_KEPT_LINES = 20
# What a stand-in serves and trains with, by the framework that it stands in for.
_PACKAGES = {"sklearn": ("scikit-learn",), "xgboost": ("xgboost-cpu", "xgboost")}


@dataclass(frozen=True)
class TrainedHere:
    """What came of it.

    Attributes:
        status: ``completed``, ``failed``; ``refused`` where what it made would not be registered.
        folder: where the results lie: ``log.txt``, a folder for each host with its tree, and the rest.
        artifact, output: the archives; None where there was nothing to pack.
        submission: the folder that `modelgate submit` takes; None where the job only trains.
        inspected: what the artifact is to its container.
        checks: what the gate of ``policy.yaml`` demands; empty where there is none.
        passes: whether the gate would let it through; None where nobody can tell.
        reasons: why it failed; ``problems``, what is wrong with what it made.
    """

    group: str
    status: str
    seconds: float
    folder: Path
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifact: Path | None = None
    output: Path | None = None
    submission: Path | None = None
    inspected: Inspected | None = None
    checks: tuple[Check, ...] = ()
    passes: bool | None = None
    reasons: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    log_lines: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "status": self.status,
            "seconds": round(self.seconds, 3),
            "folder": str(self.folder),
            "metrics": dict(self.metrics),
            "artifact": str(self.artifact) if self.artifact else None,
            "output": str(self.output) if self.output else None,
            "submission": str(self.submission) if self.submission else None,
            "inspection": self.inspected.document() if self.inspected else None,
            "checks": [asdict(check) for check in self.checks],
            "passes": self.passes,
            "reasons": [*self.reasons, *map(str, self.problems)],
            "log_lines": list(self.log_lines),
        }


def train(
    folder: TrainingFolder,
    group: str,
    screen: Screen,
    *,
    region: str,
    out: Path,
    logs: bool = True,
    cluster: Cluster | None = None,
) -> TrainedHere:
    """Trains, and looks at what that made as the gate would.

    Args:
        region: in which the job would run; scripts see it.
        out: where the results go; earlier ones there are replaced.
        logs: whether the job's log is shown.
        cluster: what the hosts run in, where it is neither stand-ins nor Docker.

    Raises:
        Refused: it cannot run here.
        Complaint: somebody interrupted, or the results cannot go there.
    """
    from localcloud.training.job import run_in_folder

    _expect_all_is_here(folder)
    run = TrainingId(group, _RUN)
    run.check()
    image = _image(folder, region, screen)
    results = _emptied(out.absolute())
    source = results / "source"
    try:
        description = _description(folder, run, image, region, results, source)
        hosts = cluster or _cluster(folder.job)
        with _log(results, screen, description.instances, shown=logs) as log:
            outcome = run_in_folder(description, results, log.write, hosts)
    except KeyboardInterrupt:
        mend = f"nothing goes on; what it wrote so far lies in {results}"
        raise Complaint("training was interrupted, and is ended", mend, INTERRUPTED) from None
    finally:
        shutil.rmtree(source, ignore_errors=True)  # each host has its own
    if not outcome.succeeded:
        return _failed(group, outcome, results, folder.job, tuple(log.last_lines))
    return _looked_at(folder, run, outcome, results, description.name)


def usual_results(folder: Path, environ: Mapping[str, str]) -> Path:
    """Where results go unless somebody says so: not into the folder, of which an image may be built."""
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = folder.resolve()
    told = hashlib.sha256(str(path).encode(errors="surrogatepass")).hexdigest()[:8]
    return cache / "modelgate" / "training" / f"{path.name}-{told}"


# ── before ────────────────────────────────────────────────────────────────────────────────────────
def _expect_all_is_here(folder: TrainingFolder) -> None:
    """
    Raises:
        Refused: something of it lies in the cloud only.
    """
    job, wrong = folder.job, []
    if job.script is not None and not folder.code and folder.packed is None:
        found = f"is {job.script.source}, which is not on this machine"
        wrong.append(
            Problem(f"{JOB_FILE}: script.source", found, "write code.tar.gz, and put the script into code/")
        )
    for name, channel in job.data.items():
        if name not in folder.data:
            found = f"is {channel.location}, which is not on this machine"
            mend = f"bring some of it here, and name it: --data {name}=PATH"
            wrong.append(Problem(f"{JOB_FILE}: data.{name}.location", found, mend))
    if wrong:
        raise Refused(*wrong)


def _image(folder: TrainingFolder, region: str, screen: Screen) -> str:
    container = folder.job.container
    if container.image is not None:
        from localcloud.training.docker_hosts import image_for

        return image_for(container.image, folder.path, screen.say)
    from modelgate.images.choice import prebuilt

    kinds = [folder.job.instances.type]
    image = prebuilt(container, kinds, region, f"{JOB_FILE}: container", "training")
    screen.say(f"{_stand_in(container)} stands in for {container.framework} {container.version}")
    return image


def _stand_in(container: Container) -> str:
    """What of this machine does."""
    packages = _PACKAGES.get(str(container.framework))
    if packages is None:
        known = " and ".join(sorted(_PACKAGES))
        found = f"is {container.framework}, which nothing on this machine stands in for"
        mend = f"train it over AWS (leave --local out), or in an image of your own; {known} run here"
        raise Refused(Problem(f"{JOB_FILE}: container.framework", found, mend))
    from importlib.metadata import PackageNotFoundError, version

    for package in packages:
        with suppress(PackageNotFoundError):
            return f"{package} {version(package)} of this machine"
    found = f"{packages[0]} is not installed beside this command"
    raise Complaint(found, f"install it there: pip install {packages[0]}", TROUBLE)


def _cluster(job: TrainingJob) -> Cluster | None:
    """None for the stand-ins, which are what `run_in_folder` runs by itself."""
    if job.container.image is None:
        return None
    from localcloud.training.docker_hosts import DockerCluster

    return DockerCluster()


def _emptied(folder: Path) -> Path:
    """
    Raises:
        Complaint: something else lies there.
    """
    if folder.is_dir() and any(folder.iterdir()):
        mark = folder / _MARK
        if not mark.is_file() or mark.read_text(errors="replace") != _MARKED:
            found = f"{folder} holds something else than results of {_ARN}"
            raise Complaint(found, "name an empty folder, or a new one: --out DIR", USAGE)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).write_text(_MARKED)
    return folder


def _description(
    folder: TrainingFolder, run: TrainingId, image: str, region: str, results: Path, source: Path
) -> TrainingDescription:
    from localcloud.training.job import TrainingDescription
    from localcloud.training.metrics import MetricDefinition
    from modelgate.locations import Location

    job, name = folder.job, f"{run.group}-{_RUN}"
    bucket = LocalBucket.name
    packed = Location(bucket, run.key(SOURCE_FILE)) if job.script else None
    told = order(
        run, job, name=name, image=image, source=packed, bucket=bucket, role="", region=region, stack=_RUN
    )
    hyperparameters = dict(told.hyperparameters)
    code = None
    if job.script is not None and not job.isolates_script:
        # As AWS's containers do with a tarball in S3; here it is laid out already.
        hyperparameters["sagemaker_submit_directory"] = json.dumps(_CODE)
        code = _laid_out(folder, source)
    return TrainingDescription(
        name=name,
        image=image,
        hyperparameters=hyperparameters,
        channels=[_channel(folder, each, results) for each in told.channels],
        environment=told.environment,
        code=code,
        instance_type=job.instances.type,
        instances=job.instances.count,
        max_runtime=job.time_limit_seconds,
        checkpoints=_CHECKPOINTS if job.checkpoints is not None else None,
        isolated=job.network_isolation,
        region=region,
        metrics=[MetricDefinition(each.name, each.regex) for each in job.metrics],
    )


def _laid_out(folder: TrainingFolder, target: Path) -> Path:
    """What the source unpacks to."""
    target.mkdir()
    if folder.packed is None:
        for name, path in folder.code.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target / name)
        return target
    import tarfile

    try:
        with tarfile.open(folder.packed) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(target)  # noqa: S202 - the user's own code, which is run next
    except tarfile.TarError as error:
        found = f"is {folder.packed}, which cannot be unpacked ({error})"
        mend = f"pack it anew: tar -C code -czf {folder.packed} ."
        raise Refused(Problem(f"{JOB_FILE}: script.source", found, mend)) from error
    return target


def _channel(folder: TrainingFolder, told: OrderedChannel, results: Path) -> Channel:
    from localcloud.training.channels import Channel

    local, data = folder.data.get(told.name), told.data
    # Only the source of an isolated script is a channel that the document does not have.
    files = local.files if local is not None else {SOURCE_FILE: _packed(folder, results / SOURCE_FILE)}
    return Channel(
        name=told.name,
        source=_Files(files),
        mode=data.mode,
        content_type=data.content_type or "",
        compression="Gzip" if data.compression == "gzip" else "None",
        wrapping="RecordIO" if data.record_wrapping == "recordio" else "None",
        sharded=data.distribution == "sharded",
        shuffle_seed=data.shuffle_seed,
    )


def _packed(folder: TrainingFolder, target: Path) -> Path:
    if folder.packed is not None:
        return folder.packed
    with target.open("wb") as stream:
        write_tarball(stream, folder.code, lambda _: None)
    return target


@dataclass(frozen=True)
class _Files:
    """A `localcloud.training.channels.Source`: files, by their paths in the channel."""

    files: Mapping[str, Path]

    def items(self) -> list[Item]:
        from localcloud.training.channels import Item

        return [Item(name, _opener(path)) for name, path in self.files.items()]


def _opener(path: Path) -> Any:
    return lambda: path.open("rb")


# ── the log ───────────────────────────────────────────────────────────────────────────────────────
class _Log:
    """Shows what the hosts write, and keeps it in a file."""

    def __init__(self, file: TextIO, screen: Screen | None, hosts: int) -> None:
        self._file = file
        self._screen = screen
        self._hosts = hosts
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)

    def write(self, host: str, line: str) -> None:
        told = f"{host} │ {line}" if self._hosts > 1 else line
        self._file.write(f"{told}\n")
        if line.strip():
            self.last_lines.append(told)
        if self._screen is not None:
            self._screen.err.print(Text.from_ansi(told), soft_wrap=True)


@contextmanager
def _log(results: Path, screen: Screen, hosts: int, *, shown: bool) -> Iterator[_Log]:
    with (results / "log.txt").open("w", buffering=1, errors="backslashreplace") as file:
        yield _Log(file, screen if shown else None, hosts)


# ── after ─────────────────────────────────────────────────────────────────────────────────────────
def _failed(
    group: str, outcome: Outcome, results: Path, job: TrainingJob, log_lines: tuple[str, ...]
) -> TrainedHere:
    reason = outcome.failure or {
        "out of time": f"it ran longer than time_limit_seconds: {job.time_limit_seconds}",
    }.get(str(outcome.cut), f"it was {outcome.cut}")
    return TrainedHere(
        group,
        "failed",
        outcome.seconds,
        results,
        metrics={each.name: each.value for each in outcome.metrics},
        artifact=outcome.model,
        output=outcome.output,
        reasons=(reason,),
        log_lines=log_lines,
    )


def _looked_at(
    folder: TrainingFolder, run: TrainingId, outcome: Outcome, results: Path, name: str
) -> TrainedHere:
    """A job that is completed, by what it made."""
    done = TrainedHere(
        run.group,
        "completed",
        outcome.seconds,
        results,
        metrics={each.name: each.value for each in outcome.metrics},
        artifact=outcome.model,
        output=outcome.output,
    )
    if folder.job.serve is None:
        return done
    from modelgate.training.submitting import submit

    archives = run.trained_key(f"{name}/output/")
    bucket = LocalBucket(
        {archives: results, SubmissionId(run.group, run.run).key(""): results / "submission"}
    )
    now = datetime.now(UTC)
    job = Job(
        name=name,
        arn=_ARN,
        status="Completed",
        secondary_status="Completed",
        environment={},
        artifact=f"s3://{bucket.name}/{archives}{ARTIFACT}",
        output="",
        created_at=now,
        metrics=done.metrics,
    )
    own = folder.job.container.image or ""
    item = TrainingRun(run, "", Status.TRAINING, name, "", claimed_at=now, owned_until=now, image=own)
    try:
        submitted = submit(bucket, item, folder.job, job)
    except Refused as refused:
        return replace(done, status="refused", problems=refused.problems)
    return _judged(folder, replace(done, metrics=submitted.figures, submission=results / "submission"))


def _judged(folder: TrainingFolder, done: TrainedHere) -> TrainedHere:
    """The submission, as the gate will look at it."""
    from modelgate import metrics
    from modelgate.manifest import read_manifest
    from modelgate.policy import read_policy
    from modelgate_cli import inspecting

    if done.submission is None:
        return done
    wrong = Gathering()
    manifest = read_manifest((done.submission / MANIFEST).read_bytes())
    container, inspected = manifest.served["container"], None
    with wrong.collected():
        inspected = inspecting.inspect(
            str(done.submission / ARTIFACT),
            framework=container.framework,
            version=container.version,
            environment=container.environment,
            buckets=_no_bucket,
        )
    checks: tuple[Check, ...] = ()
    policy = folder.path / POLICY_FILE
    passes = None
    if policy.is_file():
        with wrong.collected():
            figures = metrics.read((done.submission / EVALUATION).read_bytes(), EVALUATION)
            gate = read_policy(policy.read_bytes(), done.group).gate
            # Which version is live, and how good that is, only the cloud knows.
            verdict = judge(figures, manifest.metadata, gate, None)
            checks, passes = verdict.checks, verdict.passed
    good = passes is not False and not wrong.problems
    return replace(
        done,
        status="completed" if good else "refused",
        inspected=inspected,
        checks=checks,
        passes=passes if passes is None else good,
        problems=tuple(wrong.problems),
    )


def _no_bucket(name: str) -> Bucket:
    raise RuntimeError(f"nothing is read from {name}: this command needs no cloud")


# ── what is shown ─────────────────────────────────────────────────────────────────────────────────
def show(trained: TrainedHere, screen: Screen, *, logs: bool) -> None:
    """
    Raises:
        Complaint: it failed, or what it made would be refused.
    """
    if trained.status == "completed":
        screen.result(trained.document(), *shown(trained))
        return
    if trained.status == "failed":
        for line in () if logs else trained.log_lines:
            screen.say(line)
        raise _failure(trained)
    if not screen.as_json:
        screen.result(trained.document(), *shown(trained))
    raise _refusal(trained)


def shown(trained: TrainedHere) -> list[RenderableType]:
    """The outcome in a few lines, what the artifact is, and the verdict as a table."""
    from modelgate_cli import inspecting

    took = duration(timedelta(seconds=trained.seconds))
    lines: list[RenderableType] = [
        Text(f"Training {trained.group} took {took}: {metrics_in_words(trained.metrics)}")
    ]
    lines += [Text(f"model: {trained.artifact}")] if trained.artifact else []
    lines += [Text(f"log, and /opt/ml of each host: {trained.folder}")]
    lines += inspecting.shown(trained.inspected) if trained.inspected else []
    lines += shown_of_submission(_as_submitted(trained))[1:]
    if trained.submission is None:
        return lines
    words = {
        True: f"Its group's policy would let it through. Next, on AWS: modelgate train; or this very model: "
        f"modelgate submit {trained.submission} {trained.group}",
        False: "It would be refused.",
        None: f"Whether the gate would let it through is not known: there is no {POLICY_FILE} in the folder.",
    }
    return [*lines, Text(words[trained.passes])]


def _failure(trained: TrainedHere) -> Complaint:
    reason = " ".join("; ".join(trained.reasons).split())
    mend = f"mend what the log ends with, and train again; all of it: {trained.folder / 'log.txt'}"
    return Complaint(f"training {trained.group} failed: {reason}", mend, NO, facts=trained.document())


def _as_submitted(trained: TrainedHere) -> Submitted:
    """By its verdict alone; the first line that is shown of it is about the cloud."""
    return Submitted(f"{trained.group}/{_RUN}", Registered.REFUSED, checks=trained.checks)


def _refusal(trained: TrainedHere) -> Complaint:
    problems = (*trained.problems, *refusal_of_submission(_as_submitted(trained)).problems)
    why = "; ".join(f"{each.where}: {each.found}" for each in problems)
    found = f"what training {trained.group} made would be refused: {why}"
    facts = trained.document() | {"problems": [asdict(each) for each in problems]}
    return Complaint(found, problems[0].mend, NO, facts=facts, problems=problems)
