"""Models and endpoint configs: what endpoints are made from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import Any

from localcloud import calls
from localcloud.calls import Call, Operation, Reply
from localcloud.errors import ServiceError, invalid
from localcloud.model_data import ModelData
from localcloud.permissions import sagemaker_arn
from localcloud.sagemaker import containers
from localcloud.sagemaker.containers import Container
from localcloud.sagemaker.listing import created_within, in_order, page
from localcloud.sagemaker.registry import ModelRegistry, Package
from localcloud.sagemaker.tags import Tags

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
# "Deploy models with Amazon SageMaker Serverless Inference", feature exclusions: of the config itself …
_NOT_SERVERLESS_CONFIG = (
    "DataCaptureConfig",
    "AsyncInferenceConfig",
    "ShadowProductionVariants",
    "VpcConfig",
    "EnableNetworkIsolation",
)
# … and of the models in it.
_NOT_SERVERLESS_MODEL = ("VpcConfig", "EnableNetworkIsolation")
_SERVERLESS_MEMORY = range(1024, 6145, 1024)


@dataclass
class Kept:
    """A model or an endpoint config: what it was created with.

    Attributes:
        resolved: of a model, the images that it serves by the names that it knows them by.
    """

    name: str
    arn: str
    content: Mapping[str, Any]
    created: dt.datetime
    resolved: Mapping[str, str] = field(default_factory=dict)


class Definitions:
    """Keeps models and endpoint configs.

    Args:
        complaint_about: why a role, by its ARN, cannot read the data of a model; None if it can.
        resolved_image: the image that a name means for a role; raises ServiceError if there is none.
    """

    def __init__(
        self,
        region: str,
        registry: ModelRegistry,
        tags: Tags,
        complaint_about: Callable[[ModelData, str], str | None],
        resolved_image: Callable[[str, str], str],
    ) -> None:
        self._region = region
        self._registry = registry
        self._tags = tags
        self._complaint_about = complaint_about
        self._resolved_image = resolved_image
        self._lock = RLock()
        self._models: dict[str, Kept] = {}
        self._configs: dict[str, Kept] = {}

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "CreateModel": self._create_model,
            "DescribeModel": self._describe_model,
            "ListModels": lambda call: self._list(call, list(self._models.values()), "Models", "Model"),
            "DeleteModel": self._delete_model,
            "CreateEndpointConfig": self._create_config,
            "DescribeEndpointConfig": self._describe_config,
            "ListEndpointConfigs": lambda call: self._list(
                call, list(self._configs.values()), "EndpointConfigs", "EndpointConfig"
            ),
            "DeleteEndpointConfig": self._delete_config,
        }

    def exists(self, arn: str) -> bool:
        """Whether a model or config has this ARN."""
        with self._lock:
            return any(item.arn == arn for item in (*self._models.values(), *self._configs.values()))

    def model(self, name: str) -> Kept:
        """The model of this name.

        Raises:
            ServiceError: there is none.
        """
        return self._kept(self._models, "model", name)

    def config(self, name: str) -> Kept:
        """The endpoint config of this name.

        Raises:
            ServiceError: there is none.
        """
        return self._kept(self._configs, "endpoint-config", name)

    def containers(self, model: Kept) -> list[Container]:
        """What a model is served by, in the order in which requests go through it.

        Raises:
            ServiceError: its package is gone.
        """
        return [
            replace(container, image=model.resolved.get(container.image, container.image))
            for container in containers.resolved(model.content, self._of_package)
        ]

    def images(self, model_name: str) -> list[tuple[str, str]]:
        """The images that a model names itself, each with the one that it serves; none, if it is gone."""
        with self._lock:
            model = self._models.get(model_name.lower())
        if model is None:
            return []
        named = [str(item["Image"]) for item in containers.defined_in(model.content) if item.get("Image")]
        return [(image, model.resolved.get(image, image)) for image in named]

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
        resolved = self._check_containers(content, role)
        with self._lock:
            if name.lower() in self._models:
                raise invalid(f'Cannot create already existing model "{arn}".')
            self._models[name.lower()] = Kept(name, arn, content, calls.now(), resolved)
            self._tags.put(arn, call.params.get("Tags"))
        return Reply({"ModelArn": arn})

    def _check_containers(self, content: Mapping[str, Any], role: str) -> dict[str, str]:
        """The image that each container serves, by the name that it has in the request or the package."""
        if (content.get("InferenceExecutionConfig") or {}).get("Mode") == "Direct":
            raise ServiceError("NotImplemented", "Mode Direct is not simulated in the local cloud.", 501)
        for definition in containers.defined_in(content):
            if definition.get("ModelPackageName"):
                self._refuse_unapproved(self._registry.package(definition["ModelPackageName"]))
        images = {}
        for container in containers.resolved(content, self._of_package):
            images[container.image] = self._resolved_image(container.image, role)
            complaint = self._complaint_about(container.data, role) if container.data is not None else None
            if complaint:
                raise invalid(complaint)
        return images

    @staticmethod
    def _refuse_unapproved(package: Package) -> None:
        if package.group is not None and package.approval != "Approved":
            raise invalid(
                f'Cannot create a model from ModelPackage "{package.arn}": its ModelApprovalStatus is '
                f"{package.approval}, not Approved."
            )

    def _of_package(self, name: str) -> Sequence[Mapping[str, Any]]:
        package = self._registry.package(name)
        specification = package.content.get("InferenceSpecification")
        if specification is None:
            raise invalid(f'ModelPackage "{package.arn}" has no InferenceSpecification.')
        found: list[Mapping[str, Any]] = specification["Containers"]
        return found

    def _describe_model(self, call: Call) -> Reply:
        model = self.model(call.params["ModelName"])
        told = {"ModelName": model.name, "ModelArn": model.arn, "CreationTime": model.created}
        return Reply({"EnableNetworkIsolation": False, **model.content, **told})

    def _delete_model(self, call: Call) -> Reply:
        model = self.model(call.params["ModelName"])
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
            content = _only(call, _CONFIG_MEMBERS)
            for variant in [*variants, *call.params.get("ShadowProductionVariants", [])]:
                self._check_variant(variant)
            if any(variant.get("ServerlessConfig") for variant in variants):
                self._check_serverless(content)
            self._configs[name.lower()] = Kept(name, arn, content, calls.now())
            self._tags.put(arn, call.params.get("Tags"))
        return Reply({"EndpointConfigArn": arn})

    def _check_variant(self, variant: Mapping[str, Any]) -> None:
        if variant.get("ModelName"):
            self.model(variant["ModelName"])
        serverless = variant.get("ServerlessConfig")
        if serverless is None and not variant.get("InstanceType"):
            raise invalid(f"Variant {variant['VariantName']} needs an InstanceType or a ServerlessConfig.")
        if serverless is not None and (variant.get("InstanceType") or variant.get("InitialInstanceCount")):
            raise invalid(f"Variant {variant['VariantName']} is serverless and has no instances.")
        if serverless is None and not variant.get("InitialInstanceCount"):
            raise invalid(f"Variant {variant['VariantName']} needs an InitialInstanceCount.")
        if serverless is not None and serverless["MemorySizeInMB"] not in _SERVERLESS_MEMORY:
            raise invalid("MemorySizeInMB must be 1024, 2048, 3072, 4096, 5120 or 6144.")

    def _check_serverless(self, content: Mapping[str, Any]) -> None:
        """Refuse what serverless variants exclude. The list is AWS's; the words are ours."""
        for member in _NOT_SERVERLESS_CONFIG:
            if content.get(member):
                raise invalid(f"{member} is not supported for serverless endpoints.")
        for variant in content["ProductionVariants"]:
            model = self.model(variant["ModelName"])
            for member in _NOT_SERVERLESS_MODEL:
                if model.content.get(member):
                    raise invalid(
                        f'{member} of model "{model.arn}" is not supported for serverless endpoints.'
                    )
            served_by = self.containers(model)
            if len(served_by) > 1:
                raise invalid(
                    f'Model "{model.arn}" is an inference pipeline, which is not supported for serverless '
                    "endpoints."
                )
            if any(item.data is not None and item.data.by_source for item in served_by):
                raise invalid(
                    f'ModelDataSource of model "{model.arn}" is not supported for serverless endpoints.'
                )

    def _describe_config(self, call: Call) -> Reply:
        config = self.config(call.params["EndpointConfigName"])
        told = {
            "EndpointConfigName": config.name,
            "EndpointConfigArn": config.arn,
            "CreationTime": config.created,
        }
        return Reply({**config.content, **told})

    def _delete_config(self, call: Call) -> Reply:
        config = self.config(call.params["EndpointConfigName"])
        with self._lock:
            self._configs.pop(config.name.lower(), None)
            self._tags.forget(config.arn)
        return Reply()

    # ── both ──────────────────────────────────────────────────────────────────────────────────────

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

    def _kept(self, where: Mapping[str, Kept], kind: str, name: str) -> Kept:
        with self._lock:
            found = where.get(name.lower())
        if found is None:
            what = {"model": "model", "endpoint-config": "endpoint configuration"}[kind]
            raise invalid(f'Could not find {what} "{self._arn(kind, name)}".')
        return found

    def _arn(self, kind: str, name: str) -> str:
        return sagemaker_arn(self._region, kind, name)


def _only(call: Call, members: Sequence[str]) -> dict[str, Any]:
    return {member: call.params[member] for member in members if member in call.params}
