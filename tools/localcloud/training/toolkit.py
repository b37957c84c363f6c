"""What runs training scripts for prebuilt containers: SageMaker's training toolkit, where it is installed.

It needs a C compiler to install, so it has an environment of its own, .venv-toolkit, which
``make test-toolkit`` makes. Without it `localcloud.containers.training` does the same.
"""

from __future__ import annotations

import os
from pathlib import Path

from localcloud.training.processes import ProcessCluster

VARIABLE = "LOCALCLOUD_TRAINING_PYTHON"
_MADE = Path(__file__).resolve().parents[3] / ".venv-toolkit"


def toolkit_python() -> str | None:
    """The interpreter that has the training toolkit; None if none is known.

    The variable LOCALCLOUD_TRAINING_PYTHON names one, or, if it is empty, says to do without.
    """
    if (named := os.environ.get(VARIABLE)) is not None:
        return named or None
    # The mark is made last.
    return str(_MADE / "bin/python") if (_MADE / ".installed").exists() else None


def script_hosts(toolkit: str | None, without: str) -> ProcessCluster:
    """Hosts for a job with a prebuilt container.

    Args:
        toolkit: an interpreter with the training toolkit and the frameworks.
        without: an interpreter with the frameworks, which is taken if there is no other.
    """
    if toolkit is None:
        return ProcessCluster(python=without)
    return ProcessCluster(python=toolkit, command=["localcloud.containers.toolkit"])
