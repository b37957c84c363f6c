"""What an asynchronous endpoint answered decides the attempt that waits for it."""

from modelgate import collector

with collector.paused():
    from modelgate.deployment.reconcile import Report
    from modelgate.events.s3 import ObjectCreated
    from modelgate.runtime import Runtime, handles


@handles(ObjectCreated)
def handler(answered: ObjectCreated, runtime: Runtime) -> Report:
    return runtime.reconciler.answered(answered.key, runtime.invocation)
