"""Models, endpoint configs and endpoints."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Protocol

from localcloud import calls
from localcloud.calls import Call, Operation, Reply
from localcloud.errors import ServiceError, invalid
from localcloud.eventbridge import EventBridge
from localcloud.pace import Pace
from localcloud.permissions import sagemaker_arn
from localcloud.sagemaker import states
from localcloud.sagemaker.listing import created_within, in_order, page
from localcloud.sagemaker.registry import ModelRegistry
from localcloud.sagemaker.states import Happening, Status
from localcloud.sagemaker.tags import Tags
from localcloud.schedule import Scheduler
from localcloud.serving import ContainerError, ContainerSpec, ServingProcess

_START_LIMIT = 600.0
_CONFIG_MEMBERS = (
    "ProductionVariants",
    "ShadowProductionVariants",
    "DataCaptureConfig",
    "AsyncInferenceConfig",
    "ExplainerConfig",
    "ExecutionRoleArn",
    "VpcConfig",
    "EnableNetworkIsolation",
    "KmsKeyId",
)
_MODEL_MEMBERS = (
    "PrimaryContainer",
    "Containers",
    "InferenceExecutionConfig",
    "ExecutionRoleArn",
    "VpcConfig",
    "EnableNetworkIsolation",
)


@dataclass
class Kept:
    """A model or an endpoint config: what it was created with."""

    name: str
    arn: str
    content: Mapping[str, Any]
    created: dt.datetime


@dataclass
class Fleet:
    """The containers that serve an endpoint config, by variant."""

    config: Kept
    processes: dict[str, ServingProcess] = field(default_factory=dict)


@dataclass
class Endpoint:
    """An endpoint: its state, what serves, and what it is to be moved to."""

    name: str
    arn: str
    status: Status
    config: Kept
    created: dt.datetime
    modified: dt.datetime
    fleet: Fleet | None = None
    pending: Kept | None = None
    pending_since: dt.datetime | None = None
    deployment: Mapping[str, Any] | None = None
    failure: str | None = None


class ContainerHost(Protocol):
    """What starts containers, and looks at artifacts with a role's eyes."""

    def container(self, spec: ContainerSpec, role: str) -> ServingProcess:
        """A container that is not started yet."""

    def complaint_about(self, url: str, role: str) -> str | None:
        """Why a role cannot read an artifact; None if it can."""


