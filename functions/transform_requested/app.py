"""A batch transform is asked for: its document is read, and the job is started or refused."""

from modelgate import collector

with collector.paused():
    from modelgate.events.s3 import ObjectCreated
    from modelgate.run_items import Summary
    from modelgate.runtime import Runtime, handles


@handles(ObjectCreated)
def handler(uploaded: ObjectCreated, runtime: Runtime) -> Summary:
    return runtime.transformer.receive(uploaded.key, runtime.invocation)
