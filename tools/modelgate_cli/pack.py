"""Packs a model file into a submission: a model.tar.gz that its container accepts, and its manifest.

What Modelgate would refuse after the upload is refused here, by the same code, before anything is written.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO, Any

import yaml

from modelgate.artifacts import contracts
from modelgate.artifacts.inspection import Artifact, inspect
from modelgate.errors import Problem, Refused
from modelgate.images import catalog
from modelgate.submission import ARTIFACT, MANIFEST, SmokeTest, read_manifest

SCRIPT = "code/inference.py"
REQUIREMENTS = "code/requirements.txt"

# What the containers' own loaders, or the script that is generated here, can load.
_MODEL_SUFFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sklearn": (".joblib", ".pkl", ".pickle"),
        "xgboost": (".ubj", ".json", ".pkl", ".pickle", ".model", ".bin"),
    }
)
# joblib reads what pickle wrote as well, and every scikit-learn brings it.
_SKLEARN_SCRIPT = '''\
"""Loads the model for the scikit-learn container, whose defaults read requests and write answers."""

import os

import joblib


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, {name!r}))


def predict_fn(data, model):
    # The container reads one row of CSV as a flat array, and estimators take tables.
    return model.predict(data.reshape(1, -1) if getattr(data, "ndim", 2) == 1 else data)
'''
_NO_CONTENT: Mapping[str, str] = MappingProxyType({})
_LEFT_OUT = frozenset(("__pycache__", "__MACOSX"))
# The tar's entries tell nothing of the machine that packed them.
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755


@dataclass(frozen=True)
class Packed:
    """A submission on disk, ready to be uploaded.

    Attributes:
        artifact: the model.tar.gz that was written.
        manifest: the manifest.yaml beside it.
        content: what is in the artifact.
        environment: what the endpoint's container will get.
        generated_script: whether code/inference.py was written here rather than given.
    """

    artifact: Path
    manifest: Path
    content: Artifact
    environment: Mapping[str, str]
    generated_script: bool


def pack(
    model: Path,
    *,
    framework: str,
    version: str,
    metrics: Mapping[str, float],
    content_types: Sequence[str],
    response_types: Sequence[str],
    smoke_test: SmokeTest,
    out: Path,
    script: Path | None = None,
    code: Path | None = None,
    requirements: Path | None = None,
    environment: Mapping[str, str] = _NO_CONTENT,
    description: str = "",
    metadata: Mapping[str, str] = _NO_CONTENT,
    overwrite: bool = False,
) -> Packed:
    """Write ``model.tar.gz`` and ``manifest.yaml`` into the folder ``out``.

    The same input gives the same bytes (with the same zlib). ``code/`` comes first in the archive, so that
    its beginning tells the layout.

    Args:
        model: the file that the framework wrote. It keeps its name, at the archive's root.
        framework: ``sklearn`` or ``xgboost``.
        version: of the prebuilt container: ``1.4-2-py312``.
        metrics: what the gate judges.
        content_types: what the model can be asked in: ``text/csv``.
        response_types: what it can answer in.
        smoke_test: the request that must succeed before the endpoint counts as live.
        out: a folder; made if it is not there.
        script: becomes code/inference.py. Without it and without ``code``, sklearn gets a generated one
            that loads the model, and xgboost none: its container loads the model itself.
        code: a folder; all of it but hidden files and byte code becomes code/.
        requirements: becomes code/requirements.txt, which the container installs before it serves.
        environment: of the container.
        description: for the registry.
        metadata: for the registry.
        overwrite: whether files of these names in ``out`` may be replaced.

    Raises:
        Refused: Modelgate would refuse the submission, or a file is missing or in the way. Nothing was
            written then.
    """
    problems = _Problems()
    with problems.collected():
        # Every version is there in this region and on this instance type, so only the version is judged.
        catalog.resolve(framework, version, region="us-east-1", instance_type="ml.m5.large", where=MANIFEST)
    problems.found += _missing(model, framework, script, code, requirements)
    targets = (out / ARTIFACT, out / MANIFEST)
    problems.found += () if overwrite else _in_the_way(targets)
    manifest = _manifest(
        {
            "container": {
                "framework": framework,
                "version": version,
                **({"environment": dict(environment)} if environment else {}),
            },
            "metrics": dict(metrics),
            "content_types": list(content_types),
            "response_types": list(response_types),
            "smoke_test": smoke_test.model_dump(exclude_none=True),
            **({"description": description} if description else {}),
            **({"metadata": dict(metadata)} if metadata else {}),
        }
    )
    with problems.collected():
        read_manifest(manifest)
    problems.refuse()

    generated = framework == "sklearn" and script is None and code is None
    with problems.collected():
        files = _layout(model, script, code, requirements, generated=generated)
    problems.refuse()
    out.mkdir(parents=True, exist_ok=True)
    with _beside(targets[0]) as packed, _beside(targets[1]) as written:
        with packed.open("wb") as stream:
            _write(stream, files)
        with packed.open("rb") as stream:
            content = inspect(stream, keep=contracts.reads(environment), where=ARTIFACT)
        needed = contracts.check(framework, content, environment, where=ARTIFACT)
        written.write_bytes(manifest)
        packed.replace(targets[0])
        written.replace(targets[1])
    return Packed(*targets, content=content, environment=needed, generated_script=generated)


class _Problems:
    """Gathers refusals, so that all of them are told at once."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        try:
            yield
        except Refused as refused:
            self.found += refused.problems

    def refuse(self) -> None:
        if self.found:
            raise Refused(*self.found)


