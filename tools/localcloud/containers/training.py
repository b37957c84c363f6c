"""What prebuilt containers do for ``train``: SageMaker's training toolkit (5.1), without the toolkit.

It needs a C compiler to install, so this does the same with the standard library: reads the configuration
under ``SAGEMAKER_BASE_DIR`` (``/opt/ml`` if it is not set), fetches the code, sets the ``SM_*`` variables,
runs the program with the hyperparameters as arguments, and says in ``output/failure`` what went wrong. A test
holds both equal, variable by variable.

What it does not do: distribution by MPI, parameter servers or Torch, intermediate output, and packages with a
``setup.py``. A job that asks for one of these fails and says so.
"""

from __future__ import annotations

import builtins
import importlib.util
import json
import logging
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LOG = logging.getLogger("sagemaker-training-toolkit")
_GROUP = "homogeneousCluster"
# Hyperparameters for the toolkit itself; others that begin with the prefix are a framework's.
_PREFIX = "sagemaker_"
_OWN = frozenset(
    {
        "sagemaker_program",
        "sagemaker_submit_directory",
        "sagemaker_enable_cloudwatch_metrics",
        "sagemaker_region",
        "sagemaker_container_log_level",
        "sagemaker_job_name",
        "default_user_module_name",
        "_tuning_objective_metric",
        "sagemaker_s3_output",
    }
)
# With any of these, every host takes part in what the framework distributes.
_DISTRIBUTIONS = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
)
# What the toolkit takes for a program, lest a shell or the interpreter read something else into it.
_PROGRAM = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")
_FAILED = 1
_OUT_OF_MEMORY = 137
# A name in the network may be unknown until its host is there.
_RESOLUTION_SECONDS = 900.0
_RESOLUTION_PAUSE = 0.1


class ClientError(Exception):
    """The user's code is to blame; the message is all that is told of it."""


@dataclass(frozen=True)
class Configuration:
    """What the files in ``input/config`` say, and what is made of it.

    Attributes:
        hyperparameters: without those for the toolkit and for frameworks.
        own: those for the toolkit and for frameworks.
    """

    base: Path
    hyperparameters: Mapping[str, Any]
    own: Mapping[str, Any]
    channels: Mapping[str, Any]
    resources: Mapping[str, Any]

    @classmethod
    def read(cls, base: Path) -> Configuration:
        """Read the files."""
        config = base / "input/config"
        given = {name: _decoded(value) for name, value in _json(config / "hyperparameters.json").items()}
        own = {name: value for name, value in given.items() if name in _OWN or name.startswith(_PREFIX)}
        return cls(
            base=base,
            hyperparameters={name: value for name, value in given.items() if name not in own},
            own=own,
            channels=_json(config / "inputdataconfig.json"),
            resources=_json(config / "resourceconfig.json"),
        )

    @property
    def code(self) -> Path:
        """Where the user's code is laid."""
        return self.base / "code"

    @property
    def program(self) -> str | None:
        """What is run; None if the container has an algorithm of its own to run."""
        found = os.environ.get("SAGEMAKER_PROGRAM") or self.own.get("sagemaker_program")
        return str(found) if found is not None else None

    @property
    def module_dir(self) -> str:
        """Where the user's code comes from: a URL in S3, an archive, or a folder."""
        return str(self.own.get("sagemaker_submit_directory", self.code))

    @property
    def framework_parameters(self) -> dict[str, Any]:
        """The hyperparameters that are for a framework."""
        return {name: value for name, value in self.own.items() if name not in _OWN}

    @property
    def distribution_groups(self) -> list[str]:
        """The groups of instances that a framework distributes its work over."""
        parameters = self.framework_parameters
        named = parameters.get("sagemaker_distribution_instance_groups")
        if named is not None:
            return list(named)
        distributed = any(parameters.get(name) for name in _DISTRIBUTIONS)
        return [self.resources.get("current_group_name", _GROUP)] if distributed else []

    def arguments(self) -> list[str]:
        """What the program is called with."""
        found: list[str] = []
        for name, value in sorted(self.hyperparameters.items()):
            found += [f"--{name}" if len(name) > 1 else f"-{name}", _argument(value)]
        return found


def environment(base: Path) -> dict[str, str]:
    """The ``SM_*`` variables that the toolkit makes of the configuration in a folder like ``/opt/ml``."""
    return _variables(Configuration.read(base))


