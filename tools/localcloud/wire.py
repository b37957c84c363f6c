"""Requests and answers on the wire, in every protocol of AWS's, by botocore's models."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound

from localcloud.calls import Reply
from localcloud.errors import ServiceError

# Where the name that requests are signed for is not boto3's name of the service.
_SIGNED_AS = {
    "monitoring": "cloudwatch",
    "eventbridge": "events",
    "states": "stepfunctions",
    "email": "ses",
    "tagging": "resourcegroupstaggingapi",
    "elasticfilesystem": "efs",
}


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name; None if it is missing."""
        return next((value for key, value in self.headers.items() if key.lower() == name), None)


@dataclass(frozen=True)
class Understood:
    """A request whose service and operation are known.

    Attributes:
        model: botocore's model of the operation.
        protocol: the protocol that the client speaks with this service.
        params: the request by the model.
    """

    service: str
    model: OperationModel
    protocol: str
    params: Mapping[str, Any]


def service_of(request: Request) -> str:
    """boto3's name of the service that a request is for, by what it is signed for."""
    scope = _credential_scope(request)
    signed = scope[3] if len(scope) > 3 else "s3"
    service = _SIGNED_AS.get(signed, signed)
    if service == "sagemaker" and request.path.startswith("/endpoints/"):
        return "sagemaker-runtime"
    return service


def access_key_of(request: Request) -> str | None:
    """The access key that a request is signed with; None if it is not signed."""
    scope = _credential_scope(request)
    return scope[0] if scope else None


def _credential_scope(request: Request) -> list[str]:
    """Key, date, region, service of a signature, from the header or from a presigned URL."""
    authorization = request.headers.get("Authorization", "")
    if "Credential=" in authorization:
        credential = authorization.split("Credential=", 1)[1].split(",", 1)[0]
    else:
        query = parse_qs(request.query_string.decode())
        credential = query.get("X-Amz-Credential", [""])[0]
    return credential.split("/") if credential else []


@lru_cache(maxsize=64)
def _known(service: str) -> bool:
    from botocore.exceptions import UnknownServiceError

    try:
        get_service_model(service)
    except UnknownServiceError:
        return False
    return True


def understand(request: Request, service: str) -> Understood:
    """Which operation a request is for, and with what parameters.

    Raises:
        ServiceError: there is no such service or operation, or the request cannot be parsed.
    """
    if not _known(service):
        raise ServiceError("UnknownService", f"AWS has no service that is signed for as {service!r}.", 404)
    service_model = get_service_model(service)
    try:
        model, uri_params = get_service_router(service).match(request)
        protocol = determine_request_protocol(service_model, request.content_type)
    except (NotFound, NotImplementedError) as error:
        raise ServiceError("UnknownOperationException", f"{service} has no such operation.", 404) from error
    parser = PROTOCOL_PARSERS[protocol](model)
    try:
        params = parser.parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.get_data(),
                "url_path": request.path,
                "url_params": uri_params,
            }
        )
    except (RequestParserError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ServiceError("SerializationException", f"The request cannot be parsed: {error}") from error
    known = {name: value for name, value in (params or {}).items() if value is not None}
    return Understood(service, model, protocol, known)


def protocol_of(service: str, request: Request) -> str:
    """The protocol in which a client expects its answer, also where the request makes no sense."""
    if not _known(service):
        return "rest-xml"
    try:
        return determine_request_protocol(get_service_model(service), request.content_type)
    except NotImplementedError:
        return get_service_model(service).protocol


def answer(understood: Understood, reply: Reply, request_id: str) -> Response:
    """An answer of the local cloud's own."""
    serializer = get_serializer_class(understood.service, understood.protocol)(
        understood.model, SerializationContext(request_id)
    )
    made = serializer.serialize(dict(reply.members))
    body = made["body"]
    headers = {**made["headers"], "x-amzn-RequestId": request_id}
    payload = body if isinstance(body, bytes) else (body or "").encode()
    return Response(reply.status or made["status_code"], headers, payload)


def refusal(service: str, protocol: str, error: ServiceError, request_id: str) -> Response:
    """An error, as the service would write it."""
    headers = {"x-amzn-RequestId": request_id}
    if protocol in {"query", "ec2"}:
        return _query_error(error, request_id, headers)
    if protocol == "rest-xml":
        more = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in error.fields.items())
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>{more}"
            f"<RequestId>{request_id}</RequestId></Error>"
        )
        return Response(error.status, {**headers, "Content-Type": "application/xml"}, body.encode())
    return _json_error(service, protocol, error, headers)


def _json_error(service: str, protocol: str, error: ServiceError, headers: dict[str, str]) -> Response:
    content = {"message": error.message, **error.fields}
    if service in {"sagemaker-runtime", "lambda"}:
        content["Message"] = content["message"]
    if protocol == "rest-json":
        headers = {**headers, "x-amzn-ErrorType": error.code, "Content-Type": "application/json"}
    else:
        content["__type"] = error.code
        headers = {**headers, "Content-Type": "application/x-amz-json-1.1"}
        if service in {"sqs", "cloudwatch"}:
            headers["x-amzn-query-error"] = f"{error.code};Sender"
    return Response(error.status, headers, json.dumps(content).encode())


def _query_error(error: ServiceError, request_id: str, headers: dict[str, str]) -> Response:
    body = (
        "<ErrorResponse><Error><Type>Sender</Type>"
        f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Response(error.status, {**headers, "Content-Type": "text/xml"}, body.encode())


def quiet_moto() -> None:
    """moto warns, for its own developers, of error codes that a model does not list. AWS uses them."""
    warnings.filterwarnings("ignore", message=r"Exception\(.*\) with code .* does not match", module="moto")
