"""What the figures were measured on: the kind of machine, never which one."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from build import runtimes_or_own

PACKAGES = ("boto3", "botocore", "pydantic", "aws-lambda-powertools", "moto")
_CPUINFO = Path("/proc/cpuinfo")


def measure() -> dict[str, object]:
    """The machine, the interpreters, and the versions of what is measured and measured with."""
    python, _ = runtimes_or_own()
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "functions_python": _version_of(python),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    lines = _CPUINFO.read_text().splitlines() if _CPUINFO.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _version_of(python: Path) -> str:
    program = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
