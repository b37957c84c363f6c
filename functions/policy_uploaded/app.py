"""A policy is checked, remembered, and rolled out to the endpoints of its groups."""

from modelgate import collector

with collector.paused():
    from modelgate.deployment.reconcile import Report
    from modelgate.events.s3 import ObjectCreated
    from modelgate.runtime import Runtime, handles


@handles(ObjectCreated)
def handler(uploaded: ObjectCreated, runtime: Runtime) -> Report:
    return runtime.policy_uploads.received(uploaded.key, runtime.invocation)
