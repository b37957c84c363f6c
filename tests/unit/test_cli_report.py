"""`modelgate report`: the page of a version, or of a submission that became none, on this machine."""

from __future__ import annotations

import webbrowser
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from modelgate.errors import Refused
from modelgate.registry import package
from modelgate.registry.report import PAGE, REPORT, Report
from modelgate.registry.submissions import Status, Submission, Submissions
from modelgate.submission import SubmissionId
from modelgate_cli.complaints import Complaint
from modelgate_cli.reporting import fetch, open_in_browser
from modelgate_cli.stack import Stack
from tests.fakes.runtime import STACK, Memory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = {"MODELGATE_BUCKET": "intake", "MODELGATE_TABLE": "state", "MODELGATE_BUS": "announcements"}


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def stack(memory: Memory) -> Stack:
    """A stack of which everything that a report needs is in memory."""
    stack = Stack(boto3.Session(region_name="eu-central-1"), STACK, NAMES)
    stack.bucket = memory.bucket
    stack.registry = memory.sagemaker
    stack.submissions = Submissions(memory.table)
    return stack


def reported(memory: Memory, name: str, status: Status = Status.REFUSED) -> bytes:
    """The reports of a submission, as registration writes them; the page."""
    report = Report(SubmissionId("iris", name), status.value, NOON, version=1)
    memory.bucket.put(report.submission.report_key(REPORT), report.to_json())
    memory.bucket.put(report.submission.report_key(PAGE), report.to_html())
    return report.to_html()


def registered(memory: Memory, name: str, stack: str = STACK) -> int:
    return memory.sagemaker.add_package("iris", **{package.STACK: stack, package.SUBMISSION: name})


def test_the_report_of_a_version_is_the_one_of_its_submission(
    memory: Memory, stack: Stack, tmp_path: Path
) -> None:
    reported(memory, "another")
    page = reported(memory, "run-7", Status.REGISTERED)
    fetched = fetch(stack, "iris", str(registered(memory, "run-7")), tmp_path / "page.html")
    assert fetched.path == tmp_path / "page.html"
    assert fetched.path.read_bytes() == page
    assert fetched.url == "s3://intake/reports/iris/run-7/report.html"
    assert fetched.report["submission"] == "iris/run-7"


def test_what_was_refused_is_asked_for_by_its_name(memory: Memory, stack: Stack, tmp_path: Path) -> None:
    page = reported(memory, "run-8")
    assert fetch(stack, "iris", "run-8", tmp_path / "page.html").path.read_bytes() == page


def test_a_name_that_is_a_time_is_a_name(memory: Memory, stack: Stack, tmp_path: Path) -> None:
    page = reported(memory, "20260301120000")
    assert fetch(stack, "iris", "20260301120000", tmp_path / "page.html").path.read_bytes() == page


def test_without_a_file_to_write_the_page_stays_in_a_temporary_folder(
    memory: Memory, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    page = reported(memory, "run-8")
    fetched = fetch(stack, "iris", "run-8")
    assert fetched.path.is_relative_to(tmp_path)
    assert fetched.path.name == "iris-run-8.html"
    assert fetched.path.read_bytes() == page


def test_a_page_whose_document_is_gone_is_still_a_page(memory: Memory, stack: Stack, tmp_path: Path) -> None:
    reported(memory, "run-8")
    memory.bucket.delete("reports/iris/run-8/report.json")
    assert fetch(stack, "iris", "run-8", tmp_path / "page.html").report is None


def test_a_version_that_there_is_not_is_a_complaint(stack: Stack) -> None:
    with pytest.raises(Complaint, match="no version 3 of iris") as complaint:
        fetch(stack, "iris", "3")
    assert "modelgate versions iris" in complaint.value.mend


def test_what_somebody_else_registered_has_no_report(memory: Memory, stack: Stack) -> None:
    version = memory.sagemaker.add_package("iris")
    with pytest.raises(Complaint, match="not registered by Modelgate"):
        fetch(stack, "iris", str(version))


def test_what_another_stack_registered_is_to_be_asked_for_there(memory: Memory, stack: Stack) -> None:
    reported(memory, "run-7")
    with pytest.raises(Complaint, match="another stack than modelgate") as complaint:
        fetch(stack, "iris", str(registered(memory, "run-7", stack="staging")))
    assert "--stack" in complaint.value.mend


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "there is no submission iris/run-9"),
        (Status.WAITING, "waits for its files"),
        (Status.CLAIMED, "is being judged"),
        (Status.REFUSED, "is gone from s3://intake/reports/iris/run-9/report.html"),
    ],
)
def test_a_report_that_is_not_there_says_why_and_what_to_do(
    stack: Stack, status: Status | None, words: str
) -> None:
    if status:
        stack.submissions.save(Submission(SubmissionId("iris", "run-9"), "parts", status, "", NOON, NOON))
    with pytest.raises(Complaint, match=words) as complaint:
        fetch(stack, "iris", "run-9")
    assert complaint.value.mend


@pytest.mark.parametrize("name", ["../other", "run/7", "", "a b"])
def test_a_name_that_no_submission_can_have_is_refused_and_nothing_is_asked(
    memory: Memory, stack: Stack, name: str
) -> None:
    with pytest.raises(Refused, match="no name that can be used"):
        fetch(stack, "iris", name)
    assert memory.calls.made == []


def test_the_file_is_opened_as_an_address_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def browser(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", browser)
    assert open_in_browser(tmp_path / "a report#1.html")
    assert opened == [f"{tmp_path.as_uri()}/a%20report%231.html"]
