"""Endpoints: how they come up, are moved from one config to another, are rescaled, and go."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import RLock
from typing import Any, Protocol

from localcloud import calls
from localcloud.calls import Call, Operation, Reply
from localcloud.errors import ServiceError, invalid
from localcloud.eventbridge import EventBridge
from localcloud.faults import Faults
from localcloud.inference_pipeline import InferencePipeline
from localcloud.pace import Pace
from localcloud.permissions import sagemaker_arn
from localcloud.sagemaker import endpoints, states
from localcloud.sagemaker.definitions import Definitions, Kept
from localcloud.sagemaker.endpoints import Deployment, Endpoint, Stage, StageName
from localcloud.sagemaker.fleets import Fleet, LiveVariant, Turns
from localcloud.sagemaker.guardrails import Capacity, Step, rollout
from localcloud.sagemaker.listing import created_within, in_order, page
from localcloud.sagemaker.states import Happening
from localcloud.sagemaker.tags import Tags
from localcloud.schedule import Scheduler
from localcloud.serving import ContainerError, ContainerSpec

_START_LIMIT = 600.0
_NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please "
    "retry using a different ML instance type or after some time."
)


class ContainerHost(Protocol):
    """What starts containers, and does things with a role's rights."""

    def pipeline(self, specs: Sequence[ContainerSpec], role: str) -> InferencePipeline:
        """The containers of a model, which are not started yet."""

    def client_of(self, role: str, service: str) -> Any:
        """A boto3 client with the rights of an execution role, by its ARN."""


