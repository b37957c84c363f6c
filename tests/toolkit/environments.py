"""Says what SageMaker's training toolkit makes of /opt/ml/input/config, again for each line that it is sent.

It runs in the interpreter that has the toolkit, and imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any


def main() -> None:
    environment: Any = import_module("sagemaker_training.environment")
    for _ in sys.stdin:
        told = environment.Environment()
        print(json.dumps({"variables": told.to_env_vars(), "arguments": told.to_cmd_args()}), flush=True)


if __name__ == "__main__":
    main()
