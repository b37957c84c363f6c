"""The report of a version or of a submission, brought here and opened."""

from __future__ import annotations

import json
import tempfile
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from modelgate.registry.report import PAGE, REPORT
from modelgate.registry.submissions import Status
from modelgate.submission import SubmissionId
from modelgate_cli.complaints import Complaint

if TYPE_CHECKING:
    from modelgate_cli.stack import Stack

# No group has more versions; a submission is rather named by a time, such as 20261122143000.
_MOST_DIGITS = 9
# Far more than Modelgate writes, of the page and of the document.
_MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Fetched:
    """A report on this machine.

    Attributes:
        path: where the page lies now.
        url: where it comes from, ``s3://…``.
        report: the same as data; None where that is gone.
    """

    path: Path
    url: str
    report: Any


def fetch(stack: Stack, group: str, which: str, out: Path | None = None) -> Fetched:
    """Brings the page of a report here.

    Args:
        which: a version if it is all digits (nine at most), else the name of a submission.
        out: the file to write; without one, a file in a folder for temporary files, which stays.

    Raises:
        Complaint: there is no such version, Modelgate did not register it, or its report is gone.
        Refused: the name is none that a submission can have.
    """
    is_version = which.isascii() and which.isdigit() and len(which) <= _MOST_DIGITS
    submission = _of_version(stack, group, int(which)) if is_version else SubmissionId(group, which)
    submission.check()
    key = submission.report_key(PAGE)
    url = f"s3://{stack.names.bucket}/{key}"
    page = stack.bucket.read(key, _MOST_BYTES)
    if page is None:
        raise _gone(stack, submission, url)
    document = stack.bucket.read(submission.report_key(REPORT), _MOST_BYTES)
    path = out or Path(tempfile.mkdtemp(prefix="modelgate-")) / f"{group}-{which}.html"
    path.write_bytes(page[0])
    return Fetched(path.absolute(), url, json.loads(document[0]) if document else None)


def open_in_browser(path: Path) -> bool:
    """Whether a browser took the file; on a machine without one there is none to take it."""
    return webbrowser.open(path.absolute().as_uri())


def shown(fetched: Fetched) -> Text:
    return Text(str(fetched.path))


def _of_version(stack: Stack, group: str, version: int) -> SubmissionId:
    package = stack.registry.describe(group, version)
    if package is None:
        found = f"there is no version {version} of {group} in the registry"
        raise Complaint(found, f"modelgate versions {group} shows those that there are")
    submission = package.submission
    if submission is None:
        found = f"version {version} of {group} was not registered by Modelgate, so nothing was reported of it"
        raise Complaint(found, f"modelgate versions {group} shows which have a submission")
    if not package.registered_by(stack.names.stack):
        found = f"version {version} of {group} was registered by another stack than {stack.names.stack}"
        raise Complaint(found, "name the stack that registered it: --stack NAME")
    return submission


def _gone(stack: Stack, submission: SubmissionId, url: str) -> Complaint:
    item = stack.submissions.load(submission)
    if item is None:
        found = f"there is no submission {submission}"
        return Complaint(
            found, f"see its spelling, or submit it: modelgate submit DIR {submission.group} --name NAME"
        )
    if item.status in {Status.WAITING, Status.CLAIMED}:
        doing = "waits for its files" if item.status is Status.WAITING else "is being judged"
        found = f"submission {submission} {doing}, and has no report yet"
        return Complaint(found, "its report is there as soon as it is judged; ask again then")
    mend = "upload the submission under another name to have it judged and reported again"
    return Complaint(f"the report of submission {submission} is gone from {url}", mend)
