"""One deployment on the local cloud, of which this process handles the events itself."""

from __future__ import annotations

import importlib
import io
import tarfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from bench import ROOT
from bench.replay import Context
from localcloud import LocalCloud
from modelgate.runtime import Runtime, running_in

S = TypeVar("S")

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


@dataclass(frozen=True)
class Handled(Generic[S]):
    """One event that a handler was given.

    Attributes:
        function: the folder of the function.
        environment: the function's environment variables.
        moment: the time, which stood still meanwhile.
        session: what its clients came from.
    """

    function: str
    event: dict[str, Any]
    environment: dict[str, str]
    moment: datetime
    session: S


def deployment(session_of: Callable[[Any], S]) -> dict[str, Handled[S]]:
    """The approval that starts an update, the event that ends it, and that event once more.

    The policy is a bare one, and the group has a version that serves already.

    Args:
        session_of: makes the session of a handler of a boto3 session.
    """
    with LocalCloud(ROOT / "template.yaml") as cloud:
        arns = _two_versions(cloud)
        sagemaker = cloud.client("sagemaker")
        sagemaker.update_model_package(ModelPackageArn=arns[0], ModelApprovalStatus="Approved")
        cloud.settle()
        # From here on this process is the only one that handles what AWS tells.
        cloud.faults.hold(lambda delivery: delivery.event["source"] == "aws.sagemaker")

        def handled(function: str, event: dict[str, Any]) -> Handled[S]:
            return _handled(cloud, function, event, session_of(cloud.session()))

        sagemaker.update_model_package(ModelPackageArn=arns[1], ModelApprovalStatus="Approved")
        approval = handled("approval_changed", _newest(cloud, "Model Package"))
        cloud.settle()
        arrived = _newest(cloud, "Endpoint State")
        in_service = handled("endpoint_changed", arrived)
        duplicate = handled("endpoint_changed", arrived)
        return {"approval": approval, "in_service": in_service, "duplicate": duplicate}


def _two_versions(cloud: LocalCloud) -> list[str]:
    s3, bucket = cloud.client("s3"), cloud.outputs["Bucket"]
    s3.put_object(Bucket=bucket, Key=f"policies/{GROUP}.yaml", Body=b"{}")
    cloud.settle()
    for number in (1, 2):
        for file, body in (("model.tar.gz", _artifact()), ("manifest.yaml", MANIFEST)):
            s3.put_object(Bucket=bucket, Key=f"models/{GROUP}/run-{number}/{file}", Body=body)
    cloud.settle()
    listed = cloud.client("sagemaker").list_model_packages(ModelPackageGroupName=GROUP, SortOrder="Ascending")
    return [each["ModelPackageArn"] for each in listed["ModelPackageSummaryList"]]


def _artifact() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("code/inference.py")
        info.size = len(SCRIPT)
        tar.addfile(info, io.BytesIO(SCRIPT))
        info = tarfile.TarInfo("model.txt")
        tar.addfile(info, io.BytesIO())
    return packed.getvalue()


def _newest(cloud: LocalCloud, about: str) -> dict[str, Any]:
    return next(each for each in reversed(cloud.events_seen) if about in each["detail-type"])


def _handled(cloud: LocalCloud, function: str, event: dict[str, Any], session: S) -> Handled[S]:
    handler = importlib.import_module(f"functions.{function}.app").handler
    logical_id = "".join(part.capitalize() for part in function.split("_"))
    environment = dict(cloud.function(logical_id).environment)
    moment = datetime.now(UTC)
    # What the handler writes of itself is not looked at. By the functions' own names there are loggers
    # already, those of the local cloud's handlers.
    quiet = {**environment, "POWERTOOLS_SERVICE_NAME": "bench", "POWERTOOLS_LOG_LEVEL": "CRITICAL"}
    untyped: Any = session
    with running_in(Runtime(quiet, untyped, lambda: moment)), redirect_stdout(io.StringIO()):
        handler(dict(event), Context())
    return Handled(function, event, environment, moment, session)
