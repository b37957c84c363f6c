"""One group of models on the local cloud, driven as its users drive it: with plain boto3."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from modelgate.aws.dynamodb import DynamoTable
from modelgate.deployment.states import EndpointStates

if TYPE_CHECKING:
    from localcloud import LocalCloud
    from modelgate.deployment.state import EndpointState

# A model that needs no framework to be imported: its container starts in a moment.
SCRIPT = """
import pathlib

def model_fn(model_dir):
    return pathlib.Path(model_dir, "name.txt").read_text()

def input_fn(body, content_type):
    return body if isinstance(body, str) else body.decode()

def predict_fn(data, model):
    return f"{model} says setosa to {data}"

def output_fn(prediction, accept):
    return prediction, accept
"""
NEVER_LOADS = SCRIPT.replace(
    "return pathlib", "raise RuntimeError('weights are missing')\n    return pathlib"
)
FAILS_TO_PREDICT = SCRIPT.replace(
    'return f"{model}', "raise ValueError('feature names do not match')\n    return f\"{model}"
)


def artifact(name: str, script: str = SCRIPT) -> bytes:
    """A model.tar.gz for the sklearn container."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member, content in (("code/inference.py", script), ("name.txt", name)):
            info = tarfile.TarInfo(member)
            info.size = len(content.encode())
            tar.addfile(info, io.BytesIO(content.encode()))
    return packed.getvalue()


def manifest(accuracy: float = 0.95, **changes: object) -> bytes:
    """A manifest that passes the policy of `Chain`."""
    content: dict[str, object] = {
        "container": {"framework": "sklearn", "version": "1.4-2"},
        "metrics": {"accuracy": accuracy},
        "content_types": ["text/csv"],
        "response_types": ["text/csv"],
        "smoke_test": {"content_type": "text/csv", "body": "5.1,3.5", "expect": "setosa"},
        **changes,
    }
    return yaml.safe_dump(content).encode()


@dataclass
class Chain:
    """A group, its policy and its endpoint of the same name; begins when the policy is accepted."""

    cloud: LocalCloud
    group: str
    policy: str = "gate: {metrics: [{name: accuracy, goal: maximize, at_least: 0.9}]}"
    _submissions: int = field(default=0)
    _before: frozenset[str] = field(default=frozenset())

    def __post_init__(self) -> None:
        self.govern(self.policy)
        self._before = frozenset(each["detail"]["id"] for each in self.announcements())

    # ── data scientists ───────────────────────────────────────────────────────────────────────
    def upload(self, key: str, body: bytes) -> None:
        self.cloud.client("s3").put_object(Bucket=self.cloud.outputs["Bucket"], Key=key, Body=body)

    def submit(self, name: str, script: str = SCRIPT, *, manifest: bytes | None = None) -> str:
        """Uploads a submission, and returns its name."""
        self._submissions += 1
        submission = f"run-{self._submissions}"
        self.upload(f"models/{self.group}/{submission}/model.tar.gz", artifact(name, script))
        self.upload(f"models/{self.group}/{submission}/manifest.yaml", manifest or globals()["manifest"]())
        return submission

    def register(self, name: str, script: str = SCRIPT) -> int:
        """Submits, and returns the version once it is registered."""
        self.submit(name, script)
        self.cloud.settle()
        return max(self.versions())

    def report(self, submission: str) -> Any:
        key = f"reports/{self.group}/{submission}/report.json"
        answer = self.cloud.client("s3").get_object(Bucket=self.cloud.outputs["Bucket"], Key=key)
        return json.load(answer["Body"])

    # ── operators ─────────────────────────────────────────────────────────────────────────────
    def govern(self, policy: str) -> None:
        """Uploads the group's policy, and waits until all is quiet."""
        self.upload(f"policies/{self.group}.yaml", policy.encode())
        self.cloud.settle()

    def decide(self, version: int, approval: str) -> None:
        self.cloud.client("sagemaker").update_model_package(
            ModelPackageArn=self._arn(version), ModelApprovalStatus=approval
        )

    def approve(self, *versions: int) -> None:
        for version in versions:
            self.decide(version, "Approved")

    def deploy(self, name: str, script: str = SCRIPT) -> int:
        """From upload to approval, and until all is quiet."""
        version = self.register(name, script)
        self.approve(version)
        self.cloud.settle()
        return version

    # ── what one sees ─────────────────────────────────────────────────────────────────────────
    def versions(self) -> dict[int, str]:
        """The approval status of each version; none where the group does not exist."""
        client = self.cloud.client("sagemaker")
        try:
            found = client.list_model_packages(ModelPackageGroupName=self.group)["ModelPackageSummaryList"]
        except client.exceptions.ClientError:
            return {}
        return {each["ModelPackageVersion"]: each["ModelApprovalStatus"] for each in found}

    def package(self, version: int) -> Any:
        return self.cloud.client("sagemaker").describe_model_package(ModelPackageName=self._arn(version))

    def endpoint(self) -> Any:
        return self.cloud.client("sagemaker").describe_endpoint(EndpointName=self.group)

    def ask(self, body: str = "5.1,3.5") -> str:
        answer = self.cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.group, ContentType="text/csv", Body=body
        )
        return str(answer["Body"].read().decode())

    def state(self) -> EndpointState:
        state = self._states().load(self.group)
        assert state is not None
        return state

    def outcomes(self) -> list[tuple[int, str]]:
        history = self._states().history(self.group)
        return [(each.target.version, each.outcome.value) for each in history if each.target]

    def announcements(self) -> list[Any]:
        """What was announced about this group since it began."""
        bus = [event for event in self.cloud.events_seen if event["source"] == "modelgate"]
        # Delivered at least once: whoever counts, counts ids.
        by_id = {event["detail"]["id"]: event for event in bus if event["detail"]["group"] == self.group}
        return [event for number, event in by_id.items() if number not in self._before]

    def news(self) -> list[str]:
        return [event["detail-type"] for event in self.announcements()]

    def _states(self) -> EndpointStates:
        return EndpointStates(DynamoTable(self.cloud.client("dynamodb"), self.cloud.outputs["Table"]))

    def _arn(self, version: int) -> str:
        return f"arn:aws:sagemaker:{self.cloud.region}:123456789012:model-package/{self.group}/{version}"
