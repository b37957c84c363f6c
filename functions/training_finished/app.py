"""A training job is over: what it made becomes a submission, or why it failed is told."""

from modelgate import collector

with collector.paused():
    from modelgate.events.sagemaker import TrainingJobStateChange
    from modelgate.runtime import Runtime, handles
    from modelgate.training.runs import Summary


@handles(TrainingJobStateChange)
def handler(changed: TrainingJobStateChange, runtime: Runtime) -> Summary:
    return runtime.training_follower.job_changed(changed.job, runtime.invocation)
