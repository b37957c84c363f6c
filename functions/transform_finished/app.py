"""A batch transform is over: where its answers lie is told, or why it failed."""

from modelgate import collector

with collector.paused():
    from modelgate.events.sagemaker import TransformJobStateChange
    from modelgate.run_items import Summary
    from modelgate.runtime import Runtime, handles


@handles(TransformJobStateChange)
def handler(changed: TransformJobStateChange, runtime: Runtime) -> Summary:
    return runtime.transform_follower.job_changed(changed.job)
