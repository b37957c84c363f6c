"""`modelgate local up`: the local cloud in the foreground, until it is interrupted."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from rich.text import Text

from modelgate_cli.complaints import NO, TROUBLE, USAGE, Complaint
from modelgate_cli.timeline import line_of_event, line_of_invocation

if TYPE_CHECKING:
    from localcloud import LocalCloud
    from modelgate_cli.screen import Screen

_WHAT_IT_IS = (
    "This is AWS on this machine, built from {template}: S3, EventBridge, Lambda, SQS, SNS, DynamoDB "
    "and the rest of the stack behind one address, the real functions, and a SageMaker that takes its "
    "time, sends its events, and serves the models that are deployed."
)
_WHAT_IT_IS_NOT = (
    "It is not AWS: prebuilt containers are stood in for by processes of this machine with the frameworks "
    "that are installed here, quotas and prices do not exist, and all is forgotten when it ends."
)


def run(
    screen: Screen,
    template: Path,
    *,
    port: int,
    region: str,
    stack: str,
    handlers: Literal["process", "sam"] = "process",
) -> None:
    """Runs the local cloud until SIGINT or SIGTERM.

    Args:
        handlers: where the functions run; "sam" is the containers of `sam local start-lambda`.

    Raises:
        Complaint: it cannot start.
    """
    _check(template, port)
    try:
        from localcloud import LocalCloud, LocalCloudError, Pace, TemplateError
    except ImportError as error:
        found = f"the local cloud is not installed ({error})"
        raise Complaint(found, "install what it needs: pip install 'modelgate[local]'") from error
    lines: SimpleQueue[Text | None] = SimpleQueue()
    cloud = LocalCloud(
        template, port=port, region=region, stack_name=stack, pace=Pace.human(), handlers=handlers
    )
    cloud.on_event(lambda event, _bus: lines.put(_at_its_time(line_of_event(event))))
    cloud.on_invocation(lambda invocation: lines.put(_at_its_time(line_of_invocation(invocation))))
    with _until_interrupted(lines):
        try:
            with cloud:
                _introduce(screen, cloud, template)
                while (line := lines.get()) is not None:
                    screen.err.print(line, soft_wrap=True)
                screen.say("The local cloud ends.")
        except TemplateError as error:
            raise Complaint(str(error), "mend the template, or report what is missing", TROUBLE) from error
        except LocalCloudError as error:
            mend = "see to that, or leave --lambda sam out" if handlers == "sam" else "see to that"
            raise Complaint(str(error), mend, TROUBLE) from error


def exports(environment: Mapping[str, str]) -> list[str]:
    """The lines to paste into a shell."""
    return [f"export {name}={value}" for name, value in environment.items()]


def _check(template: Path, port: int) -> None:
    if not template.is_file():
        found = f"there is no template {template} here"
        raise Complaint(found, "go to the repository's folder, or name it with --template", USAGE)
    with socket.socket() as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise Complaint(
                f"port {port} is not for everybody", "choose one above 1023: --port 4567", USAGE
            ) from error
        except OSError as error:
            mend = f"end what listens there (another local cloud?), or choose another: --port {port + 1}"
            raise Complaint(f"port {port} is taken", mend, NO) from error


@contextmanager
def _until_interrupted(lines: SimpleQueue[Text | None]) -> Iterator[None]:
    """Within the block, SIGINT and SIGTERM put the end behind the lines."""

    def end(_number: int, _frame: FrameType | None) -> None:
        lines.put(None)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _introduce(screen: Screen, cloud: LocalCloud, template: Path) -> None:
    environment = cloud.environment()
    outputs = dict(cloud.outputs)
    document: dict[str, Any] = {
        "url": cloud.url,
        "stack": cloud.stack_name,
        "environment": environment,
        "outputs": outputs,
    }
    screen.result(
        document,
        Text(_WHAT_IT_IS.format(template=template)),
        Text(_WHAT_IT_IS_NOT),
        Text("\nPaste this where the AWS CLI, boto3 or modelgate are to use it:\n", "bold"),
        Text("\n".join(exports(environment)), no_wrap=True, overflow="ignore"),
        Text("\nThe stack's outputs:\n", "bold"),
        Text(
            "\n".join(f"{name:<24} {value}" for name, value in outputs.items()),
            no_wrap=True,
            overflow="ignore",
        ),
        Text("\nWhat happens (Ctrl-C ends it):\n", "bold"),
    )
    screen.out.file.flush()


def _at_its_time(line: Text) -> Text:
    return Text.assemble((f"{datetime.now().astimezone():%H:%M:%S.%f}"[:-3], "dim"), " ", line)