class AlarmWatch(Protocol):
    """CloudWatch's alarms, as a deployment looks at them."""

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of which there is none."""

    def ringing(self, names: Sequence[str]) -> list[str]:
        """Those that stand in ALARM."""

    def hidden_from(self, role: str, names: Sequence[str]) -> list[str]:
        """Those that an execution role, by its ARN, may not describe."""


class ScalableTargets(Protocol):
    """The scalable targets of Application Auto Scaling."""

    def has(self, resource: str) -> bool:
        """Whether a resource id is registered."""

    def deregister(self, call: Call, resources: Sequence[str]) -> None:
        """Deregister what is registered, in the name of whoever makes the call.

        Raises:
            ServiceError: the caller may not.
        """


class Hosting:
    """Endpoints, and the events of their states and deployments."""

    def __init__(
        self,
        *,
        region: str,
        pace: Pace,
        scheduler: Scheduler,
        events: EventBridge,
        definitions: Definitions,
        tags: Tags,
        faults: Faults,
        host: ContainerHost,
        alarms: AlarmWatch,
        targets: ScalableTargets,
    ) -> None:
        self._region = region
        self._pace = pace
        self._scheduler = scheduler
        self._events = events
        self._definitions = definitions
        self._tags = tags
        self._faults = faults
        self._host = host
        self._alarms = alarms
        self._targets = targets
        self._lock = RLock()
        self._endpoints: dict[str, Endpoint] = {}
        self._started: list[InferencePipeline] = []
        self._stopped = False

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "CreateEndpoint": self._create_endpoint,
            "DescribeEndpoint": self._describe_endpoint,
            "ListEndpoints": self._list_endpoints,
            "UpdateEndpoint": self._update_endpoint,
            "UpdateEndpointWeightsAndCapacities": self._update_figures,
            "DeleteEndpoint": self._delete_endpoint,
        }

    def exists(self, arn: str) -> bool:
        """Whether an endpoint has this ARN."""
        with self._lock:
            return any(item.arn == arn for item in self._endpoints.values())

    def has_variant(self, name: str, variant: str) -> bool:
        """Whether there is an endpoint with such a variant, or there will be when it has come up."""
        with self._lock:
            endpoint = self._endpoints.get(name.lower())
            return endpoint is not None and variant in (endpoint.fleet or Fleet.of(endpoint.config)).variants

    # ── who answers ───────────────────────────────────────────────────────────────────────────────

    def serving(self, name: str) -> Fleet | None:
        """Whose turn it is to answer a request; None if nothing serves, or there is no such endpoint."""
        with self._lock:
            endpoint = self._endpoints.get(name.lower())
            if endpoint is None or endpoint.status == "Deleting":
                return None
            deployment = endpoint.deployment
            if deployment is not None and deployment.turns.take():
                return deployment.fleet
            return endpoint.fleet

    def still_serves(self, name: str, fleet: Fleet) -> bool:
        """Whether a fleet is, now too, one of those that answer for an endpoint."""
        with self._lock:
            endpoint = self._endpoints.get(name.lower())
            if endpoint is None or endpoint.status == "Deleting":
                return False
            deployment = endpoint.deployment
            return fleet is endpoint.fleet or (deployment is not None and fleet is deployment.fleet)

    def stop(self) -> None:
        """End every container."""
        with self._lock:
            self._stopped = True
            started, self._started = self._started, []
        if started:
            with ThreadPoolExecutor(len(started)) as pool:
                list(pool.map(InferencePipeline.stop, started))

    # ── operations ────────────────────────────────────────────────────────────────────────────────

    def _create_endpoint(self, call: Call) -> Reply:
        name = call.params["EndpointName"]
        arn = self._arn(name)
        with self._lock:
            if name.lower() in self._endpoints:
                raise invalid(f'Cannot create already existing endpoint "{arn}".')
            config = self._definitions.config(call.params["EndpointConfigName"])
            now = calls.now()
            endpoint = Endpoint(name, arn, "Creating", config, now, now)
            self._endpoints[name.lower()] = endpoint
            self._tags.put(arn, call.params.get("Tags"))
            self._announce(endpoint)
        policy = call.params.get("DeploymentConfig")
        self._later(self._pace.creating, endpoint, lambda: self._come_up(endpoint, policy))
        return Reply({"EndpointArn": arn})

    def _describe_endpoint(self, call: Call) -> Reply:
        with self._lock:
            endpoint = self._endpoint(call.params["EndpointName"])
            return Reply(endpoints.described(endpoint, self._definitions.images))

    def _update_endpoint(self, call: Call) -> Reply:
        with self._lock:
            endpoint = self._endpoint(call.params["EndpointName"])
            self._refuse_update(endpoint)
            wanted = call.params["EndpointConfigName"]
            config = self._definitions.config(wanted)
            self._definitions.config(endpoint.config.name)
            if config is endpoint.config:
                raise invalid(
                    f'Cannot update endpoint "{endpoint.arn}" to endpoint configuration "{config.arn}": '
                    "it is the one in use."
                )
            deployment = self._deployment(call, endpoint, config)
            endpoint.deployment = deployment
            endpoint.failure = None
            self._happen(endpoint, "update is asked for")
        self._later(self._pace.updating, endpoint, lambda: self._bring_up(endpoint, deployment))
        return Reply({"EndpointArn": endpoint.arn})

    def _deployment(self, call: Call, endpoint: Endpoint, config: Kept) -> Deployment:
        """The update that is asked for.

        Raises:
            ServiceError: AWS refuses it.
        """
        self._refuse_scaled(endpoint, config)
        policy = call.params.get("DeploymentConfig")
        if policy is None and call.params.get("RetainDeploymentConfig"):
            policy = endpoint.last_policy
        fleet = Fleet.of(config)
        if endpoint.fleet is not None:
            _refuse_other_variants(endpoint.fleet, fleet)
            if call.params.get("RetainAllVariantProperties"):
                # DataCaptureConfig may be excluded too, and changes nothing: it is the config's anyway.
                excluded = call.params.get("ExcludeRetainedVariantProperties", [])
                fleet.retain(endpoint.fleet, frozenset(item["VariantPropertyType"] for item in excluded))
        capacities = [
            Capacity(variant.name, variant.desired.instances) for variant in fleet.variants.values()
        ]
        course = rollout(policy, capacities)
        if course.alarms:
            self._refuse_alarms(course.alarms, fleet)
        now = calls.now()
        return Deployment(fleet, policy, course, now, Stage("Creating", "Creating the new fleet.", now))

    def _update_figures(self, call: Call) -> Reply:
        with self._lock:
            endpoint = self._endpoint(call.params["EndpointName"])
            self._refuse_update(endpoint)
            fleet = endpoint.fleet
            if fleet is None:
                raise invalid(f'Endpoint "{endpoint.arn}" has no variants that serve.')
            desired = {}
            for item in call.params["DesiredWeightsAndCapacities"]:
                variant = fleet.variants.get(item["VariantName"])
                if variant is None:
                    raise invalid(f'Could not find variant "{item["VariantName"]}" of "{endpoint.arn}".')
                instances = item.get("DesiredInstanceCount", variant.desired.instances)
                if instances is not None and variant.desired.instances is None:
                    raise invalid(f'Variant "{variant.name}" is serverless and has no instances.')
                if instances == 0 and not fleet.is_asynchronous:
                    raise invalid(f'Variant "{variant.name}" needs at least one instance.')
                weight = float(item.get("DesiredWeight", variant.desired.weight))
                desired[variant.name] = replace(variant.desired, weight=weight, instances=instances)
            for name, figures in desired.items():
                fleet.variants[name].desired = figures
            endpoint.failure = None
            self._happen(endpoint, "update is asked for")
        self._later(self._pace.updating, endpoint, lambda: self._rescale(endpoint, fleet))
        return Reply({"EndpointArn": endpoint.arn})

    def _delete_endpoint(self, call: Call) -> Reply:
        with self._lock:
            endpoint = self._endpoint(call.params["EndpointName"])
            _refuse_in_progress(endpoint)
            variants = (endpoint.fleet or Fleet.of(endpoint.config)).variants
            self._targets.deregister(call, [_scalable(endpoint, name) for name in variants])
            self._happen(endpoint, "deletion is asked for")
        self._later(self._pace.deleting, endpoint, lambda: self._gone(endpoint))
        return Reply()

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
        chosen, rest = page(call, in_order(call, found, keys, "CreationTime"))
        summaries = [
            {
                "EndpointName": endpoint.name,
                "EndpointArn": endpoint.arn,
                "CreationTime": endpoint.created,
                "LastModifiedTime": endpoint.modified,
                "EndpointStatus": endpoint.status,
            }
            for endpoint in chosen
        ]
        return Reply({"Endpoints": summaries, **rest})

    # ── what is refused ───────────────────────────────────────────────────────────────────────────

    @staticmethod
    def _refuse_update(endpoint: Endpoint) -> None:
        _refuse_in_progress(endpoint)
        if states.after(endpoint.status, "update is asked for") is None:
            raise invalid(f'Cannot update endpoint "{endpoint.arn}" with status "{endpoint.status}".')

    def _refuse_scaled(self, endpoint: Endpoint, config: Kept) -> None:
        """A variant that is a scalable target keeps its instance type until it is deregistered."""
        wanted = {
            item["VariantName"]: item.get("InstanceType") for item in config.content["ProductionVariants"]
        }
        held = [
            variant["VariantName"]
            for variant in endpoint.config.content["ProductionVariants"]
            if wanted.get(variant["VariantName"]) != variant.get("InstanceType")
            and self._targets.has(_scalable(endpoint, variant["VariantName"]))
        ]
        if held:
            raise invalid(
                f'The variant(s) "[{", ".join(held)}]" must be deregistered as autoscaling target(s) before '
                "they can be removed or have their instance type updated."
            )

    def _refuse_alarms(self, alarms: Sequence[str], fleet: Fleet) -> None:
        """Alarms must be there, and the execution role must see them. The words of both refusals are ours."""
        missing = self._alarms.missing(alarms)
        if missing:
            raise invalid(f"The alarm(s) [{', '.join(missing)}] of AutoRollbackConfiguration do not exist.")
        for role in {self._role(fleet.config, variant) for variant in fleet.variants.values()}:
            hidden = self._alarms.hidden_from(role, alarms)
            if hidden:
                raise invalid(
                    f'The execution role "{role}" needs cloudwatch:DescribeAlarms on the alarm(s) '
                    f"[{', '.join(hidden)}] of AutoRollbackConfiguration."
                )

    # ── containers ────────────────────────────────────────────────────────────────────────────────

    def _come_up(self, endpoint: Endpoint, policy: Mapping[str, Any] | None) -> None:
        """Start the first containers."""
        fleet = Fleet.of(endpoint.config)
        try:
            self._start_all(endpoint, fleet)
        except ContainerError as error:
            with self._lock:
                endpoint.failure = str(error)
                self._happen(endpoint, "containers do not answer")
            return
        with self._lock:
            endpoint.fleet, endpoint.last_policy = fleet, policy
            self._happen(endpoint, "containers answer")

    def _start_all(self, endpoint: Endpoint, fleet: Fleet) -> None:
        """Start every variant's container.

        Raises:
            ContainerError: one did not come to serve; none of them is left.
        """
        try:
            for variant in fleet.variants.values():
                self._start(endpoint, fleet, variant)
        except ContainerError:
            self._end(fleet)
            raise

    def _start(self, endpoint: Endpoint, fleet: Fleet, variant: LiveVariant) -> None:
        if self._faults.is_short_of(str(variant.content.get("InstanceType"))):
            raise ContainerError(_NO_CAPACITY)
        try:
            variant.role = self._role(fleet.config, variant)
            model = self._definitions.model(str(variant.content.get("ModelName")))
            containers = self._definitions.containers(model)
        except ServiceError as gone:  # deleted since the config was made
            raise ContainerError(gone.message) from gone
        limit = variant.content.get("ContainerStartupHealthCheckTimeoutInSeconds", _START_LIMIT)
        serverless = variant.content.get("ServerlessConfig") or {}
        isolated = any(kept.content.get("EnableNetworkIsolation") for kept in (model, fleet.config))
        specs = [
            ContainerSpec(
                image=container.image,
                data=container.data,
                environment=container.environment,
                hostname=container.hostname,
                endpoint=endpoint.name,
                variant=variant.name,
                start_limit=float(limit),
                instance_type=variant.content.get("InstanceType"),
                memory_mb=serverless.get("MemorySizeInMB"),
                isolated=isolated,
            )
            for container in containers
        ]
        pipeline = self._host.pipeline(specs, variant.role)
        with self._lock:
            if self._stopped:
                pipeline.stop()
                raise ContainerError("The local cloud has stopped.")
            self._started.append(pipeline)
        fleet.pipelines[variant.name] = pipeline
        pipeline.start()

    def _role(self, config: Kept, variant: LiveVariant) -> str:
        model = self._definitions.model(str(variant.content.get("ModelName")))
        return str(config.content.get("ExecutionRoleArn") or model.content["ExecutionRoleArn"])

    def _end(self, fleet: Fleet) -> None:
        for pipeline in fleet.pipelines.values():
            pipeline.stop()
            with self._lock:
                if pipeline in self._started:
                    self._started.remove(pipeline)

    def _end_soon(self, endpoint: Endpoint, fleet: Fleet) -> None:
        label = f"endpoint {endpoint.name}: old containers end"
        self._scheduler.after(0, label, lambda: self._end(fleet))

    def _gone(self, endpoint: Endpoint) -> None:
        if endpoint.fleet is not None:
            self._end(endpoint.fleet)
        with self._lock:
            self._endpoints.pop(endpoint.name.lower(), None)
            self._tags.forget(endpoint.arn)

    # ── an update, step by step ───────────────────────────────────────────────────────────────────

    def _bring_up(self, endpoint: Endpoint, deployment: Deployment) -> None:
        """Start the new fleet, and begin to move traffic there."""
        # An alarm that rings already rolls the update back, whatever it rings for.
        if self._rolled_back_by_alarm(endpoint, deployment):
            return
        if deployment.rollout.guarded:
            with self._lock:
                self._announce_deployment(endpoint, deployment)
        try:
            self._start_all(endpoint, deployment.fleet)
        except ContainerError as error:
            self._fail(endpoint, deployment, str(error))
            return
        if not self._rolled_back_by_alarm(endpoint, deployment):
            self._shift(endpoint, deployment, deployment.rollout.steps)

    def _shift(self, endpoint: Endpoint, deployment: Deployment, steps: Sequence[Step]) -> None:
        """Take the first of the steps that are left, and watch it."""
        if not steps:
            self._finish(endpoint, deployment)
            return
        step, *rest = steps
        if not deployment.rollout.guarded:
            self._shift(endpoint, deployment, rest)
            return
        with self._lock:
            deployment.turns = Turns(step.share)
            where = _where(deployment)
            self._enter(endpoint, deployment, "ActivatingTraffic", f"Turning on traffic {where}.")
            if step.wait:
                baking = f"Baking for {step.wait} seconds ({step.wait_of}) with traffic enabled {where}."
                self._enter(endpoint, deployment, "Baking", baking)
        until = time.monotonic() + step.wait * self._pace.bake_factor
        self._bake(endpoint, deployment, rest, until)

    def _bake(self, endpoint: Endpoint, deployment: Deployment, rest: Sequence[Step], until: float) -> None:
        """Wait until the time has come for the next step, or an alarm rings."""
        if self._rolled_back_by_alarm(endpoint, deployment):
            return
        pause = until - time.monotonic()
        if pause <= 0:
            self._shift(endpoint, deployment, rest)
            return
        if deployment.rollout.alarms:
            pause = min(pause, self._pace.alarm_interval)
        self._later(pause, endpoint, lambda: self._bake(endpoint, deployment, rest, until))

    def _finish(self, endpoint: Endpoint, deployment: Deployment) -> None:
        with self._lock:
            before, endpoint.fleet = endpoint.fleet, deployment.fleet
            endpoint.config, endpoint.deployment = deployment.config, None
            endpoint.last_policy = deployment.policy
            self._happen(endpoint, "containers answer")
        if before is not None:
            self._end_soon(endpoint, before)

    def _rolled_back_by_alarm(self, endpoint: Endpoint, deployment: Deployment) -> bool:
        ringing = self._alarms.ringing(deployment.rollout.alarms)
        if ringing:
            reason = f"The deployment was rolled back: alarm(s) [{', '.join(ringing)}] in state ALARM."
            self._fail(endpoint, deployment, reason)
        return bool(ringing)

    def _fail(self, endpoint: Endpoint, deployment: Deployment, reason: str) -> None:
        """All traffic is the old fleet's again; the new one ends."""
        with self._lock:
            endpoint.failure = reason
            endpoint.deployment = None
            guarded = deployment.rollout.guarded
            self._happen(endpoint, "update fails, guarded" if guarded else "containers do not answer")
        self._end_soon(endpoint, deployment.fleet)
        if guarded:
            self._later(self._pace.rolling_back, endpoint, lambda: self._back(endpoint))

    def _back(self, endpoint: Endpoint) -> None:
        failed = self._faults.fails_to_roll_back(endpoint.name)
        with self._lock:
            self._happen(endpoint, "old containers do not come back" if failed else "old containers are back")

    def _enter(self, endpoint: Endpoint, deployment: Deployment, name: StageName, message: str) -> None:
        deployment.stage = Stage(name, message, calls.now())
        self._announce_deployment(endpoint, deployment)

    # ── figures ───────────────────────────────────────────────────────────────────────────────────

    def keep_within(self, name: str, variant: str, least: int, most: int) -> None:
        """Bring a variant's instance count between two bounds, as soon as the endpoint is in service."""
        with self._lock:
            endpoint = self._endpoint(name)
            endpoint.bounds[variant] = (least, most)
            if endpoint.status == "InService":
                self._fit(endpoint)

    def _fit(self, endpoint: Endpoint) -> None:
        bounds, endpoint.bounds = endpoint.bounds, {}
        fleet, changed = endpoint.fleet, False
        for name, (least, most) in bounds.items():
            variant = fleet.variants.get(name) if fleet is not None else None
            instances = variant.desired.instances if variant is not None else None
            if variant is None or instances is None or least <= instances <= most:
                continue
            variant.desired = replace(variant.desired, instances=min(max(instances, least), most))
            changed = True
        if changed and fleet is not None:
            self._happen(endpoint, "update is asked for")
            self._later(self._pace.updating, endpoint, lambda: self._rescale(endpoint, fleet))

    def _rescale(self, endpoint: Endpoint, fleet: Fleet) -> None:
        """What is desired arrives, if there are instances for it."""
        with self._lock:
            short = any(
                (variant.desired.instances or 0) > (variant.current.instances or 0)
                and self._faults.is_short_of(str(variant.content.get("InstanceType")))
                for variant in fleet.variants.values()
            )
            for variant in fleet.variants.values():
                if short:
                    variant.desired = variant.current
                else:
                    variant.arrive()
            endpoint.failure = _NO_CAPACITY if short else None
            self._happen(endpoint, "capacity is missing" if short else "capacity is there")
        if short:
            self._later(self._pace.rolling_back, endpoint, lambda: self._back(endpoint))

    # ── what is told ──────────────────────────────────────────────────────────────────────────────

    def _happen(self, endpoint: Endpoint, happening: Happening) -> None:
        following = states.after(endpoint.status, happening)
        if following is None:
            raise RuntimeError(f"{happening!r} cannot happen to an endpoint that is {endpoint.status}")
        endpoint.status = following
        endpoint.modified = max(calls.now(), endpoint.modified + dt.timedelta(milliseconds=1))
        self._announce(endpoint)
        if following == "InService" and endpoint.bounds:
            self._fit(endpoint)

    def _announce(self, endpoint: Endpoint) -> None:
        detail = endpoints.state_change(endpoint, self._tags.of(endpoint.arn))
        self._events.announce("aws.sagemaker", "SageMaker Endpoint State Change", detail, [endpoint.arn])

    def _announce_deployment(self, endpoint: Endpoint, deployment: Deployment) -> None:
        detail = endpoints.deployment_state_change(endpoint, deployment, self._tags.of(endpoint.arn))
        kind = "SageMaker Endpoint Deployment State Change"
        self._events.announce("aws.sagemaker", kind, detail, [endpoint.arn])

    def _later(self, pause: float, endpoint: Endpoint, action: Callable[[], None]) -> None:
        self._scheduler.after(pause, f"endpoint {endpoint.name}: {endpoint.status}", action)

    def _endpoint(self, name: str) -> Endpoint:
        with self._lock:
            found = self._endpoints.get(name.lower())
        if found is None:
            raise invalid(f'Could not find endpoint "{self._arn(name)}".')
        return found

    def _arn(self, name: str) -> str:
        return sagemaker_arn(self._region, "endpoint", name)


