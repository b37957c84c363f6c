"""From the words of a command line to what `pack` takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from modelgate import metrics
from modelgate.errors import Problem, Refused
from modelgate.submission import MAX_METRICS
from modelgate_cli.complaints import USAGE, Complaint
from modelgate_cli.layouts import families, mlflow

if TYPE_CHECKING:
    from rich.progress import TaskID

    from modelgate_cli.pack import Packed, Watch
    from modelgate_cli.screen import Screen


def pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """``KEY=VALUE`` texts as a mapping.

    Raises:
        Complaint: one of them has no ``=``, or a key stands twice.
    """
    read: dict[str, str] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise Complaint(f"{option} is {each!r}", f"write {option} NAME=VALUE", USAGE)
        if key in read:
            raise Complaint(f"{option} names {key} twice", "give it once", USAGE)
        read[key] = value
    return read


def metrics_of(given: Sequence[str], file: Path | None) -> dict[str, float]:
    """The metrics of the command line, over those of the file.

    Raises:
        Complaint: a value is no number, or there are no metrics at all.
        Refused: the file is no flat JSON object of numbers.
    """
    figures = dict(metrics.read(_text_of(file), file.name).figures) if file else {}
    for name, value in pairs(given, "--metric").items():
        try:
            figures[name] = float(value)
        except ValueError as error:
            raise Complaint(
                f"--metric {name} is {value!r}", "write a number: accuracy=0.95", USAGE
            ) from error
    if not figures:
        mend = "give at least one --metric NAME=VALUE, or --metrics-file FILE: the gate judges by them"
        raise Complaint("there are no metrics", mend, USAGE)
    return figures


def _text_of(file: Path) -> bytes:
    with file.open("rb") as stream:
        text = stream.read(metrics.MAX_BYTES + 1)
    if not text:
        raise Refused(Problem(file.name, "is empty", 'write a JSON object: {"accuracy": 0.95}'))
    return text


def figures_or_file(given: Sequence[str], file: Path | None) -> dict[str, float] | Path:
    """The metrics for a manifest: its own figures, or the file that it names.

    A file stays one where it is nested, as SageMaker's model quality reports are, or has more figures than a
    manifest holds.

    Raises:
        Complaint: there are none, a value is no number, or there are some beside such a file.
        Refused: the file is no metrics file.
    """
    if file is None or _fits_into_manifest(_text_of(file), file.name):
        return metrics_of(given, file)
    if given:
        found = f"{file.name} stays a file of its own, and --metric gives figures beside it"
        raise Complaint(found, "write them into the file, or leave --metric out", USAGE)
    if file.suffix != ".json":
        raise Complaint(f"{file.name} is not called .json", "rename it: a manifest names a .json file", USAGE)
    return file


def _fits_into_manifest(text: bytes, name: str) -> bool:
    content = json.loads(text) if metrics.read(text, name) else {}
    return len(content) <= MAX_METRICS and not any(isinstance(value, dict) for value in content.values())


def takes(given: Sequence[str], framework: str | None, model: Path | None) -> list[str]:
    """The content types that a model can be asked in; by default what its container or its signature says."""
    if given:
        return list(given)
    of_mlflow = mlflow.described(model) if model is not None else None
    by_csv = of_mlflow is None or of_mlflow.answers_to_csv
    return ["text/csv" if by_csv and not families.answers_json(framework) else "application/json"]


@contextmanager
def watched(screen: Screen) -> Iterator[Watch]:
    """Shows on a terminal how far the packing is."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, console=screen.err, transient=True, disable=not screen.err.is_terminal
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def watch(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        yield watch


def document(packed: Packed) -> dict[str, Any]:
    content = packed.content
    return {
        "artifact": str(packed.artifact) if packed.artifact else None,
        "manifest": str(packed.manifest),
        "metrics_file": str(packed.metrics_file) if packed.metrics_file else None,
        # A folder gets its digest from what S3 says of its objects.
        "sha256": content.sha256 if content and content.kind == "tarball" else None,
        "bytes": content.compressed_size if content else 0,
        "files": [member.name for member in content.members if member.kind == "file"] if content else [],
        "environment": dict(packed.environment),
        "generated_script": packed.generated_script,
        "generated": list(packed.generated),
        "left_out": list(packed.left_out),
        "notes": list(packed.notes),
    }


def shown(packed: Packed) -> list[Text]:
    """What was written, and what to do next."""
    told = document(packed)
    lines = [Text(f"{packed.manifest}")]
    if packed.artifact:
        lines.insert(0, Text(f"{packed.artifact} ({told['bytes']} bytes): {', '.join(told['files'])}"))
    if packed.metrics_file:
        lines.append(Text(f"{packed.metrics_file}"))
    if packed.left_out:
        lines.append(Text(f"left out: {', '.join(packed.left_out)}"))
    if packed.generated:
        lines.append(Text(f"written for you: {', '.join(packed.generated)}"))
    lines += [Text(f"note: {note}") for note in packed.notes]
    return [*lines, Text(f"next: modelgate submit {packed.manifest.parent} GROUP")]