def _missing(
    model: Path, framework: str, script: Path | None, code: Path | None, requirements: Path | None
) -> Iterator[Problem]:
    suffixes = _MODEL_SUFFIXES.get(framework)
    if suffixes is None:
        mend = f"pack models of {' or '.join(_MODEL_SUFFIXES)}; lay out others by hand"
        yield Problem(MANIFEST, f"there is no way here to pack for {framework!r}", mend)
    elif model.suffix not in suffixes and script is None and code is None:
        mend = f"give a file of {', '.join(suffixes)}, or a script whose model_fn loads it"
        yield Problem(str(model), f"is not a file that the {framework} container can load", mend)
    for file in (model, script, requirements):
        if file is not None and not file.is_file():
            yield Problem(str(file), "is not a file", "name one that exists")
    if code is not None and not code.is_dir():
        yield Problem(str(code), "is not a folder", "name one that exists")


def _in_the_way(targets: Sequence[Path]) -> list[Problem]:
    mend = "choose another folder, or allow to overwrite"
    return [Problem(str(target), "exists already", mend) for target in targets if target.exists()]


class _Dumper(yaml.SafeDumper):
    """Quotes the texts that Modelgate's reader, unlike PyYAML, would take for numbers: ``1e5``."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z"),
    list("-+.0123456789"),
)


def _manifest(content: Mapping[str, Any]) -> bytes:
    text: bytes = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")
    return text


def _layout(
    model: Path, script: Path | None, code: Path | None, requirements: Path | None, *, generated: bool
) -> Mapping[str, Path | bytes]:
    """What becomes what in the archive, ``code/`` first.

    Raises:
        Refused: two files would have the same name there.
    """
    pairs: list[tuple[str, Path | bytes]] = [] if code is None else list(_tree(code))
    if script is not None:
        pairs.append((SCRIPT, script))
    if generated:
        pairs.append((SCRIPT, _SKLEARN_SCRIPT.format(name=model.name).encode()))
    if requirements is not None:
        pairs.append((REQUIREMENTS, requirements))
    pairs = [*sorted(pairs, key=lambda pair: pair[0]), (model.name, model)]
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        mend = "give it once: in the folder of code, or by itself"
        raise Refused(*(Problem(f"{ARTIFACT}: {name}", "is given twice", mend) for name in twice))
    return dict(pairs)


def _tree(code: Path) -> Iterator[tuple[str, Path]]:
    for folder, subfolders, files in os.walk(code):
        subfolders[:] = [name for name in subfolders if not (name.startswith(".") or name in _LEFT_OUT)]
        for name in files:
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix not in (".pyc", ".pyo"):
                yield f"code/{path.relative_to(code).as_posix()}", path


def _write(stream: IO[bytes], files: Mapping[str, Path | bytes]) -> None:
    # Neither the gzip's header nor the tar's entries tell a name, a time or an owner.
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        folders: set[str] = set()
        for name, content in files.items():
            for folder in reversed(PurePosixPath(name).parents[:-1]):
                if str(folder) not in folders:
                    folders.add(str(folder))
                    tar.addfile(_entry(str(folder), tarfile.DIRTYPE, _FOLDER_MODE, 0))
            _add(tar, name, content)


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    if isinstance(content, bytes):
        with io.BytesIO(content) as source:
            tar.addfile(_entry(name, tarfile.REGTYPE, _FILE_MODE, len(content)), source)
        return
    with content.open("rb") as source_file:
        size = os.fstat(source_file.fileno()).st_size
        tar.addfile(_entry(name, tarfile.REGTYPE, _FILE_MODE, size), source_file)


def _entry(name: str, kind: bytes, mode: int, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, size
    return entry


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A temporary file in the target's folder, from where it can be moved there in one step."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    path = Path(name)
    try:
        # As any other new file: mkstemp's are for their owner alone.
        mask = os.umask(0)
        os.umask(mask)
        path.chmod(0o666 & ~mask)
        yield path
    finally:
        path.unlink(missing_ok=True)
