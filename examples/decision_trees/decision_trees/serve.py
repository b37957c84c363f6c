#!/usr/bin/env -S python3 -P
"""What SageMaker runs to serve: docker run IMAGE serve. nginx in front of gunicorn, until SIGTERM.

AWS describes what is asked of it in "Custom Inference Code with Hosting Services".
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The command `serve` is a link to this file.
CONF = Path(__file__).resolve().with_name("webserver.conf")
# SageMaker runs containers as root; what answers requests has fewer rights.
_UNPRIVILEGED = "www-data"
# In each worker, so that /ping is answered in its two seconds while long requests are at work.
_THREADS = 4
# SageMaker sends SIGKILL 30 seconds after SIGTERM. webserver.conf gives nginx 18 of them.
_NGINX_SECONDS = 20.0
_GUNICORN_SECONDS = 6.0
_WAITING = 1024
_HEARD = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


@dataclass(frozen=True)
class Settings:
    """What the environment says.

    Attributes:
        port: where to listen; another one than 8080 in inference pipelines and multi-container endpoints.
        workers: how many processes answer requests.
        max_body_mb: the largest request; 0 for any. Batch transform says what it will send.
    """

    port: int
    workers: int
    max_body_mb: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Reads the variables of SageMaker, and ours: MODEL_SERVER_WORKERS.

        Raises:
            SystemExit: one of them is no number.
        """

        def number(name: str, otherwise: int, least: int) -> int:
            text = environment.get(name, "").strip() or str(otherwise)
            if not text.isdecimal() or int(text) < least:
                sys.exit(f"{name} is {text!r}; set it to a whole number from {least}, or leave it out")
            return int(text)

        return cls(
            port=number("SAGEMAKER_BIND_TO_PORT", 8080, 1),
            workers=number("MODEL_SERVER_WORKERS", count_cpus(), 1),
            max_body_mb=number("SAGEMAKER_MAX_PAYLOAD_IN_MB", 25, 0),
        )


def count_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """How many CPUs this container may use: its CPU set, or its share of the time if that is less."""
    available = len(os.sched_getaffinity(0))
    version_2, version_1 = cgroup / "cpu.max", cgroup / "cpu"
    if version_2.exists():
        quota, period = version_2.read_text().split()
    elif (version_1 / "cpu.cfs_quota_us").exists():
        quota = (version_1 / "cpu.cfs_quota_us").read_text().strip()
        period = (version_1 / "cpu.cfs_period_us").read_text().strip()
    else:
        return available
    if quota in ("max", "-1"):
        return available
    return min(available, math.ceil(int(quota) / int(period)))


def main() -> int:
    """Serves until SIGTERM, and returns 0; or 1 when nginx or gunicorn has ended by itself."""
    settings = Settings.read(os.environ)
    # From here on they wait until they are asked for, so that none comes too early to be heard.
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    with TemporaryDirectory(prefix="serve-") as name:
        folder = Path(name)
        print(f"port {settings.port}, workers {settings.workers}", flush=True)
        with _listen(folder / "gunicorn.sock") as between:
            if os.geteuid() == 0:
                for path in (folder, *folder.iterdir()):
                    shutil.chown(path, _UNPRIVILEGED, _UNPRIVILEGED)
            gunicorn = _start(_gunicorn(settings, folder, between.fileno()), between.fileno())
        nginx = _start(_nginx(settings, folder))
        return _keep(nginx, gunicorn)


def _listen(path: Path) -> socket.socket:
    """What nginx hands over before gunicorn has loaded the model waits in this socket."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen(_WAITING)
    return listening


def _keep(nginx: subprocess.Popen[bytes], gunicorn: subprocess.Popen[bytes]) -> int:
    ended: list[str] = []
    while not ended:
        if (heard := signal.sigwait(_HEARD)) != signal.SIGCHLD:
            print(f"{signal.Signals(heard).name}: no more requests are taken", flush=True)
            break
        for program, process in (("nginx", nginx), ("gunicorn", gunicorn)):
            if (code := process.poll()) is not None:
                ended.append(f"{program} has ended with {code}")
    for each in ended:
        print(f"{each}, so the container ends", file=sys.stderr, flush=True)
    # nginx first: what it has taken on gunicorn must still answer.
    _stop(nginx, signal.SIGQUIT, _NGINX_SECONDS)
    _stop(gunicorn, signal.SIGTERM, _GUNICORN_SECONDS)
    return 1 if ended else 0


def _stop(process: subprocess.Popen[bytes], how: signal.Signals, seconds: float) -> None:
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start(command: Sequence[str], *files: int) -> subprocess.Popen[bytes]:
    # One thread for algebra: more of them would not survive gunicorn's fork, and a tree has no use for them.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(  # noqa: S603
        command,
        env=environment,
        pass_fds=files,
        preexec_fn=_hear_again,  # noqa: PLW1509 - there are no threads here
    )


def _hear_again() -> None:
    """What is blocked in a process is blocked in those that it starts."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)


def _gunicorn(settings: Settings, folder: Path, listening: int) -> list[str]:
    # Its heartbeat is a file, which must not wait for a disk. Serverless endpoints have no /dev/shm.
    memory = "/dev/shm"  # noqa: S108 - gunicorn makes a nameless file there
    heartbeat = memory if os.access(memory, os.W_OK) else str(folder)
    command = ["gunicorn", "decision_trees.wrapper:make_app()", "--preload"]
    command += ["--bind", f"fd://{listening}"]
    command += ["--workers", str(settings.workers), "--worker-class", "gthread", "--threads", str(_THREADS)]
    command += ["--timeout", "55", "--graceful-timeout", "5"]
    command += ["--worker-tmp-dir", heartbeat, "--no-control-socket"]
    if os.geteuid() == 0:
        command += ["--user", _UNPRIVILEGED, "--group", _UNPRIVILEGED]
    return command


def _nginx(settings: Settings, folder: Path) -> list[str]:
    text = CONF.read_text()
    told = {"PORT": settings.port, "MAX_BODY_MB": settings.max_body_mb, "FOLDER": folder}
    for name, value in told.items():
        text = text.replace(f"@{name}@", str(value))
    written = folder / CONF.name
    written.write_text(text)
    command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(written)]
    if os.geteuid() == 0:
        command += ["-g", f"user {_UNPRIVILEGED};"]
    return command


if __name__ == "__main__":
    sys.exit(main())
