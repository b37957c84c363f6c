"""An upload under sources/ is built into an image, or is refused with the reason."""

from modelgate import collector

with collector.paused():
    from modelgate.builds.publishing import Summary
    from modelgate.events.s3 import ObjectCreated
    from modelgate.runtime import Runtime, handles


@handles(ObjectCreated)
def handler(uploaded: ObjectCreated, runtime: Runtime) -> Summary:
    return runtime.builder.receive(uploaded.key, runtime.invocation)
