"""What people are told when something goes wrong: what was found, how to mend it, and the exit code.

0  done
1  refused, failed, or not there: the answer is no
2  the command line was wrong
3  AWS, the way to it, or the time that was given stood in the way: trying again can help
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from modelgate.aws.errors import translated
from modelgate.errors import AwsError, Forbidden, ModelFailed, Problem, Refused, Throttled, TimedOut

NO = 1
USAGE = 2
TROUBLE = 3
INTERRUPTED = 130


@dataclass
class Complaint(Exception):
    """An answer that is no success.

    Attributes:
        error: what was found, in one line.
        mend: what can be done about it, in one line.
        code: the exit code.
        facts: what else belongs into the JSON document.
        problems: each thing that is wrong, where there are several.
    """

    error: str
    mend: str
    code: int = NO
    facts: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def __str__(self) -> str:
        return f"{self.error}; {self.mend}"

    def document(self) -> dict[str, Any]:
        problems = [{"where": each.where, "found": each.found, "mend": each.mend} for each in self.problems]
        return {
            "error": self.error,
            "mend": self.mend,
            **({"problems": problems} if problems else {}),
            **self.facts,
        }


FORESEEABLE = (Complaint, Refused, AwsError, BotoCoreError, ClientError, OSError)

_SIGN_IN = "sign in (aws sso login, or aws configure), or name a profile with --profile"
_EXPIRED = "sign in again (aws sso login), or export fresh credentials"
# botocore's own errors by their class, and AWS's by their code.
_BY_CODE: Mapping[str, tuple[str, str]] = {
    "NoCredentialsError": ("no AWS credentials were found", _SIGN_IN),
    "PartialCredentialsError": ("the AWS credentials are incomplete", _SIGN_IN),
    "NoRegionError": ("no AWS region is chosen", "name one with --region, or export AWS_REGION"),
    "ProfileNotFound": ("", "aws configure list-profiles shows those that there are"),
    "EndpointConnectionError": ("", "see whether the network is up, and AWS_ENDPOINT_URL is right"),
    "InvalidRegionError": ("", "name one with --region such as eu-central-1"),
    "ExpiredToken": ("the AWS credentials have expired", _EXPIRED),
    "ExpiredTokenException": ("the AWS credentials have expired", _EXPIRED),
    "RequestExpired": ("the AWS credentials have expired", _EXPIRED),
    "TokenRetrievalError": ("the AWS sign-in has expired", _EXPIRED),
    "UnauthorizedSSOTokenError": ("the AWS sign-in has expired", _EXPIRED),
    "SSOTokenLoadError": ("the AWS sign-in has expired", _EXPIRED),
    "InvalidClientTokenId": ("AWS does not know these credentials", _SIGN_IN),
    "UnrecognizedClientException": ("AWS does not know these credentials", _SIGN_IN),
    "InvalidAccessKeyId": ("AWS does not know these credentials", _SIGN_IN),
    "SignatureDoesNotMatch": ("AWS does not accept these credentials", _SIGN_IN),
}


def complaint_about(error: BaseException) -> Complaint:
    """What to tell people about one of the `FORESEEABLE`."""
    if isinstance(error, Complaint):
        return error
    if isinstance(error, Refused):
        return refusal(error)
    if isinstance(error, AwsError):
        return _about_aws(error)
    if isinstance(error, BotoCoreError | ClientError):
        return _about_aws(_as_aws_error(error))
    if isinstance(error, OSError) and error.filename is not None:
        return Complaint(f"{error.filename}: {error.strerror}", "mend that, and try again")
    return Complaint(_one_line(str(error)) or type(error).__name__, "mend that, and try again")


def refusal(refused: Refused, **facts: object) -> Complaint:
    """What is wrong with a document or an artifact, all of it."""
    first, *others = refused.problems
    more = f" (and {len(others)} more)" if others else ""
    return Complaint(
        f"{first.where}: {_one_line(first.found)}{more}", _one_line(first.mend), NO, facts, refused.problems
    )


def _about_aws(error: AwsError) -> Complaint:
    message = _one_line(error.message)
    if error.code in _BY_CODE:
        found, mend = _BY_CODE[error.code]
        return Complaint(found or message, mend, TROUBLE)
    if isinstance(error, ModelFailed):
        return Complaint(f"the model answered with an error: {error.message}", _SEE_LOG)
    told = f"AWS says no to {error.operation}: {error.code}: {message}"
    if isinstance(error, Forbidden):
        return Complaint(told, f"ask for the permission to call {error.operation}", TROUBLE)
    if isinstance(error, Throttled | TimedOut):
        return Complaint(told, "try again in a moment", TROUBLE)
    return Complaint(told, "mend what it names, and try again", TROUBLE)


_SEE_LOG = (
    "send what the model takes; the container's log in CloudWatch (/aws/sagemaker/Endpoints/…) has more"
)


def _as_aws_error(error: BotoCoreError | ClientError) -> AwsError:
    operation = error.operation_name if isinstance(error, ClientError) else "AWS"
    try:
        with translated(operation):
            raise error
    except AwsError as said:
        return said


def _one_line(text: str) -> str:
    return " ".join(text.split())
