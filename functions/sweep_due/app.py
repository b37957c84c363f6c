"""Every quarter of an hour, what events that were lost would have done is done."""

from modelgate.deployment.sweep import SweepReport
from modelgate.events import SweepDue
from modelgate.runtime import Runtime, handles


@handles(SweepDue)
def handler(_: SweepDue, runtime: Runtime) -> SweepReport:
    return runtime.sweep.run(runtime.invocation)
