"""The one endpoint: every request is identified, validated, authorized, met by its faults, and answered."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Any

from moto.moto_server.werkzeug_app import BackendRequest

from localcloud import constraints, wire
from localcloud.access import AccessControl
from localcloud.alarms import Alarms
from localcloud.autoscaling import Autoscaling
from localcloud.bucket_policies import BucketPolicies
from localcloud.calls import Call, Operation, Reply
from localcloud.credentials import Identities
from localcloud.errors import ServiceError
from localcloud.faults import Faults
from localcloud.moto_state import MotoState
from localcloud.s3_events import S3Events
from localcloud.s3_objects import S3Objects
from localcloud.wire import Response, Understood

# Services of which every operation that is not listed is refused, rather than left to moto's idea of it.
_OURS_ALONE = frozenset({"sagemaker", "sagemaker-runtime", "lambda", "cloudformation", "codebuild"})
_QUERY_VALIDATION = frozenset({"query", "ec2"})


@dataclass(frozen=True)
class Backend:
    """What stands behind the endpoint.

    Attributes:
        operations: the operations of our own, by service.
    """

    moto: MotoState
    operations: Mapping[str, Mapping[str, Operation]]
    access: AccessControl
    bucket_policies: BucketPolicies
    s3_objects: S3Objects
    s3_events: S3Events
    autoscaling: Autoscaling
    alarms: Alarms


class Front:
    """A WSGI application. Requests that come before ``open`` are told that there is nothing yet."""

    def __init__(self, region: str, identities: Identities, faults: Faults) -> None:
        self._region = region
        self._identities = identities
        self._faults = faults
        self._backend: Backend | None = None

    def open(self, backend: Backend) -> None:
        """Answer from now on."""
        self._backend = backend

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
    ) -> Iterable[bytes]:
        response = self._answer(environ)
        phrase = HTTPStatus(response.status).phrase
        start_response(f"{response.status} {phrase}", list(response.headers.items()))
        return [response.body]

    def _answer(self, environ: dict[str, Any]) -> Response:
        request = BackendRequest(environ)
        request.get_data(cache=True)
        request_id = str(uuid.uuid4())
        service = wire.service_of(request)
        backend = self._backend
        if backend is None:
            error = ServiceError("ServiceUnavailable", "The local cloud is starting.", 503)
            return wire.refusal(service, wire.protocol_of(service, request), error, request_id)
        try:
            understood = wire.understand(request, service)
            call = self._call(request, understood, request_id)
            _validate(understood)
            return self._carry_out(backend, request, call, understood)
        except ServiceError as error:
            return wire.refusal(service, wire.protocol_of(service, request), error, request_id)

    def _call(self, request: BackendRequest, understood: Understood, request_id: str) -> Call:
        return Call(
            service=understood.service,
            operation=understood.model.name,
            params=understood.params,
            caller=self._identities.caller(wire.access_key_of(request)),
            region=self._region,
            request_id=request_id,
            source_ip=request.remote_addr or "127.0.0.1",
        )

    def _carry_out(
        self, backend: Backend, request: BackendRequest, call: Call, understood: Understood
    ) -> Response:
        backend.access.check(call)
        if call.service == "s3":
            backend.bucket_policies.check(call)
        if call.service == "application-autoscaling":
            backend.autoscaling.check(call)
        if not call.caller.is_aws:
            self._faults.before(call)
        operation = backend.operations.get(call.service, {}).get(call.operation)
        if operation is not None:
            response = wire.answer(understood, operation(call), call.request_id)
        elif call.service in _OURS_ALONE:
            raise ServiceError("NotImplemented", f"{call.name} is not simulated in the local cloud.", 501)
        else:
            response = _from_moto(backend, request, call)
        if not call.caller.is_aws:
            self._faults.after(call)
        return response


def _from_moto(backend: Backend, request: BackendRequest, call: Call) -> Response:
    environ = dict(request.environ)
    environ["wsgi.input"] = BytesIO(request.get_data())
    environ.pop("werkzeug.request", None)
    if call.service == "s3":
        response = backend.s3_objects.answer(call, environ)
        if response.status == HTTPStatus.NOT_FOUND and call.operation in {"GetObject", "HeadObject"}:
            backend.access.hide_missing_object(call, str(call.params["Bucket"]))
        backend.s3_events.after(call, response)
        return response
    with backend.alarms.around(call) if call.service == "cloudwatch" else nullcontext():
        response = backend.moto.answer(call.service, environ)
    if call.service == "application-autoscaling":
        backend.autoscaling.after(call, response)
    return response


def _validate(understood: Understood) -> None:
    """Refuse what AWS refuses for its form alone.

    Raises:
        ServiceError: the request does not fit the service's model.
    """
    shape = understood.model.input_shape
    if shape is None:
        return
    wrong = constraints.wrong_type(shape, understood.params)
    if wrong is not None:
        raise ServiceError("SerializationException", wrong)
    found = constraints.violations(shape, understood.params)
    if not found:
        return
    message = constraints.message(found)
    if understood.service == "s3":
        raise ServiceError("InvalidArgument", message)
    if understood.service == "sagemaker-runtime" or understood.protocol in _QUERY_VALIDATION:
        raise ServiceError("ValidationError", message)
    raise ServiceError("ValidationException", message)


def caller_identity(call: Call) -> Reply:
    """sts:GetCallerIdentity."""
    return Reply(
        {
            "Account": call.caller.arn.split(":")[4],
            "Arn": call.caller.arn,
            "UserId": call.caller.arn.split(":")[-1],
        }
    )