def _scalable(endpoint: Endpoint, variant: str) -> str:
    """The resource id of a variant as a scalable target."""
    return f"endpoint/{endpoint.name}/variant/{variant}"


def _refuse_in_progress(endpoint: Endpoint) -> None:
    if endpoint.status in states.IN_PROGRESS:
        raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')


def _refuse_other_variants(old: Fleet, new: Fleet) -> None:
    if set(old.variants) != set(new.variants):
        raise invalid(
            "The new endpoint configuration must have the same variant names as the old one: "
            f"[{', '.join(sorted(new.variants))}] instead of [{', '.join(sorted(old.variants))}]."
        )
    for name, variant in new.variants.items():
        if variant.desired.instances is None and old.variants[name].desired.instances is not None:
            raise invalid(
                "You cannot convert your instance-based, real-time endpoint to a serverless endpoint."
            )


def _where(deployment: Deployment) -> str:
    """Where the new fleet has traffic, as a status message says it."""
    instances = sum(
        endpoints.active(deployment, variant) or 0 for variant in deployment.fleet.variants.values()
    )
    if deployment.turns.share == 1:
        return f"on the full capacity of {instances} instance(s)"
    kind = "rolling" if deployment.rollout.replaces else "canary"
    return f"on {kind} capacity of {instances} instance(s)"
