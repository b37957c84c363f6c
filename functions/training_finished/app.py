"""A training job is over: what it made becomes a submission, or why it failed is told."""

from modelgate import collector

with collector.paused():
    from modelgate.events.sagemaker import TrainingJobStateChange
    from modelgate.run_items import Summary
    from modelgate.runtime import Runtime, handles


@handles(TrainingJobStateChange)
def handler(changed: TrainingJobStateChange, runtime: Runtime) -> Summary:
    return runtime.training_follower.job_changed(changed.job, runtime.invocation)
