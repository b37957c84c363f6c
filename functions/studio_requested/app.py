"""A document of Studio is uploaded or deleted: what there is, is moved to it as far as it can be now."""

from modelgate import collector

with collector.paused():
    from modelgate.events.s3 import ObjectChanged
    from modelgate.runtime import Runtime, handles
    from modelgate.studio.keeping import Look


@handles(ObjectChanged)
def handler(changed: ObjectChanged, runtime: Runtime) -> Look:
    return runtime.keeper.document_changed(changed.key, runtime.invocation)
