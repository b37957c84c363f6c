"""An upload under sources/ is built into an image, or is refused with the reason."""

from modelgate.builds.publishing import Summary
from modelgate.events import ObjectCreated
from modelgate.runtime import Runtime, handles


@handles(ObjectCreated)
def handler(uploaded: ObjectCreated, runtime: Runtime) -> Summary:
    return runtime.builder.receive(uploaded.key, runtime.invocation)
