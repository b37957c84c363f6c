"""Somebody called Studio's API: a domain that a document holds is looked at, and goes on or is put back."""

from modelgate import collector

with collector.paused():
    from modelgate.events.cloudtrail import StudioCalled
    from modelgate.runtime import Runtime, handles
    from modelgate.studio.keeping import Look


@handles(StudioCalled)
def handler(called: StudioCalled, runtime: Runtime) -> Look:
    return runtime.keeper.studio_changed(called, runtime.invocation)
