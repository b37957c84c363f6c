"""What prebuilt containers do for ``train``, through SageMaker's own training toolkit.

It runs in an interpreter that has the toolkit: ``make test-toolkit`` makes one.
`localcloud.containers.training` does the same without.

A prebuilt image names a module of its own in SAGEMAKER_TRAINING_MODULE, which the toolkit calls, and which
runs the user's script. Those modules are not published as packages, so the one that is named is made here.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import tempfile
import threading
from types import ModuleType
from typing import Any

_MODULE = "SAGEMAKER_TRAINING_MODULE"


def main() -> None:
    """Train, and exit as the toolkit does."""
    _end_with_stdin()
    # The first process of a container gets no SIGTERM that it does not ask for, and the toolkit does not.
    # With a function, not with SIG_IGN, which the script would inherit.
    signal.signal(signal.SIGTERM, lambda *_: None)
    _keep_packages_apart()
    name, _, function = os.environ[_MODULE].partition(":")
    module = ModuleType(name)
    setattr(module, function, _run_script)
    sys.modules[name] = module
    # It reads the environment when it is imported.
    trainer: Any = importlib.import_module("sagemaker_training.trainer")
    trainer.train()


def _run_script() -> None:
    entry_point: Any = importlib.import_module("sagemaker_training.entry_point")
    environment: Any = importlib.import_module("sagemaker_training.environment")
    told = environment.Environment()
    if told.user_entry_point is None and "xgboost" in os.environ[_MODULE]:
        from localcloud.containers.xgboost_algorithm import fit

        environment.write_env_vars(told.to_env_vars())
        fit()
        return
    logging.getLogger(__name__).info("Invoking user training script.")
    entry_point.run(
        uri=told.module_dir,
        user_entry_point=told.user_entry_point,
        args=told.to_cmd_args(),
        env_vars=told.to_env_vars(),
    )


def _keep_packages_apart() -> None:
    """A container is thrown away, this interpreter is not: requirements are installed elsewhere."""
    folder = tempfile.mkdtemp(prefix="requirements-")
    os.environ["PIP_TARGET"] = folder
    # The toolkit hands its own path on to the script.
    sys.path.insert(0, folder)


def _end_with_stdin() -> None:
    """Whoever started this process holds its standard input open for as long as he lives."""
    if not os.environ.get("LOCALCLOUD_ENDS_WITH_STDIN"):
        return

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main()
