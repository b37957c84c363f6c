"""What an operator tells an endpoint besides approving; the `modelgate` command invokes this function."""

from modelgate import collector

with collector.paused():
    from modelgate.deployment.reconcile import Report
    from modelgate.events.own import Instruction
    from modelgate.runtime import Runtime, handles


@handles(Instruction)
def handler(instruction: Instruction, runtime: Runtime) -> Report:
    return runtime.instructions.carry_out(instruction, runtime.invocation)
