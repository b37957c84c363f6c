"""One group of models on the local cloud, driven as its users drive it: with plain boto3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Event
from typing import TYPE_CHECKING, Any

import yaml

from modelgate.aws.dynamodb import DynamoTable
from modelgate.deployment.states import EndpointStates
from tests.fakes.tarballs import tarball

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud import Delivery, LocalCloud
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
ANSWERS_WRONGLY = SCRIPT.replace("setosa", "virginica")
FAILS_TO_PREDICT = SCRIPT.replace(
    'return f"{model}', "raise ValueError('feature names do not match')\n    return f\"{model}"
)


def loads_when_there_is(file: Path) -> str:
    """A model that is not loaded before there is this file."""
    return _waiting(file, "return pathlib")


def answers_when_there_is(file: Path) -> str:
    """A model that answers nothing before there is this file."""
    return _waiting(file, 'return f"{model}')


def _waiting(file: Path, before: str) -> str:
    wait = f"while not pathlib.Path({str(file)!r}).exists():\n        time.sleep(0.01)\n    "
    return "import time\n" + SCRIPT.replace(before, wait + before)


_GATE: dict[str, object] = {"metrics": [{"name": "accuracy", "goal": "maximize", "at_least": 0.9}]}
_VARIANT = "AllTraffic"
_SCALED_BY = "sagemaker:variant:DesiredInstanceCount"
# Waiting is for events; this is when it is given up.
_PATIENCE = 20.0


def policy(**deployment: object) -> str:
    """A policy that passes the manifests of `manifest`, and serves so."""
    return yaml.safe_dump({"gate": _GATE, "deployment": deployment})


def artifact(name: str, script: str = SCRIPT) -> bytes:
    """A model.tar.gz for the sklearn container."""
    return tarball({"code/inference.py": script.encode(), "name.txt": name.encode()})


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
    return yaml.safe_dump({key: value for key, value in content.items() if value is not None}).encode()


@dataclass
class Chain:
    """A group, its policy and its endpoint of the same name; begins when the policy is accepted."""

    cloud: LocalCloud
    group: str
    policy: str = field(default_factory=policy)
    _submissions: int = field(default=0)
    _before: frozenset[str] = field(default=frozenset())
    _changed: Condition = field(default_factory=Condition, repr=False)

    def __post_init__(self) -> None:
        self.cloud.on_event(self._saw)
        self.cloud.on_invocation(self._saw)
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

    def instruct(self, instruction: str, **more: object) -> Any:
        """What the `modelgate` command does; returns what the function reported, when all is quiet."""
        told = {"instruction": instruction, "group": self.group, "by": "ada", **more}
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.cloud.outputs["InstructionFunction"], Payload=json.dumps(told)
        )
        report = json.load(answer["Payload"])
        assert "FunctionError" not in answer, report
        self.cloud.settle()
        return report

    def scale_to(self, instances: int) -> None:
        """What autoscaling does."""
        self.cloud.client("sagemaker").update_endpoint_weights_and_capacities(
            EndpointName=self.group,
            DesiredWeightsAndCapacities=[{"VariantName": _VARIANT, "DesiredInstanceCount": instances}],
        )
        self.cloud.settle()

    def ring(self, alarm: str, state: str = "ALARM") -> None:
        """What CloudWatch does when the metric of this alarm, errors or latency, is too high."""
        self.cloud.client("cloudwatch").set_alarm_state(
            AlarmName=self.alarms()[alarm]["AlarmName"], StateValue=state, StateReason="as a test says"
        )

    def sweep(self) -> Any:
        """A quarter of an hour is over; returns what the sweep reported."""
        self.cloud.fire("SweepDueQuarterOfAnHour")
        self.cloud.settle()
        (*_, swept) = (each for each in self.cloud.invocations if each.function == "SweepDue")
        assert swept.error is None, swept.error
        return swept.result

    def deploy(self, name: str, script: str = SCRIPT) -> int:
        """From upload to approval, and until all is quiet."""
        version = self.register(name, script)
        self.approve(version)
        self.cloud.settle()
        return version

    # ── waiting ───────────────────────────────────────────────────────────────────────────────
    def await_status(self, status: str, config: str = "") -> None:
        """Returns when an event has told that the endpoint is in this status; or was, with this config."""
        self._await(
            lambda: any(
                each["EndpointStatus"] == status and config in ("", each["EndpointConfigName"])
                for each in self.told("SageMaker Endpoint State Change")
            )
        )

    def await_bake(self) -> None:
        """Returns when an event has told that an update bakes."""
        self._await(lambda: "Baking" in self.stages())

    def await_run(self, function: str, **told: object) -> None:
        """Returns when a function has run with an event about the group or the endpoint that told this."""

        def heard(detail: Any) -> bool:
            about = {detail.get("ModelPackageGroupName"), detail.get("EndpointName")}
            return self.group in about and told.items() <= detail.items()

        self._await(
            lambda: any(
                each.function == function and heard(each.event["detail"]) for each in self.cloud.invocations
            )
        )

    def _await(self, happened: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(happened, _PATIENCE), self.cloud.in_flight

    def _saw(self, *_: object) -> None:
        with self._changed:
            self._changed.notify_all()

    @contextmanager
    def asked_all_along(self) -> Iterator[list[str]]:
        """Somebody asks the endpoint, one request after the other; raises what any of them came to."""
        answers: list[str] = []
        over = Event()

        def ask() -> None:
            while not over.is_set():
                answers.append(self.ask())

        with ThreadPoolExecutor(1) as visitor:
            asking = visitor.submit(ask)
            try:
                yield answers
            finally:
                over.set()
            asking.result()

    # ── what one sees ─────────────────────────────────────────────────────────────────────────
    def on(self, function: str) -> Callable[[Delivery], bool]:
        """Tells deliveries to a function that are about the group or the endpoint."""

        def matches(delivery: Delivery) -> bool:
            detail = delivery.event["detail"]
            about = detail.get("ModelPackageGroupName") or detail.get("EndpointName")
            key = detail.get("object", {}).get("key", "")
            return delivery.function == function and (about == self.group or f"/{self.group}/" in key)

        return matches

    def told(self, kind: str) -> list[Any]:
        """The details of SageMaker's events about the endpoint."""
        return [
            event["detail"]
            for event in self.cloud.events_seen
            if event["detail-type"] == kind and event["detail"]["EndpointName"] == self.group
        ]

    def stages(self) -> list[str]:
        """The stages of deployments, as SageMaker told them."""
        pending = [
            detail["PendingDeploymentSummary"]["ProductionVariants"]
            for detail in self.told("SageMaker Endpoint Deployment State Change")
        ]
        return [variants[0]["VariantStatus"][0]["Status"] for variants in pending]

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
        told = self.cloud.client("sagemaker").describe_endpoint(EndpointName=self.group)
        return {name: value for name, value in told.items() if name != "ResponseMetadata"}

    def exists(self) -> bool:
        client = self.cloud.client("sagemaker")
        return bool(client.list_endpoints(NameContains=self.group)["Endpoints"])

    def variant(self) -> Any:
        """The variant of the endpoint config that serves."""
        (variant,) = self.cloud.client("sagemaker").describe_endpoint_config(
            EndpointConfigName=self.endpoint()["EndpointConfigName"]
        )["ProductionVariants"]
        return variant

    def instances(self) -> int:
        """How many serve."""
        (variant,) = self.endpoint()["ProductionVariants"]
        return int(variant["CurrentInstanceCount"])

    def made(self) -> tuple[set[str], set[str]]:
        """The names of the models, and of the endpoint configs, that were made for the group."""
        client, part = self.cloud.client("sagemaker"), f"{self.group}-v"
        models = client.list_models(NameContains=part)["Models"]
        configs = client.list_endpoint_configs(NameContains=part)["EndpointConfigs"]
        return {each["ModelName"] for each in models}, {each["EndpointConfigName"] for each in configs}

    def alarms(self) -> dict[str, Any]:
        """The endpoint's alarms, by what they watch."""
        prefix = f"modelgate-{self.group}-"
        found = self.cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
        return {alarm["AlarmName"].removeprefix(prefix): alarm for alarm in found}

    def scalable_target(self) -> tuple[int, int] | None:
        """The fewest and the most instances that the endpoint is scaled to; None if it is not scaled."""
        found = self.cloud.client("application-autoscaling").describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/{self.group}/variant/{_VARIANT}"]
        )["ScalableTargets"]
        assert all(each["ScalableDimension"] == _SCALED_BY for each in found)
        return (found[0]["MinCapacity"], found[0]["MaxCapacity"]) if found else None

    def scaling_policies(self) -> list[Any]:
        return list(
            self.cloud.client("application-autoscaling").describe_scaling_policies(
                ServiceNamespace="sagemaker", ResourceId=f"endpoint/{self.group}/variant/{_VARIANT}"
            )["ScalingPolicies"]
        )

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
