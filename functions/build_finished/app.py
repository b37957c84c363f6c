"""A build that is over becomes an image known by its digest, or the reasons why there is none."""

from modelgate import collector

with collector.paused():
    from modelgate.builds.publishing import Summary
    from modelgate.events.codebuild import BuildStateChange
    from modelgate.runtime import Runtime, handles


@handles(BuildStateChange)
def handler(changed: BuildStateChange, runtime: Runtime) -> Summary:
    return runtime.publisher.build_changed(changed.build_id)
