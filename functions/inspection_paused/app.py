"""Reads on where the last invocation stopped; at the end of the artifact, it registers."""

from modelgate import collector

with collector.paused():
    from modelgate.events.own import InspectionPaused
    from modelgate.registry.registration import Summary
    from modelgate.runtime import Runtime, handles


@handles(InspectionPaused)
def handler(paused: InspectionPaused, runtime: Runtime) -> Summary:
    return runtime.registrar.go_on(paused.submission, runtime.invocation)
