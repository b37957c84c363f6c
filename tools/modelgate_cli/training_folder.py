"""A folder that can be trained: `job.yaml`, and the code and the data that it names beside it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelgate import documents
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import Gathering, Problem, Refused
from modelgate.run import JOB_FILE, TrainingId
from modelgate.training.job import TrainingJob, read_job
from modelgate_cli.complaints import USAGE, Complaint
from modelgate_cli.layouts.folders import files_in

if TYPE_CHECKING:
    from modelgate.training.job import Script

_PACKED = ".tar.gz"
_CHUNK = 1024 * 1024
_SHOWN = 5


@dataclass(frozen=True)
class LocalData:
    """The files of a channel that lie on this machine.

    Attributes:
        files: by their paths in the channel, sorted.
        above: what comes before such a path below the run's folder.
    """

    files: Mapping[str, Path]
    above: str = ""

    @property
    def uploads(self) -> dict[str, Path]:
        return {f"{self.above}{name}": path for name, path in self.files.items()}


@dataclass(frozen=True)
class TrainingFolder:
    """What a run is made of.

    Attributes:
        document: `job.yaml` as it is uploaded, with the hyperparameters of the command line in it.
        code: the files of the script's source, by their names in it; empty where the source is packed already
            or lies elsewhere.
        data: of the channels whose data lie on this machine.
        packed: the source, where it lies here as a tarball.
    """

    path: Path
    job: TrainingJob
    document: bytes
    code: Mapping[str, Path] = field(default_factory=dict)
    data: Mapping[str, LocalData] = field(default_factory=dict)
    packed: Path | None = None

    @property
    def uploads(self) -> dict[str, Path]:
        """The files that are uploaded as they are, by their names below the run's folder."""
        files = {name: path for channel in self.data.values() for name, path in channel.uploads.items()}
        if self.packed is not None and self.job.script is not None:
            files[self.job.script.source] = self.packed
        return dict(sorted(files.items()))

    @property
    def digest(self) -> str:
        """SHA-256 over everything; it takes reading all of it."""
        whole = hashlib.sha256(hashlib.sha256(self.document).digest())
        code = (
            {f"{self.job.script.source}/{name}": path for name, path in self.code.items()}
            if self.job.script
            else {}
        )
        for name, file in sorted({**code, **self.uploads}.items()):
            whole.update(hashlib.sha256(name.encode(errors="surrogatepass")).digest())
            content = hashlib.sha256()
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    content.update(chunk)
            whole.update(content.digest())
        return whole.hexdigest()


def read(
    path: Path, hyperparameters: Mapping[str, Any], elsewhere: Mapping[str, Path] | None = None
) -> TrainingFolder:
    """Reads the folder and holds it against its document.

    Args:
        hyperparameters: go over those of `job.yaml`.
        elsewhere: where the data of channels lie on this machine, whatever `job.yaml` says.

    Raises:
        Refused: with everything that is wrong.
        Complaint: it is no such folder.
    """
    document = _document(path, hyperparameters)
    job = read_job(document)
    given = elsewhere or {}
    unknown = sorted(given.keys() - job.data.keys())
    if unknown:
        has = ", ".join(job.data) or "none"
        raise Complaint(
            f"--data names {', '.join(unknown)}, no channel of {JOB_FILE}", f"it has {has}", USAGE
        )
    wrong = Gathering()
    code: dict[str, Path] = {}
    packed: Path | None = None
    if job.script is not None and "://" not in job.script.source:
        with wrong.collected():
            packed, code = _source(path, job.script)
    data: dict[str, LocalData] = {}
    for name, channel in job.data.items():
        with wrong.collected():
            if name in given:
                data[name] = _given(name, given[name])
            elif "://" not in channel.location:
                data[name] = _channel(path, name, channel.location)
                _expect_enough(job, name, len(data[name].files))
    with wrong.collected():
        _expect_apart(job, data)
    wrong.refuse()
    return TrainingFolder(path, job, document, code, data, packed)


def group_of(path: Path, given: str | None) -> str:
    """The group that was named, or else one that is called like the folder, as far as groups can be."""
    return given or re.sub(r"[^a-zA-Z0-9]+", "-", path.resolve().name).strip("-")


def run_of(group: str, run: str | None, digest: str, today: datetime) -> TrainingId:
    """Where it is uploaded; unless it has a name, the same content on the same day is the same run.

    Raises:
        Refused: the names are none that can be used.
    """
    where = TrainingId(group, run or f"{today:%Y-%m-%d}-{digest[:8]}")
    where.check()
    return where


