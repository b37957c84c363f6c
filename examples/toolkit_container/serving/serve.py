#!/usr/bin/env -S python3 -P
"""What SageMaker runs to serve: docker run IMAGE serve. The inference toolkit starts Multi Model Server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Both toolkits read it. What the image says there is the training toolkit's script, and no handlers.
_PROGRAM, _TRAINING_SCRIPT = "SAGEMAKER_PROGRAM", "train.py"


def main() -> None:
    """Serves until SIGTERM.

    Raises:
        SystemExit: the model cannot be loaded.
    """
    if os.environ.get(_PROGRAM) == _TRAINING_SCRIPT:
        del os.environ[_PROGRAM]
    # Both read the environment when they are imported.
    from sagemaker_inference import model_server
    from sagemaker_inference.environment import code_dir, model_dir

    # Multi Model Server answers /ping before a worker has loaded the model, and also if none ever can, and so
    # requests would come. A model with code of its own may need packages that the toolkit installs later.
    if not Path(code_dir).exists():
        command = [sys.executable, "-P", "-m", "serving.inference_handler", model_dir]
        tried = subprocess.run(command, check=False)  # noqa: S603
        if tried.returncode:
            sys.exit(f"the model in {model_dir} cannot be loaded, so it is not served")
    model_server.start_model_server(handler_service="serving.handler_service")


if __name__ == "__main__":
    main()
