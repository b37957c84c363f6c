"""An approval or rejection changes the desired version, and the endpoint is moved there."""

from modelgate import collector

with collector.paused():
    from modelgate.deployment.reconcile import Report
    from modelgate.events.sagemaker import ModelPackageStateChange
    from modelgate.runtime import Runtime, handles


@handles(ModelPackageStateChange)
def handler(changed: ModelPackageStateChange, runtime: Runtime) -> Report:
    return runtime.decisions.changed(changed, runtime.invocation)
