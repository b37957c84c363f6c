"""A batch transform is asked for: its document is read, and the job is started or refused."""

from modelgate import collector

with collector.paused():
    from modelgate.events.s3 import ObjectCreated
    from modelgate.runtime import Runtime, handles
    from modelgate.transform.runs import Summary


@handles(ObjectCreated)
def handler(uploaded: ObjectCreated, runtime: Runtime) -> Summary:
    return runtime.transformer.receive(uploaded.key, runtime.invocation)
