"""How many calls to AWS a deployment takes: the real handlers, on the local cloud, under a bare policy."""

from __future__ import annotations

import importlib
import io
import tarfile
from contextlib import redirect_stdout
from typing import Any

from bench import ROOT
from localcloud import LocalCloud
from modelgate.runtime import Runtime, running_in

GROUP = "iris"
SCRIPT = b"""
def model_fn(model_dir):
    return "setosa"

def input_fn(body, content_type):
    return body

def predict_fn(data, model):
    return model

def output_fn(prediction, accept):
    return prediction
"""
MANIFEST = b"""
container: {framework: sklearn, version: 1.4-2}
metrics: {accuracy: 0.95}
content_types: [text/csv]
response_types: [text/csv]
smoke_test: {content_type: text/csv, body: "5.1,3.5,1.4,0.2", expect: setosa}
"""


class _Counting:
    """A session whose clients note every call that is made."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.made: list[str] = []

    def client(self, service: str, **more: Any) -> Any:
        client = self._session.client(service, **more)
        client.meta.events.register("before-call", lambda model, **_: self.made.append(model.name))
        return client


def measure() -> dict[str, object]:
    """How many there are, and which."""
    made = calls()
    return {**{event: len(names) for event, names in made.items()}, "made": made}


def calls() -> dict[str, list[str]]:
    """What is called for the approval that starts an update, the event that ends it, and one for nothing."""
    with LocalCloud(ROOT / "template.yaml") as cloud:
        s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
        bucket = cloud.outputs["Bucket"]
        s3.put_object(Bucket=bucket, Key=f"policies/{GROUP}.yaml", Body=b"{}")
        cloud.settle()
        for number in (1, 2):
            for file, body in (("model.tar.gz", _artifact()), ("manifest.yaml", MANIFEST)):
                s3.put_object(Bucket=bucket, Key=f"models/{GROUP}/run-{number}/{file}", Body=body)
        cloud.settle()
        arns = [
            each["ModelPackageArn"]
            for each in sagemaker.list_model_packages(ModelPackageGroupName=GROUP, SortOrder="Ascending")[
                "ModelPackageSummaryList"
            ]
        ]
        sagemaker.update_model_package(ModelPackageArn=arns[0], ModelApprovalStatus="Approved")
        cloud.settle()
        # From here on this process is the only one that handles what AWS tells.
        cloud.faults.hold(lambda delivery: delivery.event["source"] == "aws.sagemaker")
        sagemaker.update_model_package(ModelPackageArn=arns[1], ModelApprovalStatus="Approved")
        approval = _handled(cloud, "ApprovalChanged", "approval_changed", _newest(cloud, "Model Package"))
        cloud.settle()
        arrived = _newest(cloud, "Endpoint State")
        in_service = _handled(cloud, "EndpointChanged", "endpoint_changed", arrived)
        duplicate = _handled(cloud, "EndpointChanged", "endpoint_changed", arrived)
        return {"approval": approval, "in_service": in_service, "duplicate": duplicate}


def _artifact() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("code/inference.py")
        info.size = len(SCRIPT)
        tar.addfile(info, io.BytesIO(SCRIPT))
        info = tarfile.TarInfo("model.txt")
        tar.addfile(info, io.BytesIO())
    return packed.getvalue()


def _newest(cloud: LocalCloud, about: str) -> Any:
    return next(each for each in reversed(cloud.events_seen) if about in each["detail-type"])


def _handled(cloud: LocalCloud, function: str, module: str, event: Any) -> list[str]:
    """The calls that the function's handler makes for the event."""
    session: Any = _Counting(cloud.session())
    handler = importlib.import_module(f"functions.{module}.app").handler
    environ = {**cloud.function(function).environment, "POWERTOOLS_LOG_LEVEL": "CRITICAL"}
    # What the handler writes of itself is not what is measured.
    with running_in(Runtime(environ, session)), redirect_stdout(io.StringIO()):
        handler(dict(event), _Context())
    made: list[str] = session.made
    return made


class _Context:
    aws_request_id = "bench"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 60_000