def train(*, capture_error: bool = False, algorithm: Callable[[], None] | None = None) -> int:
    """Do what ``train`` does in a prebuilt container; the exit code is returned.

    Args:
        capture_error: whether the failure tells the error that the program wrote, as in some containers.
        algorithm: what is done if no program is named. It finds the variables in ``os.environ``.
    """
    _end_with_stdin()
    # The first process of a container gets no SIGTERM that it does not ask for, and the toolkit does not.
    # With a function, not with SIG_IGN, which the program would inherit.
    signal.signal(signal.SIGTERM, lambda *_: None)
    base = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    output = base / "output"
    try:
        (base / "code").mkdir(parents=True, exist_ok=True)
        configuration = Configuration.read(base)
        _set_side_effects(configuration)
        level = configuration.own.get("sagemaker_container_log_level", logging.INFO)
        logging.basicConfig(format="%(asctime)s %(name)-12s %(levelname)-8s %(message)s", level=level)
        if configuration.program is None and algorithm is not None:
            os.environ.update(_variables(configuration))
            algorithm()
        else:
            _run_program(configuration, capture_error=capture_error)
    except ClientError as error:
        return _failed(output, str(error), _FAILED)
    except Exception as error:  # noqa: BLE001 - whatever it is, the job has to be told
        message = f"Framework Error: \n{traceback.format_exc()}\n{error}"
        number = getattr(error, "errno", None)
        return _failed(output, message, number if isinstance(number, int) else _FAILED)
    _LOG.info("Reporting training SUCCESS")
    (output / "success").touch()
    return 0


# ── what the variables are ────────────────────────────────────────────────────────────────────────────


def _variables(configuration: Configuration) -> dict[str, str]:
    properties = _properties(configuration)
    named: dict[str, Any] = {
        name: properties[name]
        for name in (
            "hosts",
            "network_interface_name",
            "user_entry_point",
            "resource_config",
            "input_data_config",
            "output_data_dir",
            "current_host",
            "current_instance_type",
            "current_instance_group",
            "current_instance_group_hosts",
            "instance_groups",
            "instance_groups_dict",
            "distribution_instance_groups",
            "is_hetero",
            "module_name",
            "log_level",
            "framework_module",
            "input_dir",
            "input_config_dir",
            "output_dir",
            "num_cpus",
            "num_gpus",
            "num_neurons",
            "model_dir",
            "module_dir",
            "output_intermediate_dir",
        )
    }
    named |= {
        "hps": properties["hyperparameters"],
        "framework_params": properties["additional_framework_parameters"],
        "channels": sorted(configuration.channels),
        "training_env": properties,
        "user_args": configuration.arguments(),
    }
    if properties["topology"]:
        named["topology"] = properties["topology"]
    named |= {f"channel_{name}": path for name, path in properties["channel_input_dirs"].items()}
    named |= {f"hp_{name}": value for name, value in configuration.hyperparameters.items()}
    return {f"SM_{name.upper()}": _variable(value) for name, value in named.items()}


def _properties(configuration: Configuration) -> dict[str, Any]:
    """What the toolkit calls the training environment, by the names of its properties."""
    base, resources = configuration.base, configuration.resources
    instance_type = resources.get("current_instance_type", "local")
    group = resources.get("current_group_name", _GROUP)
    groups = {each["instance_group_name"]: each for each in resources.get("instance_groups", [])}
    distributed = configuration.distribution_groups
    hosts = list(resources["hosts"])
    distribution_hosts = [
        host for name, each in groups.items() if name in distributed for host in each["hosts"]
    ]
    if not groups:
        distribution_hosts = hosts.copy()
    master = (distribution_hosts or hosts)[0]
    program = configuration.program
    parallel = os.environ.get("SM_HP_MP_PARAMETERS")
    return {
        "additional_framework_parameters": configuration.framework_parameters,
        "channel_input_dirs": {name: str(base / "input/data" / name) for name in configuration.channels},
        "current_host": resources["current_host"],
        "current_instance_group": group,
        "current_instance_group_hosts": groups[group]["hosts"] if group in groups else [],
        "current_instance_type": instance_type,
        "distribution_hosts": distribution_hosts,
        "distribution_instance_groups": distributed,
        "framework_module": os.environ.get("SAGEMAKER_TRAINING_MODULE"),
        "hosts": hosts,
        "hyperparameters": configuration.hyperparameters,
        "input_config_dir": str(base / "input/config"),
        "input_data_config": configuration.channels,
        "input_dir": str(base / "input"),
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "is_master": resources["current_host"] == master,
        "is_modelparallel_enabled": parallel and parallel != "{}",
        "is_smddpmprun_installed": shutil.which("smddpmprun") is not None,
        "is_smddprun_installed": shutil.which("smddprun") is not None,
        "job_name": os.environ.get("TRAINING_JOB_NAME"),
        "log_level": configuration.own.get("sagemaker_container_log_level", logging.INFO),
        "master_hostname": master,
        "model_dir": str(base / "model"),
        "module_dir": configuration.module_dir,
        "module_name": str(program).removesuffix(".py"),
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        "num_cpus": os.cpu_count(),
        "num_gpus": _gpus(),
        "num_neurons": _neurons(instance_type),
        "output_data_dir": str(base / "output/data"),
        "output_dir": str(base / "output"),
        "output_intermediate_dir": str(base / "output/intermediate"),
        "resource_config": resources,
        "topology": resources.get("topology", []),
        "user_entry_point": program,
    }


