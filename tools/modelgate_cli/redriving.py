"""Sending dead letters again: events that never reached their function, and those that it failed on.

What Lambda and EventBridge put into the queues: "Capturing records of Lambda asynchronous invocations" in
the AWS Lambda Developer Guide, "Using dead-letter queues to process undelivered events" in the Amazon
EventBridge User Guide.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.text import Text

from modelgate.aws.errors import translated
from modelgate.errors import AwsError
from modelgate_cli.complaints import Complaint
from modelgate_cli.screen import table
from modelgate_cli.timeline import news_of

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef
    from rich.console import RenderableType

    from modelgate_cli.screen import ProgressLine, Screen
    from modelgate_cli.stack import Stack

Queue = Literal["undelivered", "failed"]
# By queue, the stack's output that names it.
OUTPUTS: Mapping[Queue, str] = {
    "undelivered": "UndeliveredEventsQueue",
    "failed": "FailedInvocationsQueue",
}
_A_BATCH = 10
# Nobody else gets what is being worked on; what stays is let go at the end, not after this time.
_HIDDEN_SECONDS = 300
# Asks all of SQS's servers: without a wait, some that hold messages may not be asked.
_WAIT_SECONDS = 1
_UNKNOWN = "–"


@dataclass(frozen=True)
class Letter:
    """An event that waits in a dead-letter queue.

    Attributes:
        what: its detail-type.
        about: what it tells.
        error: why it is here.
        target: the ARN of what it was meant for.
        content: what is sent there, as JSON.
    """

    what: str
    about: str
    error: str
    target: str
    content: str


@dataclass(frozen=True)
class Handled:
    """A message, and what became of it.

    Attributes:
        outcome: ``sent``, ``to be sent`` in a dry run, or ``left``.
        why: why it is left.
    """

    queue: Queue
    message: str
    what: str
    about: str
    error: str
    target: str
    outcome: str
    why: str = ""


@dataclass(frozen=True)
class Redriven:
    """What became of all of them."""

    sent: int
    to_be_sent: int
    left: int
    messages: tuple[Handled, ...]


class _Unsendable(Exception):
    """A message that stays in its queue; says why."""


def redrive(
    stack: Stack, queues: tuple[Queue, ...], progress: ProgressLine, *, dry_run: bool, limit: int | None
) -> Redriven:
    """Sends what waits in the queues to where it was meant to go. Each message is deleted after it was sent.

    What fails again comes back into its queue; it is sent once only.

    Args:
        dry_run: looks only.
        limit: looks at so many messages at most.
    """
    handled: list[Handled] = []
    sent: set[tuple[str, str]] = set()
    for queue in queues:
        left = None if limit is None else limit - len(handled)
        with_queue = _Redrive(stack, queue, sent, dry_run=dry_run)
        for each in with_queue.run(left):
            handled.append(each)
            progress.show(f"dead letter {len(handled)}: {each.what}: {each.about}: {each.outcome}")
    outcomes = [each.outcome for each in handled]
    return Redriven(
        outcomes.count("sent"), outcomes.count("to be sent"), outcomes.count("left"), tuple(handled)
    )


class _Redrive:
    """The work on one queue.

    Args:
        sent: the targets and contents that were sent already; shared by all queues.
    """

    def __init__(self, stack: Stack, queue: Queue, sent: set[tuple[str, str]], *, dry_run: bool) -> None:
        self._stack = stack
        self._queue = queue
        self._sent = sent
        self._dry_run = dry_run
        self._url = stack.output(OUTPUTS[queue])

    def run(self, limit: int | None) -> Iterator[Handled]:
        kept: list[str] = []
        try:
            for message in self._messages(limit):
                handled = self._handle(message)
                if handled.outcome == "sent":
                    self._delete(message)
                else:
                    kept.append(message["ReceiptHandle"])
                yield handled
        finally:
            self._let_go(kept)

    def _messages(self, limit: int | None) -> Iterator[MessageTypeDef]:
        seen: set[str] = set()
        while limit is None or len(seen) < limit:
            wanted = _A_BATCH if limit is None else min(_A_BATCH, limit - len(seen))
            with translated("ReceiveMessage"):
                answer = self._stack.queues.receive_message(
                    QueueUrl=self._url,
                    MaxNumberOfMessages=wanted,
                    MessageAttributeNames=["All"],
                    VisibilityTimeout=_HIDDEN_SECONDS,
                    WaitTimeSeconds=_WAIT_SECONDS,
                )
            fresh = [each for each in answer.get("Messages", []) if each["MessageId"] not in seen]
            if not fresh:
                return
            seen |= {each["MessageId"] for each in fresh}
            yield from fresh

    def _handle(self, message: MessageTypeDef) -> Handled:
        letter = Letter(_UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, "")
        outcome, why = "to be sent" if self._dry_run else "sent", ""
        try:
            letter = READERS[self._queue](message)
            send = self._way_to(letter)
            if not self._dry_run:
                send()
                self._sent.add((letter.target, letter.content))
        except _Unsendable as unsendable:
            outcome, why = "left", str(unsendable)
        except AwsError as error:
            outcome, why = "left", f"AWS says no to {error.operation}: {error.code}: {error.message}"
        return Handled(
            self._queue,
            message["MessageId"],
            letter.what,
            letter.about,
            letter.error,
            letter.target,
            outcome,
            " ".join(why.split()),
        )

    def _way_to(self, letter: Letter) -> Callable[[], None]:
        if (letter.target, letter.content) in self._sent:
            raise _Unsendable("it was sent just now, and is here again: the log of its target says why")
        ways = {"lambda": self._invoke, "sns": self._publish}
        service = letter.target.split(":")[2] if letter.target.count(":") >= 5 else ""
        if service not in ways:
            raise _Unsendable("neither a function nor a topic was its target, so it is not sent from here")
        return lambda: ways[service](letter)

    def _invoke(self, letter: Letter) -> None:
        with translated("lambda:InvokeFunction"):
            self._stack.functions.invoke(
                FunctionName=letter.target, InvocationType="Event", Payload=letter.content.encode()
            )

    def _publish(self, letter: Letter) -> None:
        with translated("sns:Publish"):
            self._stack.topics.publish(TopicArn=letter.target, Message=letter.content)

    def _delete(self, message: MessageTypeDef) -> None:
        with translated("DeleteMessage"):
            self._stack.queues.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])

    def _let_go(self, receipts: list[str]) -> None:
        """Whoever looks next sees what stays at once."""
        for first in range(0, len(receipts), _A_BATCH):
            batch = receipts[first : first + _A_BATCH]
            with translated("ChangeMessageVisibilityBatch"):
                self._stack.queues.change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                        for number, receipt in enumerate(batch)
                    ],
                )


# ── reading ───────────────────────────────────────────────────────────────────────────────────────
def failed_invocation(message: MessageTypeDef) -> Letter:
    """What Lambda writes of an event that a function failed on to the last retry.

    Raises:
        _Unsendable: it is none.
    """
    record = _json(message)
    context = record.get("requestContext")
    target = context.get("functionArn") if isinstance(context, Mapping) else None
    if not isinstance(target, str) or "requestPayload" not in record:
        raise _Unsendable("it is no record of a failed invocation: it names no function, or no event")
    answer = record.get("responsePayload")
    said = answer if isinstance(answer, Mapping) else {}
    told = [str(said[key]) for key in ("errorType", "errorMessage") if said.get(key)]
    error = ": ".join(told) or str(context.get("condition", _UNKNOWN) if context else _UNKNOWN)
    return _letter(record["requestPayload"], error, target)


def undelivered_event(message: MessageTypeDef) -> Letter:
    """What EventBridge writes of an event that it could not hand to its target.

    Raises:
        _Unsendable: it is none.
    """
    event = _json(message)
    attributes = {
        name: str(value.get("StringValue", ""))
        for name, value in message.get("MessageAttributes", {}).items()
    }
    if not attributes.get("TARGET_ARN"):
        raise _Unsendable("it is no event of EventBridge's: it names no target (TARGET_ARN)")
    told = [attributes[name] for name in ("ERROR_CODE", "ERROR_MESSAGE") if attributes.get(name)]
    return _letter(event, ": ".join(told) or _UNKNOWN, attributes["TARGET_ARN"])


READERS: Mapping[Queue, Callable[[MessageTypeDef], Letter]] = {
    "undelivered": undelivered_event,
    "failed": failed_invocation,
}


def _json(message: MessageTypeDef) -> dict[str, Any]:
    try:
        content = json.loads(message.get("Body", ""))
    except ValueError as error:
        raise _Unsendable(f"it is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise _Unsendable("it is no JSON object")
    return content


def _letter(event: Any, error: str, target: str) -> Letter:
    what = str(event.get("detail-type", _UNKNOWN)) if isinstance(event, Mapping) else _UNKNOWN
    return Letter(what, _about(event), " ".join(error.split()), target, json.dumps(event))


def _about(event: Any) -> str:
    try:
        return news_of(event)
    except (KeyError, TypeError, AttributeError):
        return _UNKNOWN  # a shape that none of AWS's events has; its target will say more


# ── words ─────────────────────────────────────────────────────────────────────────────────────────
def show(redriven: Redriven, screen: Screen) -> None:
    """
    Raises:
        Complaint: something stays in its queue, though it was to be sent.
    """
    left = [each for each in redriven.messages if each.outcome == "left"]
    if not left or not screen.as_json:
        screen.result(asdict(redriven), *shown(redriven))
    if left:
        found = f"{len(left)} of {len(redriven.messages)} dead letters stay in their queues: {left[0].why}"
        mend = "mend what it names, and redrive again; what is of no use any more can be deleted in SQS"
        raise Complaint(found, mend, facts=asdict(redriven))


def shown(redriven: Redriven) -> list[RenderableType]:
    if not redriven.messages:
        return [Text("There is no dead letter.")]
    letters = table("queue", "event", "about", "error", "meant for", "outcome")
    for each in redriven.messages:
        outcome = f"{each.outcome}: {each.why}" if each.why else each.outcome
        target = each.target.split(":", 5)[-1]
        letters.add_row(each.queue, each.what, each.about, each.error, target, outcome)
    counts = {"sent": redriven.sent, "to be sent": redriven.to_be_sent, "left": redriven.left}
    return [letters, Text(f"{', '.join(f'{count} {word}' for word, count in counts.items() if count)}.")]
