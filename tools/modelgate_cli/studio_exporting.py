"""Of a domain that exists: its document to begin with, the rights that its spaces need, a way in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from modelgate.aws.errors import translated
from modelgate.errors import NotFound
from modelgate.studio.document import check_name
from modelgate.studio.exporting import document_of
from modelgate.studio.rights import policy
from modelgate_cli.complaints import Complaint
from modelgate_cli.studio_documents import asked_by, in_bucket, read, state_of

if TYPE_CHECKING:
    from modelgate.studio.resources import Found
    from modelgate_cli.screen import Screen
    from modelgate_cli.stack import Stack

_MOST_NAMED = 20


@dataclass(frozen=True)
class Exported:
    """A document of what there is.

    Attributes:
        document: YAML.
        file: where it was written; None where it was not.
    """

    domain: str
    domain_id: str
    document: str
    file: Path | None = None


def export(stack: Stack, name: str, domain_id: str | None, out: Path | None) -> Exported:
    """
    Args:
        domain_id: which of several domains of that name.
        out: the file to write.

    Raises:
        Complaint: there is no such domain, or more than one.
        Refused: no document can have that name.
        OSError: the file cannot be written.
    """
    check_name(name)
    found = stack.studio.find(name, domain_id or "")
    if not found.domain_id or (domain_id and found.domain_id != domain_id):
        raise _unknown(stack, name, domain_id)
    if found.others and not domain_id:
        raise _several(name, found)
    called = next((each.ref.name for each in found.resources if each.ref.kind == "domain"), name)
    if called != name:
        mend = f"a document has its domain's name: modelgate studio export {called} --id {found.domain_id}"
        raise Complaint(f"domain {found.domain_id} is called {called}, and not {name}", mend)
    text = document_of(found, stack=stack.names.stack)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    return Exported(name, found.domain_id, text, out)


def show(exported: Exported, screen: Screen) -> None:
    if exported.file is None:
        screen.answer(asdict(exported), exported.document.encode())
        return
    words = f"The document of domain {exported.domain} ({exported.domain_id}) is written to {exported.file}."
    screen.result(asdict(exported), Text(words))
    if exported.file.name != f"{exported.domain}.yaml":
        screen.say(
            f"a document is called as its domain: rename it to {exported.domain}.yaml before you plan it"
        )


def _unknown(stack: Stack, name: str, domain_id: str | None) -> Complaint:
    there = _domains(stack)
    listed = ", ".join(f"{each['DomainName']} ({each['DomainId']})" for each in there[:_MOST_NAMED])
    more = f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
    what = f"domain {name} with the id {domain_id}" if domain_id else f"domain {name}"
    mend = f"there are {listed}{more}" if listed else "there is none at all; another --region may have it"
    return Complaint(
        f"there is no {what} in {stack.region}",
        mend,
        facts={"domains": [{"domain": each["DomainName"], "domain_id": each["DomainId"]} for each in there]},
    )


def _several(name: str, found: Found) -> Complaint:
    ids = (found.domain_id, *found.others)
    mend = f"say which: modelgate studio export {name} --id {ids[0]}"
    return Complaint(f"several domains are called {name}: {', '.join(ids)}", mend, facts={"domain_ids": ids})


def _domains(stack: Stack) -> list[Any]:
    with translated("ListDomains"):
        pages = stack.sagemaker.get_paginator("list_domains").paginate()
        return [domain for page in pages for domain in page["Domains"]]


# ── rights ────────────────────────────────────────────────────────────────────────────────────────
def rights(stack: Stack, subject: str) -> dict[str, Any]:
    """The IAM policy that an execution role needs for what a document says of its shared spaces.

    Args:
        subject: a file, or the name of a domain, whose document in the bucket is meant then.

    Raises:
        Complaint: there is no such document, or its domain is not there yet.
        Refused: with everything that is wrong with it.
    """
    written = read(stack, subject)
    asked = asked_by(stack, written, in_bucket(stack, written.name))
    return policy(asked.document, _id_of(stack, written.name, asked.document.adopted_id), stack.sagemaker_arn)


def _id_of(stack: Stack, name: str, adopted: str = "") -> str:
    """
    Raises:
        Complaint: there is no such domain.
    """
    known = adopted or state_of(stack, name).domain_id
    domain_id = known or stack.studio.find(name).domain_id
    if not domain_id:
        found = f"domain {name} is not there yet, and rights name its id"
        raise Complaint(found, "apply its document first: modelgate studio apply FILE")
    return domain_id


# ── a way in ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class WayIn:
    """Whoever opens the URL is that profile."""

    domain: str
    profile: str
    space: str
    url: str


def way_in(stack: Stack, name: str, profile: str, space: str | None) -> WayIn:
    """A URL that is good for five minutes (Amazon SageMaker API Reference, "CreatePresignedDomainUrl").

    Raises:
        Complaint: there is no such domain, profile or space.
    """
    check_name(name)
    domain_id = _id_of(stack, name)
    into: dict[str, Any] = {"SpaceName": space} if space else {}
    try:
        with translated("CreatePresignedDomainUrl"):
            answer = stack.sagemaker.create_presigned_domain_url(
                DomainId=domain_id, UserProfileName=profile, **into
            )
    except NotFound as error:
        wanted = f"user profile {profile}{f' or space {space}' if space else ''}"
        found = f"domain {name} ({domain_id}) has no {wanted}: {error.message}"
        raise Complaint(found, f"modelgate studio export {name} shows those that there are") from error
    return WayIn(name, profile, space or "", answer["AuthorizedUrl"])
