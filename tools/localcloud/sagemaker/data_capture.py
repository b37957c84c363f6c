"""Data capture: a share of the requests and answers of an endpoint, written to S3.

"Data capture" in the SageMaker Developer Guide has the shape. There several requests share a file whose
name holds the minute and the second; here each has a file of its own.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

from botocore.exceptions import ClientError

from localcloud import calls
from localcloud.calls import Call
from localcloud.sagemaker.fleets import Fleet, LiveVariant
from localcloud.schedule import Scheduler
from localcloud.serving import Answer

Side = Literal["Input", "Output"]


class DataCapture:
    """Writes what the endpoint config asks for, with the rights of the variant's execution role.

    Args:
        client_of: a boto3 client with the rights of a role, by its ARN.
    """

    def __init__(self, scheduler: Scheduler, client_of: Callable[[str, str], Any]) -> None:
        self._scheduler = scheduler
        self._client_of = client_of

    def capture(self, call: Call, content: bytes, fleet: Fleet, variant: LiveVariant, answer: Answer) -> None:
        """Write this request and its answer soon, if it is one of the share."""
        if not fleet.captured.take():
            return
        config = fleet.config.content["DataCaptureConfig"]
        name, number, now = call.params["EndpointName"], str(uuid.uuid4()), calls.now()
        sides: dict[Side, Any] = {
            "Input": _captured(config, "Input", content, call.params.get("ContentType", "")),
            "Output": _captured(config, "Output", answer.body, answer.content_type),
        }
        wanted = {option["CaptureMode"] for option in config["CaptureOptions"]}
        metadata = {
            "eventId": number,
            **({"inferenceId": call.params["InferenceId"]} if call.params.get("InferenceId") else {}),
            "inferenceTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        line = {
            "captureData": {
                f"endpoint{side}": data for side, data in sides.items() if {side, "InputAndOutput"} & wanted
            },
            "eventMetadata": metadata,
            "eventVersion": "0",
        }
        folder = f"{config['DestinationS3Uri'].rstrip('/')}/{name}/{variant.name}"
        url = f"{folder}/{now:%Y/%m/%d/%H}/{number}.jsonl"
        label = f"endpoint {name}: captured data"
        self._scheduler.after(0, label, lambda: self._write(variant.role, url, line))

    def _write(self, role: str, url: str, line: Mapping[str, Any]) -> None:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        # A role that may not write captures nothing, and the endpoint serves on.
        with suppress(ClientError):
            self._client_of(role, "s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(line) + "\n")


def _captured(config: Mapping[str, Any], side: Side, content: bytes, content_type: str) -> dict[str, str]:
    """One side of a request. In base64, unless the config says that the type is CSV or JSON."""
    kinds = config.get("CaptureContentTypeHeader") or {}
    media_type = content_type.partition(";")[0].strip()
    encoding = "BASE64"
    if media_type in kinds.get("CsvContentTypes", []):
        encoding = "CSV"
    elif media_type in kinds.get("JsonContentTypes", []):
        encoding = "JSON"
    data = base64.b64encode(content).decode() if encoding == "BASE64" else content.decode(errors="replace")
    return {"observedContentType": content_type, "mode": side.upper(), "data": data, "encoding": encoding}
