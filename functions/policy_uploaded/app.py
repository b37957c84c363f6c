"""A policy is checked, remembered, and rolled out to the endpoints of its groups."""

from modelgate.deployment.reconcile import Report
from modelgate.events import ObjectCreated
from modelgate.runtime import Runtime, handles


@handles(ObjectCreated)
def handler(uploaded: ObjectCreated, runtime: Runtime) -> Report:
    return runtime.policy_uploads.received(uploaded.key, runtime.invocation)
