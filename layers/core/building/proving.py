"""Proves that what was built works: nothing that is needed was left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# In an interpreter of its own, which knows nothing but the artifact and the standard library.
_PROGRAM = """
import importlib, pathlib, sys
folder, services = pathlib.Path(sys.argv[1]), sys.argv[2:]
sys.path.insert(0, str(folder))
for file in sorted((folder / "modelgate").rglob("*.py")):
    parts = file.relative_to(folder).with_suffix("").parts
    importlib.import_module(".".join(parts).removesuffix(".__init__"))
from modelgate.aws.session import of_this_process
session = of_this_process()
for service in services:
    client = session.client(service, region_name="eu-central-1")
    for operation in client.meta.method_to_api_mapping:
        if client.can_paginate(operation):
            client.get_paginator(operation)
"""


def prove(folder: Path, services: frozenset[str]) -> None:
    """Imports every module of modelgate, and makes a client of every service.

    Raises:
        subprocess.CalledProcessError: something is missing; the traceback stands on standard error.
    """
    subprocess.run([sys.executable, "-I", "-B", "-c", _PROGRAM, str(folder), *sorted(services)], check=True)
