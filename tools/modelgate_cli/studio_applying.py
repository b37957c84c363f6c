"""Uploading a document of Studio, and following it until what there is, is what it says."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from modelgate.aws.errors import translated
from modelgate.errors import Forbidden, Throttled, TimedOut
from modelgate.studio.document import key_of
from modelgate.studio.records import ChangeRecord, Status
from modelgate_cli.complaints import NO, TROUBLE, USAGE, Complaint
from modelgate_cli.job_uploads import upload_document
from modelgate_cli.screen import moment
from modelgate_cli.studio_documents import asked_by, in_bucket, read_file, state_of
from modelgate_cli.studio_planning import Planned, difference, shown, what_it_does
from modelgate_cli.waiting import wait_for

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modelgate.studio.records import StudioState, Trouble
    from modelgate_cli.screen import ProgressLine, Screen
    from modelgate_cli.stack import Stack
    from modelgate_cli.studio_documents import Written

FUNCTION = "StudioFunction"
UNCHANGED, UPLOADED, SETTLED = "unchanged", "uploaded", "settled"
# What the upload starts is waited for so long, in seconds, before the function is asked by hand.
_UNTIL_TAKEN_UP = 10.0
# Each look describes all that there is, so they become rarer while nothing happens.
_FIRST_PAUSE, _GROWTH, _LONGEST_PAUSE = 0.2, 1.5, 10.0
# Whoever is told these comes again; they say nothing about the document.
_COME_AGAIN = frozenset({"NotYet", "StaleRevision", "Throttled", "TimedOut"})


@dataclass(frozen=True)
class Applied:
    """What became of a document.

    Attributes:
        version: its S3 version in the bucket.
        outcome: ``settled``, ``uploaded`` when nobody waited, or ``unchanged`` where there was nothing to do
            and the same document lay there already.
        changes: what was changed since the upload, oldest first.
        orphans: what left the document and is there still.
        plan: what was to be done.
    """

    domain: str
    domain_id: str
    version: str
    outcome: str
    changes: tuple[ChangeRecord, ...]
    orphans: tuple[str, ...]
    plan: Planned


def apply(
    path: str,
    stack_of: Callable[[], Stack],
    screen: Screen,
    *,
    yes: bool,
    wait: bool,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Applied:
    """Shows what a file would change, asks, uploads it, and follows it.

    Args:
        stack_of: the stack; not asked for while the document itself is wrong.
        yes: whether the answer is known to be yes.
        timeout: how long to wait at most, in seconds.

    Raises:
        Refused, Complaint: the document is wrong, nobody said yes, or it does not come to a good end.
    """
    if screen.as_json and not yes:
        raise Complaint("a program cannot be asked whether it means it", "give --yes as well", USAGE)
    written = read_file(path)
    stack = stack_of()
    stack.output(FUNCTION)  # a stack that is older than its documents is told of before an upload
    name, there, state = written.name, in_bucket(stack, written.name), state_of(stack, written.name)
    planned = difference(stack, written, asked_by(stack, written, there), state)
    for line in shown(planned):
        screen.err.print(line, soft_wrap=True)
    if not planned.differs and there.version and there.text == written.text:
        version = there.version
        if not (planned.moving and wait):
            return Applied(name, planned.domain_id, version, UNCHANGED, (), state.orphans, planned)
    else:
        if planned.differs and not yes:
            _confirm(planned, screen)
        version = _upload(written, stack, screen)
    if not wait:
        return Applied(name, planned.domain_id, version, UPLOADED, (), state.orphans, planned)
    with screen.progress() as progress:
        following = _Following(stack, name, version, state.changes, progress, screen, clock)
        settled = wait_for(
            following.look,
            seconds=timeout,
            what=f"the end of the changes to domain {name}",
            mend=f"modelgate studio status {name} shows how far it is; it goes on without you",
            clock=clock,
            sleep=sleep,
        )
    changes = tuple(following.changes)
    return Applied(name, settled.domain_id, version, SETTLED, changes, settled.orphans, planned)


def _confirm(planned: Planned, screen: Screen) -> None:
    screen.confirm(what_it_does(planned), f"Apply it to domain {planned.domain}?")
    if planned.deletes_home:
        screen.confirm(
            f"The home file system of domain {planned.domain} is deleted with it, and everything that people "
            "keep there. Nobody can bring it back.",
            "Delete the home file system?",
        )


def _upload(written: Written, stack: Stack, screen: Screen) -> str:
    digest = hashlib.sha256(written.text).hexdigest()
    return upload_document(key_of(written.name), written.text, digest, stack, screen)


# ── following it ──────────────────────────────────────────────────────────────────────────────────
class _Following:
    """Looks at a document's item until it speaks of a version and nothing is under way any more.

    Args:
        changes: how many records there were before the upload.
    """

    def __init__(
        self,
        stack: Stack,
        name: str,
        version: str,
        changes: int,
        progress: ProgressLine,
        screen: Screen,
        clock: Callable[[], float],
    ) -> None:
        self._stack = stack
        self._name = name
        self._version = version
        self._before = self._told = changes
        self._progress = progress
        self._screen = screen
        self._clock = clock
        self._pause = _FIRST_PAUSE
        self._ask_at = clock() + _UNTIL_TAKEN_UP
        self._taken_up = False
        self._may_ask = True
        self.changes: list[ChangeRecord] = []

    def look(self) -> StudioState | None:
        """
        Raises:
            Complaint: the document is refused, troubled, or no longer the one that counts.
        """
        state = self._stack.studio_states.load(self._name)
        if state is None or state.uploaded != self._version:
            self._expect_to_count()
            self._progress.show(f"domain {self._name}: the document is on its way")
            self._ask(state)
            return None
        self._tell(state)
        if state.status is Status.REFUSED:
            raise _refused(state)
        if troubles := _troubles(state):
            raise _troubled(state, troubles, self.changes)
        if state.status is Status.SETTLED:
            return state
        if not self._taken_up:
            self._taken_up, self._ask_at = True, self._clock() + self._pause
        self._progress.show(_how_far(state))
        self._ask(state)
        return None

    def _tell(self, state: StudioState) -> None:
        """Shows each record of a change once."""
        if state.changes == self._told:
            return
        self.changes = [
            record for record in self._stack.studio_states.changes(self._name) if record.number > self._before
        ]
        for record in self.changes:
            if record.number > self._told:
                for line in lines_of(record):
                    self._screen.say(line)
        self._told = state.changes
        self._pause = _FIRST_PAUSE

    def _expect_to_count(self) -> None:
        head = self._stack.bucket.head(key_of(self._name))
        if head is not None and head.version == self._version:
            return
        what = "uploaded another version of" if head else "deleted"
        raise Complaint(
            f"somebody {what} the document of domain {self._name} meanwhile",
            f"modelgate studio status {self._name} shows what comes of that",
            facts={"domain": self._name, "version": self._version},
        )

    def _ask(self, state: StudioState | None) -> None:
        """Has the function look again, where it is time for that and nobody is at it."""
        now = self._clock()
        held = state is not None and state.owned_until is not None and self._stack.now() < state.owned_until
        if held or not self._may_ask or now < self._ask_at:
            return
        try:
            look_again(self._stack, self._name)
        except Forbidden as error:
            self._may_ask = False
            self._screen.say(f"{error.message}; so this waits for the stack to look by itself, as it does")
        except (Throttled, TimedOut):
            pass  # there is a next time
        self._ask_at = self._clock() + self._pause
        self._pause = min(self._pause * _GROWTH, _LONGEST_PAUSE)


def look_again(stack: Stack, name: str) -> None:
    """Has the stack's function look at a document now, as an upload would.

    Raises:
        Complaint: the function failed on it.
        AwsError: it could not be invoked.
    """
    function = stack.output(FUNCTION)
    with translated("lambda:InvokeFunction"):
        answer = stack.functions.invoke(
            FunctionName=function,
            InvocationType="RequestResponse",
            Payload=json.dumps(_event(stack, name)).encode(),
        )
        with answer["Payload"] as stream:
            said = json.loads(stream.read())
    if "FunctionError" not in answer or said.get("errorType") in _COME_AGAIN:
        return
    error = f"{said.get('errorType', answer['FunctionError'])}: {said.get('errorMessage', '')}"
    raise Complaint(
        f"the function failed on the document of domain {name}: {' '.join(error.split())}",
        f"the log of {function} has more; the stack tries again by itself: modelgate studio status {name}",
        TROUBLE,
        facts={"domain": name},
    )


def _event(stack: Stack, name: str) -> dict[str, object]:
    """What EventBridge sends of an upload."""
    _, partition, _, region, account, *_ = stack.sagemaker_arn.split(":")
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": account,
        "time": f"{stack.now():%Y-%m-%dT%H:%M:%SZ}",
        "region": region,
        "resources": [f"arn:{partition}:s3:::{stack.names.bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": stack.names.bucket},
            "object": {"key": key_of(name)},
            "reason": "modelgate studio apply",
        },
    }


def _troubles(state: StudioState) -> list[str]:
    """What has gone wrong under this version; what is only being tried again is none of it yet."""
    told = [f"{each.ref}: {each.reason}" for each in state.troubles if _is_fresh(each, state)]
    return told + list(state.in_the_way)


def _is_fresh(trouble: Trouble, state: StudioState) -> bool:
    return trouble.uploaded == state.uploaded and trouble.times > 0 and not trouble.tried


def _refused(state: StudioState) -> Complaint:
    more = f" (and {len(state.reasons) - 1} more)" if len(state.reasons) > 1 else ""
    return Complaint(
        f"the document of domain {state.name} is refused: {_one_line(state.reasons[0])}{more}",
        "mend what it names, and apply it again; nothing is changed",
        NO,
        facts={"domain": state.name, "version": state.uploaded, "reasons": state.reasons},
    )


def _troubled(state: StudioState, troubles: Sequence[str], changes: Sequence[ChangeRecord]) -> Complaint:
    more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
    pauses = [each.not_before for each in state.troubles if _is_fresh(each, state)]
    again = (
        f"; it is tried again after {moment(min(pauses))}, and as soon as it is applied again"
        if pauses
        else ""
    )
    return Complaint(
        f"domain {state.name} is not yet as its document says: {_one_line(troubles[0])}{more}",
        f"mend what it names{again}",
        TROUBLE if pauses else NO,
        facts={
            "domain": state.name,
            "domain_id": state.domain_id,
            "version": state.uploaded,
            "troubles": list(troubles),
            "changes": list(changes),
        },
    )


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


# ── words ─────────────────────────────────────────────────────────────────────────────────────────
def lines_of(record: ChangeRecord) -> list[str]:
    """Each step of a record, when it was done, and what came of it."""
    at = moment(record.at)
    drift = "put back: " if record.drift else ""
    return [
        f"{at}  {drift}{_one_line(done.step)}{'' if done.was_done else f' ({_one_line(done.outcome)})'}"
        for done in record.done
    ]


def _how_far(state: StudioState) -> str:
    if state.doing:
        return f"domain {state.name}: {'; '.join(state.doing)}"
    if not state.waiting:
        return f"domain {state.name} is {state.status}"
    more = f" (and {len(state.waiting) - 1} more)" if len(state.waiting) > 1 else ""
    return f"domain {state.name}: {state.waiting[0]}{more}"


def shown_applied(applied: Applied) -> list[RenderableType]:
    name = applied.domain
    if applied.outcome == UNCHANGED:
        return [Text(f"Nothing to do: domain {name} is as its document says, and that is in the bucket.")]
    if applied.outcome == UPLOADED:
        return [
            Text(f"The document of domain {name} is uploaded; modelgate studio status {name} follows it.")
        ]
    steps = sum(each.was_done for record in applied.changes for each in record.done)
    did = f"{steps} {'step' if steps == 1 else 'steps'}" if steps else "nothing had to be done"
    identity = f" ({applied.domain_id})" if applied.domain_id else ""
    lines: list[RenderableType] = [Text(f"Domain {name}{identity} is as its document says: {did}.")]
    if applied.orphans:
        stay = (
            f"Left the document and still there: {', '.join(applied.orphans)}; prune: true has them deleted."
        )
        lines.append(Text(stay))
    return lines
