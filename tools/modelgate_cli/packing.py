"""From the words of a command line to what `pack` takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import Problem, Refused
from modelgate.submission import read_metrics
from modelgate_cli.complaints import USAGE, Complaint

if TYPE_CHECKING:
    from modelgate_cli.pack import Packed


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
    metrics = read_metrics(_text_of(file), file.name) if file else {}
    for name, value in pairs(given, "--metric").items():
        try:
            metrics[name] = float(value)
        except ValueError as error:
            raise Complaint(
                f"--metric {name} is {value!r}", "write a number: accuracy=0.95", USAGE
            ) from error
    if not metrics:
        mend = "give at least one --metric NAME=VALUE, or --metrics-file FILE: the gate judges by them"
        raise Complaint("there are no metrics", mend, USAGE)
    return metrics


def _text_of(file: Path) -> bytes:
    with file.open("rb") as stream:
        text = stream.read(MAX_DOCUMENT_BYTES + 1)
    if not text:
        raise Refused(Problem(file.name, "is empty", 'write a JSON object: {"accuracy": 0.95}'))
    return text


def document(packed: Packed) -> dict[str, Any]:
    return {
        "artifact": str(packed.artifact),
        "manifest": str(packed.manifest),
        "sha256": packed.content.sha256,
        "bytes": packed.content.compressed_size,
        "files": [member.name for member in packed.content.members if member.kind == "file"],
        "environment": dict(packed.environment),
        "generated_script": packed.generated_script,
    }


def shown(packed: Packed) -> list[Text]:
    """What was written, and what to do next."""
    told = document(packed)
    lines = [
        Text(f"{packed.artifact} ({packed.content.compressed_size} bytes): {', '.join(told['files'])}"),
        Text(f"{packed.manifest}"),
    ]
    if packed.generated_script:
        lines.append(
            Text("code/inference.py was written for you: it loads the model, and its container does the rest")
        )
    return [*lines, Text(f"next: modelgate submit {packed.artifact.parent} GROUP")]