def hyperparameters_of(given: Mapping[str, str]) -> dict[str, Any]:
    """The values of a command line: numbers, booleans, lists and mappings as JSON has them, else texts."""
    return {name: _value(text) for name, text in given.items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _document(path: Path, hyperparameters: Mapping[str, Any]) -> bytes:
    file = path / JOB_FILE
    if not path.is_dir():
        raise Complaint(f"{path} is no folder", f"name one with a {JOB_FILE}", USAGE)
    if not file.is_file():
        mend = "write one that says what trains (container, script), on which data; examples/iris has one"
        raise Complaint(f"{path} has no {JOB_FILE}", mend, USAGE)
    with file.open("rb") as stream:
        text = stream.read(MAX_DOCUMENT_BYTES + 1)
    if not hyperparameters:
        return text
    from modelgate import plain_yaml
    from modelgate.training.writing import written

    content = plain_yaml.load(text, JOB_FILE)
    if not isinstance(content, dict) or not isinstance(content.get("hyperparameters", {}), dict):
        documents.validate(content, TrainingJob, JOB_FILE)  # which says what is wrong with it
        return text
    return written({**content, "hyperparameters": {**content.get("hyperparameters", {}), **hyperparameters}})


# ── the script ────────────────────────────────────────────────────────────────────────────────────
def _source(path: Path, script: Script) -> tuple[Path | None, dict[str, Path]]:
    where, source = f"{JOB_FILE}: script.source", path / script.source
    folder = path / script.source.removesuffix(_PACKED)
    if not folder.is_dir():
        if source.is_file():
            return source, {}
        found = (
            f"is {script.source}, and {path} has neither a folder {folder.relative_to(path)}/ nor that file"
        )
        raise Refused(Problem(where, found, f"put {script.program} into {folder}/"))
    files = files_in(folder).files
    if script.program not in files:
        names = ", ".join(sorted(files)[:_SHOWN]) or "nothing"
        found = f"is {script.program!r}, which is not in {folder}"
        raise Refused(Problem(f"{JOB_FILE}: script.program", found, f"name what is there: {names}"))
    # What is run comes first, as it does in what `modelgate pack` makes.
    return None, dict(sorted(files.items(), key=lambda file: (file[0] != script.program, file[0])))


# ── the data ──────────────────────────────────────────────────────────────────────────────────────
def _channel(path: Path, name: str, location: str) -> LocalData:
    place = path / location
    if location.endswith("/") or place.is_dir():
        found = LocalData(files_below(place), f"{location.removesuffix('/')}/")
    else:
        above, slash, file = location.rpartition("/")
        found = LocalData({file: place} if place.is_file() else {}, above + slash)
    if not found.files:
        mend = f"put the data there, or mend the location: a folder such as data/{name}/, a file, or s3://…"
        what = f"is {location}, and there is no file at {place}"
        raise Refused(Problem(f"{JOB_FILE}: data.{name}.location", what, mend))
    return found


def _given(name: str, place: Path) -> LocalData:
    files = {place.name: place} if place.is_file() else files_below(place)
    if not files:
        raise Complaint(
            f"--data {name} is {place}, where there is no file", "name a folder, or a file", USAGE
        )
    return LocalData(files)


def files_below(folder: Path) -> dict[str, Path]:
    """The files of a folder and of what its links mean; what is hidden is nobody's data."""
    found: dict[str, Path] = {}
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()  # a circle of links
            continue
        seen.add(real)
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for file in sorted(files):
            path = Path(parent, file)
            if not file.startswith(".") and path.is_file():
                found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


def _expect_enough(job: TrainingJob, name: str, files: int) -> None:
    count = job.instances.count
    if job.data[name].distribution == "sharded" and files < count:
        has = "1 file" if files == 1 else f"{files} files"
        found = f"is sharded, and has {has} for {count} instances: some would get nothing"
        mend = f"split it into {count} files or more, or write fewer instances, or distribution: replicated"
        raise Refused(Problem(f"{JOB_FILE}: data.{name}.distribution", found, mend))


def _expect_apart(job: TrainingJob, data: Mapping[str, LocalData]) -> None:
    """A location is what keys begin with: data/train without a slash is data/train-old/ as well."""
    problems = []
    for name in data:
        location = job.data[name].location
        uploads = (each for other in data if other != name for each in data[other].uploads)
        taken = next((each for each in uploads if each.startswith(location)), None)
        if taken is not None and not location.endswith("/") and not taken.startswith(f"{location}/"):
            found = f"is {location}, and {taken} of another channel begins so too: S3 would give both"
            mend = f"write {location}/, with a slash behind it"
            problems.append(Problem(f"{JOB_FILE}: data.{name}.location", found, mend))
    if problems:
        raise Refused(*problems)
