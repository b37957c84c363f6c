"""Application Auto Scaling for the variants of endpoints: what moto, which keeps targets and policies, lacks.

A target needs a variant, a policy needs a target, and a variant comes into the bounds of its target when it
is registered. Nothing scales by a metric. Whoever deletes an endpoint deregisters its variants by that, and
must be allowed to ("Delete endpoints configured for auto scaling" in the SageMaker Developer Guide).
"""

from __future__ import annotations

from collections.abc import Sequence

from localcloud.access import AccessControl
from localcloud.calls import Call
from localcloud.errors import ServiceError, invalid
from localcloud.moto_state import MotoState
from localcloud.permissions import scaling_demand
from localcloud.sagemaker.hosting import Hosting
from localcloud.wire import Response

_INSTANCES = "sagemaker:variant:DesiredInstanceCount"
_NEED_A_TARGET = frozenset({"DeregisterScalableTarget", "PutScalingPolicy", "DeleteScalingPolicy"})


class ScalableTargets:
    """The targets that are registered, as SageMaker looks at them while it updates and deletes endpoints."""

    def __init__(self, moto: MotoState, access: AccessControl) -> None:
        self._moto = moto
        self._access = access

    def has(self, resource: str) -> bool:
        """Whether a resource id is registered, in any dimension."""
        return bool(self._moto.scaled_dimensions(resource))

    def deregister(self, call: Call, resources: Sequence[str]) -> None:
        """Deregister what is registered, in the name of whoever makes the call.

        Raises:
            ServiceError: the caller may not; nothing is deregistered.
        """
        found = [(each, dimension) for each in resources for dimension in self._moto.scaled_dimensions(each)]
        for _, dimension in found:
            action = "application-autoscaling:DeregisterScalableTarget"
            self._access.require(call, scaling_demand(action, call.region, "sagemaker", dimension))
        for resource, dimension in found:
            self._moto.forget_scalable_target(resource, dimension)


class Autoscaling:
    """Stands before and after moto's answers."""

    def __init__(self, moto: MotoState, hosting: Hosting) -> None:
        self._moto = moto
        self._hosting = hosting

    def check(self, call: Call) -> None:
        """Refuse what AWS refuses and moto does not.

        Raises:
            ServiceError: there is no such variant or target, or the bounds make no sense.
        """
        if call.params.get("ServiceNamespace") != "sagemaker":
            return
        if call.operation == "RegisterScalableTarget":
            self._check_registration(call)
        elif call.operation in _NEED_A_TARGET:
            self._check_registered(call)

    def after(self, call: Call, response: Response) -> None:
        """Do what follows from an answer of moto's."""
        if response.status >= 300 or call.params.get("ServiceNamespace") != "sagemaker":
            return
        resource = str(call.params.get("ResourceId"))
        if call.operation == "RegisterScalableTarget" and call.params["ScalableDimension"] == _INSTANCES:
            endpoint, variant = _place(resource)
            bounds = self._moto.scalable_target(resource, _INSTANCES)
            if bounds is not None:
                self._hosting.keep_within(endpoint, variant, *bounds)
        elif call.operation == "DeregisterScalableTarget":
            self._moto.forget_scaling_policies(resource, call.params["ScalableDimension"])

    def _check_registration(self, call: Call) -> None:
        resource, dimension = call.params["ResourceId"], call.params["ScalableDimension"]
        endpoint, variant = _place(resource)
        if not self._hosting.has_variant(endpoint, variant):
            # That AWS refuses it is documented; in which words is not.
            raise invalid(f"SageMaker endpoint variant doesn't exist: {resource}")
        known = self._moto.scalable_target(resource, dimension) or (None, None)
        least = call.params.get("MinCapacity", known[0])
        most = call.params.get("MaxCapacity", known[1])
        if least is None or most is None:
            raise invalid("MinCapacity and MaxCapacity are required to register a new scalable target.")
        if least > most:
            raise invalid("Minimum capacity cannot be greater than maximum capacity.")

    def _check_registered(self, call: Call) -> None:
        resource, dimension = call.params["ResourceId"], call.params["ScalableDimension"]
        where = f"service namespace: sagemaker, resource ID: {resource}, scalable dimension: {dimension}"
        if self._moto.scalable_target(resource, dimension) is None:
            raise ServiceError("ObjectNotFoundException", f"No scalable target found for {where}")
        if call.operation == "DeleteScalingPolicy":
            name = call.params["PolicyName"]
            if not self._moto.has_scaling_policy(resource, dimension, name):
                message = f"No scaling policy found for {where}, policy name: {name}"
                raise ServiceError("ObjectNotFoundException", message)


def _place(resource: str) -> tuple[str, str]:
    """Endpoint and variant of ``endpoint/<name>/variant/<variant>``.

    Raises:
        ServiceError: it is not such a resource id.
    """
    parts = resource.split("/")
    if len(parts) != 4 or (parts[0], parts[2]) != ("endpoint", "variant"):
        raise invalid("Unsupported service namespace, resource type or scalable dimension")
    return parts[1], parts[3]
