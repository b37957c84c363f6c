"""`modelgate container check`: what a container of one's own would do on SageMaker, found out here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from container_check.contract import PARTS, Part, Report, Result
from container_check.trial import Given, Limits
from modelgate_cli.complaints import NO, TROUBLE, USAGE, Complaint
from modelgate_cli.screen import ProgressLine, Screen, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_MARKS: Mapping[str, tuple[str, str]] = {
    "passed": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "not tried": ("–", "dim"),
}
_WIDTH = 100
_SUBJECTS: Mapping[Part, str] = {"image": "the image", "train": "train", "serve": "serve"}


def limits_of(timeout: float | None) -> Limits:
    """
    Args:
        timeout: for a training, and for the start of a server, in seconds; None for what is usual.
    """
    return Limits() if timeout is None else Limits(training=timeout, start=timeout)


def parts_of(only: Part | None) -> tuple[Part, ...]:
    return ("train", "serve") if only is None else (only,)


def bad_one(given: Mapping[str, str], only: Part | None) -> Mapping[str, str]:
    """
    Raises:
        Complaint: there is more than one, or nothing is trained.
    """
    if len(given) > 1:
        found = f"--bad-hyperparameter names {' and '.join(given)}"
        raise Complaint(found, "give one: what the container makes of it is to be seen", USAGE)
    if given and only == "serve":
        raise Complaint("--bad-hyperparameter is for training", "leave out --only serve", USAGE)
    return given


def check(subject: str, given: Given, parts: Collection[Part], screen: Screen) -> Report:
    """
    Args:
        subject: an image, or a folder with a Dockerfile.

    Raises:
        Complaint: there is no Docker Engine, or it is in trouble.
        Refused: a document in the folder is wrong.
    """
    # Docker's package takes a while, and no other command needs it.
    from docker.errors import DockerException
    from requests import RequestException

    from container_check.checking import check_container
    from localcloud.engine import Engine, NoEngineError

    _expect_folder(subject)
    engine = Engine()
    try:
        with screen.progress() as progress:
            return check_container(subject, given, parts, engine.client, _shortened(progress))
    except NoEngineError as error:
        raise Complaint(
            "no Docker Engine answers, and the container is run by one",
            "install and start one, or set DOCKER_HOST",
            TROUBLE,
        ) from error
    except (DockerException, RequestException) as error:
        said = " ".join(str(getattr(error, "explanation", None) or error).split())
        raise Complaint(
            f"the Docker Engine says: {said}", "mend what it names, and try again", TROUBLE
        ) from error
    finally:
        engine.close()


def _expect_folder(subject: str) -> None:
    """No name of an image begins so."""
    if subject.startswith((".", "/", "~")) and not Path(subject).is_dir():
        raise Complaint(f"{subject} is no folder", "name one with a Dockerfile, or an image", USAGE)


def _shortened(progress: ProgressLine) -> Callable[[str], None]:
    """On a terminal there is one line, and those of a build may be long."""
    return lambda words: progress.show(words if len(words) <= _WIDTH else f"{words[:_WIDTH]}…")


def show(report: Report, screen: Screen) -> None:
    """
    Raises:
        Complaint: the container does not keep the contract.
    """
    if not report.failed:
        screen.result(report.document(), *shown(report))
        return
    if not screen.as_json:
        screen.result(report.document(), *shown(report))
    first, *others = report.failed
    more = f" (and {len(others)} more)" if others else ""
    raise Complaint(
        f"{report.image} does not keep SageMaker's contract: {first.check.id}: {first.seen.words}{more}",
        first.mend,
        NO,
        facts=report.document(),
    )


def shown(report: Report) -> list[RenderableType]:
    """A table, and how many checks held."""
    parts = {result.check.part for result in report.results}
    tables = [
        _table(_SUBJECTS[part], [result for result in report.results if result.check.part == part])
        for part in PARTS
        if part in parts
    ]
    counts = ", ".join(
        f"{len(found)} {words}"
        for words, found in (
            ("held", report.of("passed")),
            ("failed", report.failed),
            ("not tried", report.of("not tried")),
        )
        if found
    )
    return [*tables, Text(f"{report.image}: {counts}; {report.seconds:.0f} s")]


def _table(subject: str, results: Sequence[Result]) -> Table:
    listed = table("", subject, "seen")
    for result in results:
        mark, style = _MARKS[result.status]
        words = Text(result.seen.words, "dim" if result.status == "not tried" else "")
        if result.status == "failed":
            words.append("\nSageMaker: ", "bold").append(result.check.fails)
            words.append("\nmend: ", "bold green").append(result.mend)
        listed.add_row(Text(mark, style), Text(result.check.demand), words)
    return listed
