"""Every quarter of an hour, what events that were lost would have done is done."""

from modelgate import collector

with collector.paused():
    from modelgate.deployment.sweep import SweepReport
    from modelgate.events.schedule import SweepDue
    from modelgate.runtime import Runtime, handles


@handles(SweepDue)
def handler(_: SweepDue, runtime: Runtime) -> SweepReport:
    return runtime.sweep.run(runtime.invocation)
