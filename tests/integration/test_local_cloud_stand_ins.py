"""The processes that stand in for prebuilt containers, among everything else that runs on the machine."""

from __future__ import annotations

import sys
from pathlib import Path
from queue import SimpleQueue

from localcloud.serving import ContainerSpec
from localcloud.stand_in import StandIn
from tests.integration.test_local_cloud_sagemaker import SKLEARN

TAKES_ITS_PORT = """
import os
import socket

def model_fn(folder):
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])))
"""


def test_nobody_else_gets_the_port_of_a_stand_in_while_it_loads_its_model(tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text(TAKES_ITS_PORT)
    environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": str(tmp_path)}
    spec = ContainerSpec(SKLEARN, None, environment, None, "iris", "AllTraffic", 20.0)
    said: SimpleQueue[str] = SimpleQueue()
    stand_in = StandIn(spec, tmp_path, said.put, python=sys.executable)
    lines = iter(lambda: said.get(timeout=20), "")
    outcome = next(line for line in lines if line.startswith(("OSError", "serving on port")))
    stand_in.stop(5)
    assert "Address already in use" in outcome
