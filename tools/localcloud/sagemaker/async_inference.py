"""InvokeEndpointAsync: accepted at once, answered into S3 later.

"Asynchronous inference" in the SageMaker Developer Guide. Where S3OutputPathExtension and Filename go in the
key is documented in words only, and what becomes of an extension that a Filename has already is not: here
``.out`` is always added. The name of a failure's object is as examples of AWS's show it.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from localcloud import calls
from localcloud.calls import Call, Operation, Reply
from localcloud.errors import ServiceError
from localcloud.pace import Pace
from localcloud.sagemaker.fleets import Fleet
from localcloud.sagemaker.invocations import Containers, headers_of, payload
from localcloud.schedule import Scheduler
from localcloud.serving import Answer

_ACCEPTED = 202


@dataclass(frozen=True)
class Job:
    """A request that was accepted.

    Attributes:
        output, failure: the URLs of the objects that one of is written; a config may have no failure path.
        content: the request's own body; None if it lies in S3.
    """

    call: Call
    endpoint: str
    number: str
    received: dt.datetime
    output: str
    failure: str | None
    content: bytes | None


class AsyncInference:
    """The asynchronous part of the SageMaker Runtime.

    Args:
        client_of: a boto3 client with the rights of a role, by its ARN.
    """

    def __init__(
        self,
        *,
        containers: Containers,
        scheduler: Scheduler,
        pace: Pace,
        client_of: Callable[[str, str], Any],
    ) -> None:
        self._containers = containers
        self._scheduler = scheduler
        self._pace = pace
        self._client_of = client_of

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {"InvokeEndpointAsync": self._invoke}

    def _invoke(self, call: Call) -> Reply:
        name = call.params["EndpointName"]
        fleet = self._containers.serving(name)
        if not fleet.is_asynchronous:
            raise ServiceError("ValidationError", f"Endpoint {name} is not an asynchronous endpoint.")
        body = payload(call)
        if bool(body) == bool(call.params.get("InputLocation")):
            raise ServiceError("ValidationError", "Exactly one of Body and InputLocation must be provided.")
        number = call.params.get("InferenceId") or str(uuid.uuid4())
        paths = fleet.config.content["AsyncInferenceConfig"]["OutputConfig"]
        if not paths.get("S3OutputPath"):
            raise ServiceError("ValidationError", f"Endpoint {name} has no S3OutputPath.")
        extension = call.params.get("S3OutputPathExtension", "").strip("/")
        folder = "/".join(part for part in (paths["S3OutputPath"].rstrip("/"), extension) if part)
        failures = paths.get("S3FailurePath")
        job = Job(
            call=call,
            endpoint=name,
            number=number,
            received=calls.now(),
            output=f"{folder}/{call.params.get('Filename') or number}.out",
            failure=f"{failures.rstrip('/')}/{number}-error.out" if failures else None,
            content=body or None,
        )
        label = f"endpoint {name}: asynchronous inference {number}"
        self._scheduler.after(self._pace.asynchronous, label, lambda: self._carry_out(job))
        told = {"InferenceId": number, "OutputLocation": job.output}
        return Reply(told | ({"FailureLocation": job.failure} if job.failure else {}), _ACCEPTED)

    def _carry_out(self, job: Job) -> None:
        try:
            fleet = self._containers.serving(job.endpoint)
        except ServiceError:
            return  # the endpoint is gone, and its queue with it
        role = next(iter(fleet.variants.values())).role
        try:
            content = job.content if job.content is not None else self._input(job, role)
            limit = job.call.params.get("InvocationTimeoutSeconds")
            answered = self._containers.ask(
                job.endpoint,
                fleet,
                content,
                headers_of(job.call),
                limit=float(limit) if limit is not None else None,
            )
            role = answered.variant.role
            self._write(role, job.output, answered.answer.body, answered.answer.content_type)
        except (ServiceError, ClientError) as error:
            self._failed(job, fleet, role, error)
            return
        self._notify(job, fleet, role, "SuccessTopic", _success(job, answered.answer))

    def _input(self, job: Job, role: str) -> bytes:
        bucket, key = _place(job.call.params["InputLocation"])
        return bytes(self._client_of(role, "s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    def _failed(self, job: Job, fleet: Fleet, role: str, error: ServiceError | ClientError) -> None:
        reason = f"ClientError: {error.message if isinstance(error, ServiceError) else error}"
        if job.failure is not None:
            told = error.fields.get("OriginalMessage") if isinstance(error, ServiceError) else None
            # A role that may not write there leaves the notification alone to tell of it.
            with suppress(ClientError):
                self._write(role, job.failure, str(told or reason).encode(), "text/plain")
        self._notify(job, fleet, role, "ErrorTopic", _failure(job, reason))

    def _write(self, role: str, url: str, content: bytes, content_type: str) -> None:
        bucket, key = _place(url)
        self._client_of(role, "s3").put_object(
            Bucket=bucket, Key=key, Body=content, ContentType=content_type or "application/octet-stream"
        )

    def _notify(self, job: Job, fleet: Fleet, role: str, which: str, message: dict[str, Any]) -> None:
        output = fleet.config.content["AsyncInferenceConfig"]["OutputConfig"]
        topic = (output.get("NotificationConfig") or {}).get(which)
        if topic is None:
            return
        message = {"awsRegion": job.call.region, **message}
        # Who may not publish does not notify; the objects are there all the same.
        with suppress(ClientError):
            self._client_of(role, "sns").publish(TopicArn=topic, Message=json.dumps(message))


def _place(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def _success(job: Job, answer: Answer) -> dict[str, Any]:
    response = {"contentType": answer.content_type, "outputLocation": job.output}
    return _message(job, "Completed", {"responseParameters": response})


def _failure(job: Job, reason: str) -> dict[str, Any]:
    return _message(job, "Failed", {"failureReason": reason})


def _message(job: Job, status: str, more: Mapping[str, Any]) -> dict[str, Any]:
    params = job.call.params
    members = {"accept": "Accept", "contentType": "ContentType", "inputLocation": "InputLocation"}
    request = {name: params[member] for name, member in members.items() if params.get(member)}
    return {
        "eventTime": _written(calls.now()),
        "receivedTime": _written(job.received),
        "invocationStatus": status,
        "requestParameters": {**request, "endpointName": job.endpoint},
        **more,
        "inferenceId": job.number,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def _written(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