def _set_side_effects(configuration: Configuration) -> None:
    """What making its environment leaves in the toolkit's own variables, which the program inherits."""
    own = configuration.own
    os.environ["SAGEMAKER_JOB_NAME"] = str(own.get("sagemaker_job_name", ""))
    os.environ["CURRENT_HOST"] = configuration.resources["current_host"]
    region = own.get("sagemaker_region", os.environ.get("AWS_DEFAULT_REGION"))
    os.environ["SAGEMAKER_REGION"] = str(region or "")


def _gpus() -> int:
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    listed = subprocess.run([program, "--list-gpus"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def _neurons(instance_type: str) -> int:
    if "trn2.48xlarge" in instance_type:
        return 64
    program = shutil.which("neuron-ls")
    if program is None:
        return 0
    listed = subprocess.run([program, "-j"], capture_output=True, text=True, check=False)
    return sum(int(each.get("nc_count", 0)) for each in json.loads(listed.stdout or "[]"))


def _variable(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def _argument(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={each}" for name, each in sorted(value.items()))
    return str(value)


def _decoded(value: Any) -> Any:
    """A hyperparameter is JSON, or a text as it is."""
    try:
        return json.loads(value)
    except (ValueError, TypeError):
        return value


def _json(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


# ── what is run ───────────────────────────────────────────────────────────────────────────────────────


def _run_program(configuration: Configuration, *, capture_error: bool) -> None:
    code, program = configuration.code, configuration.program
    if program is None:
        raise ClientError("The hyperparameter sagemaker_program is missing: it names the script to run.")
    distributed = sorted(name for name in _DISTRIBUTIONS if configuration.own.get(name))
    if distributed:
        raise ClientError(f"{', '.join(distributed)}: the stand-in cannot distribute training.")
    _fetch_code(configuration.module_dir, code)
    if (code / "setup.py").exists():
        raise ClientError(f"{configuration.module_dir} has a setup.py: the stand-in cannot install packages.")
    if not _PROGRAM.fullmatch(program) or {".", ".."} & set(program.split("/")):
        raise ClientError(
            f"The program is {program!r}: it has to be a path in the code, of letters, digits, '.', '_', "
            "'+', '-' and '/'. Name the file so, and write that into the hyperparameter sagemaker_program."
        )
    if not (code / program).is_file():
        names = ", ".join(sorted(path.name for path in code.iterdir())) or "nothing"
        raise ClientError(f"There is no program {program} in {configuration.module_dir}: it holds {names}.")
    packages = _installed_requirements(code)
    os.environ.update(_variables(configuration))
    first = [str(code), *packages]
    os.environ["PYTHONPATH"] = os.pathsep.join([*first, *(path for path in sys.path if path not in first)])
    for host in configuration.resources["hosts"]:
        _wait_until_resolved(host)
    arguments = configuration.arguments()
    if program.endswith(".py"):
        # The two dashes keep the interpreter from taking the name for an option.
        command = [sys.executable, "--", program, *arguments]
    else:
        (code / program).chmod(0o777)
        command = ["/bin/sh", "-c", f"./{program} {shlex.join(arguments)}"]
    _LOG.info("Invoking script with the following command:\n\n%s\n", " ".join(command))
    status, told = _run(command, code, capture_error=capture_error)
    if status != 0:
        raise ClientError(_told("ExecuteUserScriptError", command, status, told))


def _fetch_code(source: str, code: Path) -> None:
    """Unpack the user's code, unless there is some already."""
    if any(code.iterdir()):
        _LOG.info("Provided path: %s is not empty, abandoning unzipping sourcedir.tar.gz", code)
        return
    if source.startswith("s3://"):
        with tempfile.NamedTemporaryFile() as archive:
            _download(source, Path(archive.name))
            _unpack(Path(archive.name), code)
    elif Path(source).is_dir():
        if Path(source) != code:
            shutil.copytree(source, code, dirs_exist_ok=True)
    elif tarfile.is_tarfile(source):
        _unpack(Path(source), code)
    else:
        shutil.copy2(source, code)


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive, "r:gz") as tar:
        # Pythons before 3.11.4 have no extraction filters.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(folder)  # noqa: S202 - the user's own code, which is run next


def _download(url: str, file: Path) -> None:
    """As boto3 would, which takes half a second to start."""
    import urllib.request
    from urllib.parse import quote

    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    endpoint = os.environ.get("S3_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint is None:
        raise ClientError(f"There is no S3 to fetch {url} from: AWS_ENDPOINT_URL is not set.")
    bucket, _, key = url.removeprefix("s3://").partition("/")
    request: Any = AWSRequest("GET", f"{endpoint}/{bucket}/{quote(key)}")
    credentials = Credentials(
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
        os.environ.get("AWS_SESSION_TOKEN"),
    )
    S3SigV4Auth(credentials, "s3", os.environ.get("AWS_REGION", "us-east-1")).add_auth(request)
    asked = urllib.request.Request(request.url, headers=dict(request.headers.items()))  # noqa: S310
    with urllib.request.urlopen(asked) as answer, file.open("wb") as written:  # noqa: S310
        shutil.copyfileobj(answer, written)


def _installed_requirements(code: Path) -> list[str]:
    """Where what the code requires was installed, if it requires anything.

    A container is thrown away; this interpreter is somebody's, so nothing is installed into it.
    """
    if not (code / "requirements.txt").exists():
        return []
    if importlib.util.find_spec("pip") is None:
        raise ClientError(
            f"requirements.txt cannot be installed: {sys.executable} has no pip. Install pip there, or what "
            "the file lists, and leave the file out."
        )
    folder = tempfile.mkdtemp(prefix="requirements-")
    command = [sys.executable, "-m", "pip", "install", "--target", folder, "-r", "requirements.txt"]
    _LOG.info("Installing dependencies from requirements.txt")
    status, told = _run(command, code, capture_error=True)
    if status != 0:
        raise ClientError(_told("InstallRequirementsError", command, status, told))
    return [folder]


def _wait_until_resolved(host: str) -> None:
    deadline = time.monotonic() + _RESOLUTION_SECONDS
    while True:
        try:
            socket.gethostbyname(host)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RESOLUTION_PAUSE)
        else:
            return


def _run(command: list[str], folder: Path, *, capture_error: bool) -> tuple[int, str]:
    """The exit code, and of what was written what looks like an error."""
    # The caller reads standard output and error from one pipe anyway.
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if capture_error else None,
        stderr=subprocess.STDOUT if capture_error else None,
        text=True,
        errors="replace",
    )
    found: list[str] = []
    for line in process.stdout or ():
        print(line, end="", flush=True)
        told = line.strip().strip(" :")
        if told and told not in found and (found or any(name in line for name in _error_names())):
            found.append(told)
    status = process.wait()
    # The toolkit runs what it captures in a shell, which tells of signals in its own way.
    return (128 - status if capture_error and status < 0 else status), "\n ".join(found)


def _error_names() -> list[str]:
    return [name for name in dir(builtins) if "Error" in name or "Exception" in name]


def _told(kind: str, command: list[str], status: int, error: str) -> str:
    lines = [f"{kind}:", f"ExitCode {status}", f'ErrorMessage "{error}"']
    if status == _OUT_OF_MEMORY:
        lines.append('ExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"')
    return "\n".join([*lines, f'Command "{" ".join(command)}"'])


def _failed(output: Path, message: str, code: int) -> int:
    output.mkdir(parents=True, exist_ok=True)
    if not (output / "failure").exists():
        (output / "failure").write_text(message)
    _LOG.error("Reporting training FAILURE")
    _LOG.error(message)
    _LOG.error("Encountered exit_code %s", code)
    return code


def _end_with_stdin() -> None:
    """Whoever started this process holds its standard input open for as long as he lives."""
    if not os.environ.get("LOCALCLOUD_ENDS_WITH_STDIN"):
        return

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
