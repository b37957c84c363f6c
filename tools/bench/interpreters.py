"""Fresh interpreters, and what each of them costs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# What the template gives to functions, as far as one needs it to start; and an account that is nobody's.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    # Powertools looks at this: without it, parts that a function never uses are imported.
    "LAMBDA_TASK_ROOT": "/var/task",
    "POWERTOOLS_METRICS_NAMESPACE": "Modelgate",
    "MODELGATE_STACK": "modelgate",
    "MODELGATE_BUCKET": "intake",
    "MODELGATE_TABLE": "state",
    "MODELGATE_BUS": "announcements",
    "MODELGATE_SAGEMAKER_ARN": "arn:aws:sagemaker:eu-central-1:123456789012",
    "MODELGATE_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/execution",
    "MODELGATE_TRAINING_ROLE_ARN": "arn:aws:iam::123456789012:role/training",
    "MODELGATE_STUDIO_ROLE_ARN": "arn:aws:iam::123456789012:role/studio",
    "MODELGATE_BUILDER": "modelgate-images",
}


def environment(*path: Path) -> dict[str, str]:
    """Of a process that finds its modules there, and knows nothing of its user's settings."""
    return {
        **ENVIRONMENT,
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": os.pathsep.join(map(str, path)),
    }


def processor_seconds(
    python: Path, program: str, environment: dict[str, str], *, with_exit: bool = False
) -> float:
    """The processor time of one fresh interpreter until it comes to the end of the program, in seconds.

    Args:
        with_exit: counts as well how it takes itself apart behind that. No function ever does, and it is a
            third of what a process with many objects takes.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [str(python), "-c", program if with_exit else f"{program}\nimport os; os._exit(0)"]
    with subprocess.Popen(command, env=environment) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_utime + used.ru_stime
