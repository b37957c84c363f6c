"""An upload under models/ becomes a version in the registry, or is refused with the reason."""

from modelgate import collector

with collector.paused():
    from modelgate.events.s3 import ObjectCreated
    from modelgate.registry.registration import Summary
    from modelgate.runtime import Runtime, handles


@handles(ObjectCreated)
def handler(uploaded: ObjectCreated, runtime: Runtime) -> Summary:
    return runtime.registrar.receive(uploaded.key, runtime.invocation)
