"""Asking an endpoint."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelgate.aws.errors import translated
from modelgate.errors import Invalid, NotFound
from modelgate_cli.complaints import USAGE, Complaint

if TYPE_CHECKING:
    from modelgate_cli.stack import Stack


@dataclass(frozen=True)
class Answer:
    """What the model answered."""

    endpoint: str
    content_type: str
    body: bytes

    def document(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "content_type": self.content_type,
            "body": self.body.decode(errors="replace"),
        }


def request_body(text: str | None, file: Path | None) -> bytes:
    """The request: given on the command line, in a file, or piped in.

    Raises:
        Complaint: there is none, or two.
    """
    if text is not None and file is not None:
        raise Complaint("--body and --file are both given", "give one of them", USAGE)
    if text is not None:
        return text.encode()
    if file is not None:
        return file.read_bytes()
    if sys.stdin.isatty():
        raise Complaint("there is nothing to ask", "give --body TEXT or --file FILE, or pipe it in", USAGE)
    return sys.stdin.buffer.read()


def invoke(stack: Stack, endpoint: str, body: bytes, content_type: str, accept: str | None) -> Answer:
    """
    Raises:
        ModelFailed: the container answered with an error.
        Complaint: there is no such endpoint.
    """
    accepted: dict[str, Any] = {"Accept": accept} if accept else {}
    try:
        with translated("InvokeEndpoint"):
            answer = stack.runtime.invoke_endpoint(
                EndpointName=endpoint, ContentType=content_type, Body=body, **accepted
            )
            with answer["Body"] as stream:
                content = stream.read()
    except (NotFound, Invalid) as error:
        mend = "modelgate status shows the endpoints, and whether they serve"
        raise Complaint(error.message, mend) from error
    return Answer(endpoint, answer.get("ContentType", ""), content)
