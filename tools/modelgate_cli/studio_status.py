"""What is known of the domains that documents of Studio ask for, and what is other than they say by now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from modelgate.errors import Refused
from modelgate.studio.document import check_name
from modelgate.studio.records import ChangeRecord, Status, StudioState
from modelgate_cli.complaints import Complaint
from modelgate_cli.screen import moment, sentence, table
from modelgate_cli.studio_applying import lines_of
from modelgate_cli.studio_documents import Written, asked_by, in_bucket, unknown
from modelgate_cli.studio_planning import Planned, difference
from modelgate_cli.studio_planning import shown as shown_plan

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modelgate_cli.stack import Stack

_LAST = 10


@dataclass(frozen=True)
class OpenTrouble:
    """Something that went wrong, and is tried again after ``not_before``."""

    kind: str
    name: str
    reason: str
    times: int
    not_before: datetime


@dataclass(frozen=True)
class DomainStatus:
    """What is known of a document and its domain.

    Attributes:
        status: ``moving``, ``settled``, ``troubled`` or ``refused``.
        version: the S3 version of the document that this speaks of; empty where it was deleted.
        in_bucket: the version in the bucket; None where nobody looked.
        waiting: the steps that wait, each with what for.
        doing: the steps that a function has begun.
        changes: how many records of changes there are.
        recent: the last of them, oldest first; None where nobody looked.
        drift: whether somebody has changed by hand what was settled; None where nobody looked.
        difference: what lies between the document and what there is now; None where nobody looked, or the
            document is refused.
    """

    domain: str
    domain_id: str
    status: str
    version: str
    settled_at: datetime | None
    waiting: tuple[str, ...]
    doing: tuple[str, ...]
    troubles: tuple[OpenTrouble, ...]
    in_the_way: tuple[str, ...]
    orphans: tuple[str, ...]
    reasons: tuple[str, ...]
    changes: int
    in_bucket: str | None = None
    recent: tuple[ChangeRecord, ...] | None = None
    drift: bool | None = None
    difference: Planned | None = None


def statuses(stack: Stack) -> list[DomainStatus]:
    """Every document that there is an item of, by name, as it was found last."""
    return [_status(state) for state in stack.studio_states.all()]


def status_of(stack: Stack, name: str) -> DomainStatus:
    """One of them, held against what there is now.

    Raises:
        Complaint: nobody ever wrote such a document.
        Refused: the name is none that a domain can have.
    """
    check_name(name)
    state = stack.studio_states.load(name)
    there = in_bucket(stack, name)
    if state is None and not there.version:
        raise unknown(name)
    state = state or StudioState(name)
    written = Written(name, there.text, "its document")
    planned, reasons = None, state.reasons
    try:
        planned = difference(stack, written, asked_by(stack, written, there), state)
    except Refused as refused:
        reasons = tuple(map(str, refused.problems))
    except Complaint as complaint:
        if not complaint.problems:
            raise
        reasons = tuple(map(str, complaint.problems))
    is_settled = state.status is Status.SETTLED and state.uploaded == there.version
    return _status(
        state,
        reasons=reasons,
        in_bucket=there.version,
        recent=tuple(stack.studio_states.changes(name)[-_LAST:]),
        drift=is_settled and planned is not None and planned.differs,
        difference=planned,
    )


def _status(
    state: StudioState,
    *,
    reasons: tuple[str, ...] | None = None,
    in_bucket: str | None = None,
    recent: tuple[ChangeRecord, ...] | None = None,
    drift: bool | None = None,
    difference: Planned | None = None,
) -> DomainStatus:
    troubles = tuple(
        OpenTrouble(each.kind, each.name, each.reason, each.times, each.not_before)
        for each in state.troubles
        if each.times
    )
    return DomainStatus(
        domain=state.name,
        domain_id=state.domain_id,
        status=state.status.value,
        version=state.uploaded,
        settled_at=state.settled_at,
        waiting=state.waiting,
        doing=state.doing,
        troubles=troubles,
        in_the_way=state.in_the_way,
        orphans=state.orphans,
        reasons=state.reasons if reasons is None else reasons,
        changes=state.changes,
        in_bucket=in_bucket,
        recent=recent,
        drift=drift,
        difference=difference,
    )


# ── words ─────────────────────────────────────────────────────────────────────────────────────────
def shown_all(found: Sequence[DomainStatus]) -> list[RenderableType]:
    if not found:
        return [Text("There is no document of Studio yet: modelgate studio apply FILE")]
    rows = table("domain", "id", "status", "settled", "changes", "what there is to say")
    for each in found:
        words = "; ".join(_remarks(each)) or "–"
        identity = each.domain_id or "–"
        rows.add_row(each.domain, identity, each.status, moment(each.settled_at), str(each.changes), words)
    return [rows]


def _remarks(status: DomainStatus) -> Iterator[str]:
    yield from status.reasons
    yield from (f"{each.kind} {each.name}: {each.reason.rstrip('.')}" for each in status.troubles)
    yield from status.in_the_way
    if status.waiting:
        yield f"{len(status.waiting)} steps wait" if len(status.waiting) > 1 else status.waiting[0]
    if status.orphans:
        yield f"left the document: {', '.join(status.orphans)}"
    if not status.version:
        yield "the document is deleted"


def shown(status: DomainStatus) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(sentence(_headline(status)), "bold"), *_document(status)]
    lines += [Text(sentence(f"Refused: {reason}"), "red") for reason in status.reasons]
    for each in status.troubles:
        times = "once" if each.times == 1 else f"{each.times} times"
        again = f"tried {times}, next after {moment(each.not_before)}"
        lines.append(
            Text(f"Trouble with {each.kind} {each.name}: {each.reason.rstrip('.')} ({again}).", "red")
        )
    lines += [Text(sentence(f"In the way: {message}"), "yellow") for message in status.in_the_way]
    lines += [Text(sentence(f"Begun: {step}")) for step in status.doing]
    # What was found last is worth a line only where nobody could look now.
    now = _now(status)
    if status.difference is None:
        lines += [Text(sentence(f"To do: {step}")) for step in status.waiting]
    if status.orphans and not now:
        lines.append(Text(f"Left the document and still there: {', '.join(status.orphans)}."))
    lines += now
    if status.recent:
        lines += [Text(), Text("What was changed last:", "bold"), *_changes(status.recent)]
    return lines


def _headline(status: DomainStatus) -> str:
    identity = f" ({status.domain_id})" if status.domain_id else ""
    since = (
        f" since {moment(status.settled_at)}" if status.status == Status.SETTLED and status.settled_at else ""
    )
    return f"Domain {status.domain}{identity} is {status.status}{since}"


def _document(status: DomainStatus) -> list[Text]:
    if status.in_bucket == status.version:
        return [
            Text(
                f"Its document is version {status.version}." if status.version else "Its document is deleted."
            )
        ]
    if not status.in_bucket:
        return [Text("Its document was deleted, and nobody has looked at that yet.")]
    return [
        Text(f"Version {status.in_bucket} of its document was uploaded, and nobody has looked at it yet.")
    ]


def _now(status: DomainStatus) -> list[Text]:
    """What is other than the document says at this moment."""
    planned = status.difference
    if planned is None or not (planned.differs or planned.moving):
        return []
    head = "Somebody changed it by hand; it is put back by itself:" if status.drift else "Still to come:"
    _, _, *lines = shown_plan(planned)
    return [Text(), Text(head, "bold"), *lines]


def _changes(records: Sequence[ChangeRecord]) -> Iterator[Text]:
    for record in records:
        by = f"version {record.uploaded}" if record.uploaded else "the document's end"
        yield Text(f"{record.number}. by {by}{', drift' if record.drift else ''}", "dim")
        yield from (Text(f"   {line}") for line in lines_of(record))
