"""What became of an endpoint closes its attempt, and what is desired by now is taken up."""

from modelgate import collector

with collector.paused():
    from modelgate.deployment.reconcile import Report
    from modelgate.events.sagemaker import EndpointStateChange
    from modelgate.runtime import Runtime, handles


@handles(EndpointStateChange)
def handler(changed: EndpointStateChange, runtime: Runtime) -> Report:
    return runtime.reconciler.endpoint_changed(changed, runtime.invocation)