class Hosting:
    """Models, endpoint configs and endpoints, and the events of their states."""

    def __init__(
        self,
        *,
        region: str,
        pace: Pace,
        scheduler: Scheduler,
        events: EventBridge,
        registry: ModelRegistry,
        tags: Tags,
        host: ContainerHost,
        is_scaled: Callable[[str], bool],
    ) -> None:
        self._region = region
        self._pace = pace
        self._scheduler = scheduler
        self._events = events
        self._registry = registry
        self._tags = tags
        self._host = host
        self._is_scaled = is_scaled
        self._lock = RLock()
        self._models: dict[str, Kept] = {}
        self._configs: dict[str, Kept] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._started: list[ServingProcess] = []
        self._stopped = False

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "CreateModel": self._create_model,
            "DescribeModel": self._describe_model,
            "ListModels": self._list_models,
            "DeleteModel": self._delete_model,
            "CreateEndpointConfig": self._create_config,
            "DescribeEndpointConfig": self._describe_config,
            "ListEndpointConfigs": self._list_configs,
            "DeleteEndpointConfig": self._delete_config,
            "CreateEndpoint": self._create_endpoint,
            "DescribeEndpoint": lambda call: Reply(self._told(self._endpoint(call.params["EndpointName"]))),
            "ListEndpoints": self._list_endpoints,
            "UpdateEndpoint": self._update_endpoint,
            "DeleteEndpoint": self._delete_endpoint,
        }

    def exists(self, arn: str) -> bool:
        """Whether a model, config or endpoint has this ARN."""
        with self._lock:
            kept: list[Kept | Endpoint] = [
                *self._models.values(),
                *self._configs.values(),
                *self._endpoints.values(),
            ]
            return any(item.arn == arn for item in kept)

    def serving(self, name: str) -> Fleet | None:
        """What serves an endpoint just now; None if nothing does, or there is no such endpoint."""
        with self._lock:
            endpoint = self._endpoints.get(name.lower())
            return endpoint.fleet if endpoint is not None and endpoint.status != "Deleting" else None

    def stop(self) -> None:
        """End every container."""
        with self._lock:
            self._stopped = True
            started, self._started = self._started, []
        if started:
            with ThreadPoolExecutor(len(started)) as pool:
                list(pool.map(ServingProcess.stop, started))

    # ── models ────────────────────────────────────────────────────────────────────────────────────

    def _create_model(self, call: Call) -> Reply:
        name, role = call.params["ModelName"], call.params.get("ExecutionRoleArn")
        arn = self._arn("model", name)
        if "PrimaryContainer" in call.params and "Containers" in call.params:
            raise invalid("PrimaryContainer and Containers cannot both be given.")
        if "PrimaryContainer" not in call.params and not call.params.get("Containers"):
            raise invalid("At least one container must be given, in PrimaryContainer or Containers.")
        if role is None:
            raise invalid("ExecutionRoleArn is required.")
        content = _only(call, _MODEL_MEMBERS)
        with self._lock:
            if name.lower() in self._models:
                raise invalid(f'Cannot create already existing model "{arn}".')
        for container in _containers(content):
            self._check_container(container, role)
        with self._lock:
            if name.lower() in self._models:
                raise invalid(f'Cannot create already existing model "{arn}".')
            self._models[name.lower()] = Kept(name, arn, content, calls.now())
            self._tags.put(arn, call.params.get("Tags"))
        return Reply({"ModelArn": arn})

    def _check_container(self, container: Mapping[str, Any], role: str) -> None:
        if container.get("ModelPackageName"):
            package = self._registry.package(container["ModelPackageName"])
            if package.group is not None and package.approval != "Approved":
                raise invalid(
                    f'Cannot create a model from ModelPackage "{package.arn}": its ModelApprovalStatus is '
                    f"{package.approval}, not Approved."
                )
        elif not container.get("Image"):
            raise invalid("A container needs an Image or a ModelPackageName.")
        url = self._resolved(container)["ModelDataUrl"]
        complaint = self._host.complaint_about(url, role) if url else None
        if complaint:
            raise invalid(complaint)

    def _resolved(self, container: Mapping[str, Any]) -> dict[str, Any]:
        """Image, data and environment of a container, from its package if it has one."""
        base: Mapping[str, Any] = container
        if container.get("ModelPackageName"):
            package = self._registry.package(container["ModelPackageName"])
            base = package.content["InferenceSpecification"]["Containers"][0]
        source = (base.get("ModelDataSource") or {}).get("S3DataSource", {})
        return {
            "Image": base.get("Image"),
            "ModelDataUrl": base.get("ModelDataUrl") or source.get("S3Uri"),
            "Environment": {**(base.get("Environment") or {}), **(container.get("Environment") or {})},
        }

    def _describe_model(self, call: Call) -> Reply:
        model = self._kept(self._models, "model", call.params["ModelName"])
        told = {"ModelName": model.name, "ModelArn": model.arn, "CreationTime": model.created}
        return Reply({"EnableNetworkIsolation": False, **model.content, **told})

    def _list_models(self, call: Call) -> Reply:
        return self._list(call, list(self._models.values()), "Models", "Model")

    def _delete_model(self, call: Call) -> Reply:
        model = self._kept(self._models, "model", call.params["ModelName"])
        with self._lock:
            self._models.pop(model.name.lower(), None)
            self._tags.forget(model.arn)
        return Reply()

    # ── endpoint configs ──────────────────────────────────────────────────────────────────────────

    def _create_config(self, call: Call) -> Reply:
        name = call.params["EndpointConfigName"]
        arn = self._arn("endpoint-config", name)
        variants = call.params["ProductionVariants"]
        names = [variant["VariantName"] for variant in variants]
        if len(set(names)) != len(names):
            raise invalid("The names of production variants must be unique.")
        with self._lock:
            if name.lower() in self._configs:
                raise invalid(f'Cannot create already existing endpoint configuration "{arn}".')
            for variant in [*variants, *call.params.get("ShadowProductionVariants", [])]:
                self._check_variant(variant)
            self._configs[name.lower()] = Kept(name, arn, _only(call, _CONFIG_MEMBERS), calls.now())
            self._tags.put(arn, call.params.get("Tags"))
        return Reply({"EndpointConfigArn": arn})

    def _check_variant(self, variant: Mapping[str, Any]) -> None:
        if variant.get("ModelName"):
            self._kept(self._models, "model", variant["ModelName"])
        serverless = variant.get("ServerlessConfig")
        if serverless is None and not variant.get("InstanceType"):
            raise invalid(f"Variant {variant['VariantName']} needs an InstanceType or a ServerlessConfig.")
        if serverless is not None and (variant.get("InstanceType") or variant.get("InitialInstanceCount")):
            raise invalid(f"Variant {variant['VariantName']} is serverless and has no instances.")
        if serverless is None and not variant.get("InitialInstanceCount"):
            raise invalid(f"Variant {variant['VariantName']} needs an InitialInstanceCount.")
        if serverless is not None and serverless["MemorySizeInMB"] % 1024:
            raise invalid("MemorySizeInMB must be 1024, 2048, 3072, 4096, 5120 or 6144.")

    def _describe_config(self, call: Call) -> Reply:
        config = self._kept(self._configs, "endpoint-config", call.params["EndpointConfigName"])
        told = {
            "EndpointConfigName": config.name,
            "EndpointConfigArn": config.arn,
            "CreationTime": config.created,
        }
        return Reply({**config.content, **told})

    def _list_configs(self, call: Call) -> Reply:
        return self._list(call, list(self._configs.values()), "EndpointConfigs", "EndpointConfig")

    def _delete_config(self, call: Call) -> Reply:
        config = self._kept(self._configs, "endpoint-config", call.params["EndpointConfigName"])
        with self._lock:
            self._configs.pop(config.name.lower(), None)
            self._tags.forget(config.arn)
        return Reply()

    # ── endpoints ─────────────────────────────────────────────────────────────────────────────────

    def _create_endpoint(self, call: Call) -> Reply:
        name = call.params["EndpointName"]
        arn = self._arn("endpoint", name)
        with self._lock:
            if name.lower() in self._endpoints:
                raise invalid(f'Cannot create already existing endpoint "{arn}".')
            config = self._kept(self._configs, "endpoint-config", call.params["EndpointConfigName"])
            now = calls.now()
            endpoint = Endpoint(name, arn, "Creating", config, now, now)
            endpoint.deployment = call.params.get("DeploymentConfig")
            self._endpoints[name.lower()] = endpoint
            self._tags.put(arn, call.params.get("Tags"))
            self._announce(endpoint)
        self._scheduler.after(
            self._pace.creating, f"endpoint {name}: Creating", lambda: self._bring_up(endpoint, config)
        )
        return Reply({"EndpointArn": arn})

    def _update_endpoint(self, call: Call) -> Reply:
        with self._lock:
            endpoint = self._endpoint(call.params["EndpointName"])
            self._refuse_in_progress(endpoint)
            if states.after(endpoint.status, "update is asked for") is None:
                raise invalid(f'Cannot update endpoint "{endpoint.arn}" with status "{endpoint.status}".')
            wanted = call.params["EndpointConfigName"]
            config = self._kept(self._configs, "endpoint-config", wanted)
            self._kept(self._configs, "endpoint-config", endpoint.config.name)
            if config is endpoint.config:
                raise invalid(
                    f'Cannot update endpoint "{endpoint.arn}" to endpoint configuration "{config.arn}": '
                    "it is the one in use."
                )
            self._refuse_scaled(endpoint, config)
            endpoint.pending = config
            endpoint.pending_since = calls.now()
            endpoint.failure = None
            endpoint.deployment = call.params.get("DeploymentConfig")
            self._happen(endpoint, "update is asked for")
        self._scheduler.after(
            self._pace.updating,
            f"endpoint {endpoint.name}: Updating",
            lambda: self._bring_up(endpoint, config),
        )
        return Reply({"EndpointArn": endpoint.arn})

    def _delete_endpoint(self, call: Call) -> Reply:
        with self._lock:
            endpoint = self._endpoint(call.params["EndpointName"])
            self._refuse_in_progress(endpoint)
            self._happen(endpoint, "deletion is asked for")
        self._scheduler.after(
            self._pace.deleting, f"endpoint {endpoint.name}: Deleting", lambda: self._gone(endpoint)
        )
        return Reply()

    @staticmethod
    def _refuse_in_progress(endpoint: Endpoint) -> None:
        if endpoint.status in {"Creating", "Updating", "RollingBack", "Deleting"}:
            raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')

    def _refuse_scaled(self, endpoint: Endpoint, config: Kept) -> None:
        """A variant that is a scalable target keeps its instance type until it is deregistered."""
        wanted = {
            item["VariantName"]: item.get("InstanceType") for item in config.content["ProductionVariants"]
        }
        held = [
            variant["VariantName"]
            for variant in endpoint.config.content["ProductionVariants"]
            if wanted.get(variant["VariantName"]) != variant.get("InstanceType")
            and self._is_scaled(f"endpoint/{endpoint.name}/variant/{variant['VariantName']}")
        ]
        if held:
            raise invalid(
                f'The variant(s) "[{", ".join(held)}]" must be deregistered as autoscaling target(s) before '
                "they can be removed or have their instance type updated."
            )

    def _bring_up(self, endpoint: Endpoint, config: Kept) -> None:
        """Start what the config asks for; the endpoint serves it, or goes back to what it served before."""
        fleet = Fleet(config)
        try:
            for variant in config.content["ProductionVariants"]:
                self._start(endpoint, config, variant, fleet)
        except ContainerError as error:
            self._end(list(fleet.processes.values()))
            self._not_up(endpoint, str(error))
            return
        with self._lock:
            before, endpoint.fleet = endpoint.fleet, fleet
            endpoint.config, endpoint.pending = config, None
            self._happen(endpoint, "containers answer")
        if before is not None:
            processes = list(before.processes.values())
            self._scheduler.after(
                0, f"endpoint {endpoint.name}: old containers end", lambda: self._end(processes)
            )

    def _start(self, endpoint: Endpoint, config: Kept, variant: Mapping[str, Any], fleet: Fleet) -> None:
        try:
            model = self._kept(self._models, "model", str(variant.get("ModelName")))
            container = self._resolved(_containers(model.content)[0])
        except ServiceError as gone:  # deleted since the config was made
            raise ContainerError(gone.message) from gone
        limit = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", _START_LIMIT)
        spec = ContainerSpec(
            image=container["Image"],
            model_data=container["ModelDataUrl"],
            environment=container["Environment"],
            endpoint=endpoint.name,
            variant=variant["VariantName"],
            start_limit=float(limit),
        )
        role = config.content.get("ExecutionRoleArn") or model.content["ExecutionRoleArn"]
        process = self._host.container(spec, role)
        with self._lock:
            if self._stopped:
                process.stop()
                raise ContainerError("The local cloud has stopped.")
            self._started.append(process)
        fleet.processes[spec.variant] = process
        process.start()

    def _not_up(self, endpoint: Endpoint, reason: str) -> None:
        guarded = endpoint.deployment is not None
        with self._lock:
            endpoint.failure = reason
            if endpoint.status == "Updating" and not guarded:
                endpoint.pending = None
            self._happen(
                endpoint, "containers do not answer, guarded" if guarded else "containers do not answer"
            )
            rolling_back = endpoint.status == "RollingBack"
        if rolling_back:
            self._scheduler.after(
                self._pace.rolling_back,
                f"endpoint {endpoint.name}: RollingBack",
                lambda: self._rolled_back(endpoint),
            )

    def _rolled_back(self, endpoint: Endpoint) -> None:
        with self._lock:
            endpoint.pending = None
            self._happen(endpoint, "old containers are back")

    def _gone(self, endpoint: Endpoint) -> None:
        fleet = endpoint.fleet
        self._end(list(fleet.processes.values()) if fleet is not None else [])
        with self._lock:
            self._endpoints.pop(endpoint.name.lower(), None)
            self._tags.forget(endpoint.arn)

    def _end(self, processes: Sequence[ServingProcess]) -> None:
        for process in processes:
            process.stop()
            with self._lock:
                if process in self._started:
                    self._started.remove(process)

    def _happen(self, endpoint: Endpoint, happening: Happening) -> None:
        following = states.after(endpoint.status, happening)
        if following is None:
            raise RuntimeError(f"{happening!r} cannot happen to an endpoint that is {endpoint.status}")
        endpoint.status = following
        endpoint.modified = max(calls.now(), endpoint.modified + dt.timedelta(milliseconds=1))
        self._announce(endpoint)

    # ── how it is told ────────────────────────────────────────────────────────────────────────────

    def _endpoint(self, name: str) -> Endpoint:
        with self._lock:
            found = self._endpoints.get(name.lower())
        if found is None:
            raise invalid(f'Could not find endpoint "{self._arn("endpoint", name)}".')
        return found

    def _kept(self, where: Mapping[str, Kept], kind: str, name: str) -> Kept:
        with self._lock:
            found = where.get(name.lower())
        if found is None:
            what = {"model": "model", "endpoint-config": "endpoint configuration"}[kind]
            raise invalid(f'Could not find {what} "{self._arn(kind, name)}".')
        return found

    def _told(self, endpoint: Endpoint) -> dict[str, Any]:
        """As DescribeEndpoint tells it."""
        with self._lock:
            told: dict[str, Any] = {
                "EndpointName": endpoint.name,
                "EndpointArn": endpoint.arn,
                "EndpointConfigName": endpoint.config.name,
                "EndpointStatus": endpoint.status,
                "CreationTime": endpoint.created,
                "LastModifiedTime": endpoint.modified,
                "FailureReason": endpoint.failure,
                "LastDeploymentConfig": endpoint.deployment,
                "AsyncInferenceConfig": endpoint.config.content.get("AsyncInferenceConfig"),
            }
            if endpoint.fleet is not None:
                told["ProductionVariants"] = [
                    self._variant(variant) for variant in endpoint.fleet.config.content["ProductionVariants"]
                ]
            capture = endpoint.config.content.get("DataCaptureConfig")
            if capture is not None:
                told["DataCaptureConfig"] = {
                    "EnableCapture": capture.get("EnableCapture", False),
                    "CaptureStatus": "Started",
                    "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
                    "DestinationS3Uri": capture["DestinationS3Uri"],
                    "KmsKeyId": capture.get("KmsKeyId", ""),
                }
            if endpoint.pending is not None:
                told["PendingDeploymentSummary"] = {
                    "EndpointConfigName": endpoint.pending.name,
                    "StartTime": endpoint.pending_since,
                    "ProductionVariants": [
                        self._variant(variant) for variant in endpoint.pending.content["ProductionVariants"]
                    ],
                }
            return told

    def _variant(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        weight = variant.get("InitialVariantWeight", 1.0)
        told = {"VariantName": variant["VariantName"], "CurrentWeight": weight, "DesiredWeight": weight}
        if variant.get("ServerlessConfig"):
            told["CurrentServerlessConfig"] = variant["ServerlessConfig"]
        else:
            count = variant.get("InitialInstanceCount", 1)
            told |= {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
        model = self._models.get(str(variant.get("ModelName")).lower())
        image = _containers(model.content)[0].get("Image") if model is not None else None
        if image:
            told["DeployedImages"] = [{"SpecifiedImage": image, "ResolvedImage": image}]
        return told

    def _list_endpoints(self, call: Call) -> Reply:
        part = call.params.get("NameContains", "").lower()
        status = call.params.get("StatusEquals")
        with self._lock:
            found = [
                endpoint
                for endpoint in self._endpoints.values()
                if part in endpoint.name.lower()
                and (status is None or endpoint.status == status)
                and created_within(call, endpoint.created)
            ]
        keys: dict[str, Callable[[Endpoint], Any]] = {
            "Name": lambda endpoint: endpoint.name,
            "CreationTime": lambda endpoint: endpoint.created,
            "Status": lambda endpoint: endpoint.status,
        }
        endpoints, rest = page(call, in_order(call, found, keys, "CreationTime"))
        summaries = [
            {
                "EndpointName": endpoint.name,
                "EndpointArn": endpoint.arn,
                "CreationTime": endpoint.created,
                "LastModifiedTime": endpoint.modified,
                "EndpointStatus": endpoint.status,
            }
            for endpoint in endpoints
        ]
        return Reply({"Endpoints": summaries, **rest})

    @staticmethod
    def _list(call: Call, kept: list[Kept], member: str, kind: str) -> Reply:
        part = call.params.get("NameContains", "").lower()
        found = [item for item in kept if part in item.name.lower() and created_within(call, item.created)]
        keys: dict[str, Callable[[Kept], Any]] = {
            "Name": lambda item: item.name,
            "CreationTime": lambda item: item.created,
        }
        items, rest = page(call, in_order(call, found, keys, "CreationTime"))
        summaries = [
            {f"{kind}Name": item.name, f"{kind}Arn": item.arn, "CreationTime": item.created} for item in items
        ]
        return Reply({member: summaries, **rest})

    def _announce(self, endpoint: Endpoint) -> None:
        variants = []
        for variant in endpoint.config.content["ProductionVariants"]:
            told = self._variant(variant)
            variants.append({name: value for name, value in told.items() if name != "DeployedImages"})
        detail: dict[str, Any] = {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.config.name,
            "ProductionVariants": variants,
            "EndpointStatus": states.in_event(endpoint.status),
            "CreationTime": _milliseconds(endpoint.created),
            "LastModifiedTime": _milliseconds(endpoint.modified),
            "Tags": self._tags.of(endpoint.arn),
        }
        if endpoint.failure is not None:
            detail["FailureReason"] = endpoint.failure
        self._events.announce("aws.sagemaker", "SageMaker Endpoint State Change", detail, [endpoint.arn])

    def _arn(self, kind: str, name: str) -> str:
        return sagemaker_arn(self._region, kind, name)


def _containers(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    primary = content.get("PrimaryContainer")
    return [primary] if primary is not None else list(content.get("Containers", []))


def _only(call: Call, members: Sequence[str]) -> dict[str, Any]:
    return {member: call.params[member] for member in members if member in call.params}


def _milliseconds(moment: dt.datetime) -> float:
    return float(round(moment.timestamp() * 1000))
