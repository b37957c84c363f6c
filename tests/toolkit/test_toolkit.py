"""What stands in for the training toolkit is held against the toolkit itself, variable by variable.

Both run the same job in the same folder, one after the other, as the local cloud runs it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.containers.training import environment
from localcloud.training.channels import Channel, LocalFolder
from localcloud.training.job import TrainingDescription, run_in_folder
from localcloud.training.toolkit import VARIABLE, script_hosts, toolkit_python

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"

# What may differ, and why.
DIFFERENT = {
    "LOCALCLOUD_HOSTS": "each job draws a network of its own, 127.0.x",
    "PYTHONPATH": "each interpreter has packages of its own; the rest of it is compared below",
    "PIP_TARGET": "the toolkit calls pip itself, and only so is told to install somewhere else",
}

TELLS_WHAT_IT_SEES = """
import json, os, pathlib, sys
seen = {"environment": dict(os.environ), "arguments": sys.argv, "folder": os.getcwd()}
pathlib.Path(os.environ["SM_MODEL_DIR"], "seen.json").write_text(json.dumps(seen))
"""


@pytest.fixture(scope="session")
def toolkit() -> str:
    """The interpreter that has the toolkit."""
    found = toolkit_python()
    if found is None:
        pytest.fail(f"there is no .venv-toolkit: call make test-toolkit, or set {VARIABLE}", pytrace=False)
    return found


@dataclass(frozen=True)
class Ended:
    """What a job came to on each host, by the host's name."""

    failure: str | None
    exit_code: int
    trees: Mapping[str, Mapping[str, str]]
    log: list[str] = field(compare=False)

    def seen(self, host: str = "algo-1") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.trees[host]["model/seen.json"])
        return found


@dataclass(frozen=True)
class Jobs:
    """Runs each job twice.

    Attributes:
        toolkit: the interpreter that has the toolkit.
    """

    folder: Path
    toolkit: str

    def both(
        self,
        files: Mapping[str, str],
        *,
        channels: tuple[str, ...] = (),
        image: str = SKLEARN,
        **more: Any,
    ) -> tuple[Ended, Ended]:
        """What the toolkit makes of a job, and what we do without it."""
        code, data = self.folder / "code", self.folder / "data"
        for name, text in files.items():
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            (code / name).write_text(text)
        data.mkdir(exist_ok=True)
        (data / "rows.csv").write_text("1,5.1\n0,6.3\n")
        description = TrainingDescription(
            name="iris-1",
            image=image,
            channels=[Channel(name, LocalFolder(data), content_type="text/csv") for name in channels],
            code=code if files else None,
            **more,
        )
        return self._ended(description, self.toolkit), self._ended(description, None)

    def _ended(self, description: TrainingDescription, toolkit: str | None) -> Ended:
        # The same paths for both.
        folder = self.folder / "job"
        folder.mkdir()
        log: list[str] = []
        python = toolkit or sys.executable
        hosts = script_hosts(toolkit, sys.executable)
        outcome = run_in_folder(description, folder, lambda _, line: log.append(line), hosts)
        trees = {
            host: {
                str(file.relative_to(folder / host / "opt/ml")): file.read_text(errors="replace").replace(
                    python, "PYTHON"
                )
                for part in ("model", "output", "code", "checkpoints")
                for file in sorted((folder / host / "opt/ml" / part).rglob("*"))
                if file.is_file()
            }
            for host in description.hosts
        }
        failure = None if outcome.failure is None else outcome.failure.replace(python, "PYTHON")
        shutil.rmtree(folder)
        return Ended(failure, outcome.exit_code, trees, log)


@pytest.fixture
def jobs(tmp_path: Path, toolkit: str) -> Jobs:
    return Jobs(tmp_path, toolkit)


def script(program: str = "train.py", **more: str) -> dict[str, str]:
    return {"sagemaker_program": json.dumps(program), **more}


# ── what a script sees ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "job",
    [
        pytest.param({}, id="nothing but a script"),
        pytest.param(
            {
                "hyperparameters": {
                    "max-depth": "4",
                    "solver": '"lbfgs"',
                    "plain": "some words",
                    "rate": "1e-3",
                    "layers": '[16,"tanh"]',
                    "weights": '{"b":{"c":1},"a":2}',
                    "nothing": "null",
                    "shuffle": "true",
                    "x": "1",
                    "empty": '""',
                    "letters": '"\u00e9\u4e2d"',
                    "quoted": '"it\'s \\"$HOME\\""',
                }
            },
            id="hyperparameters of every kind",
        ),
        pytest.param({"channels": ("train", "other-data")}, id="channels"),
        pytest.param({"environment": {"STAGE": "trial", "SM_OWN": "ours"}}, id="variables of the job"),
        pytest.param({"checkpoints": "/opt/ml/checkpoints"}, id="checkpoints"),
        pytest.param({"instances": 2, "instance_type": "ml.c5.xlarge"}, id="two hosts"),
        pytest.param(
            {
                "hyperparameters": {
                    "sagemaker_job_name": '"iris-1"',
                    "sagemaker_region": '"eu-west-1"',
                    "sagemaker_container_log_level": "30",
                    "sagemaker_estimator_class_name": '"SKLearn"',
                    "_tuning_objective_metric": '"accuracy"',
                    "sagemaker_s3_output": "null",
                }
            },
            id="what the SDK says to the toolkit",
        ),
        pytest.param(
            {"hyperparameters": {"sagemaker_program": '"source/train.py"'}}, id="a script in a folder"
        ),
    ],
)
def test_a_script_sees_the_same_with_the_toolkit_and_without(jobs: Jobs, job: dict[str, Any]) -> None:
    told = {**script(), **job.get("hyperparameters", {})}
    program = json.loads(told["sagemaker_program"])
    toolkit, ours = jobs.both({program: TELLS_WHAT_IT_SEES}, **{**job, "hyperparameters": told})
    assert (toolkit.failure, ours.failure) == (None, None)
    assert ours.trees.keys() == toolkit.trees.keys()
    for host, tree in toolkit.trees.items():
        assert ours.trees[host].keys() == tree.keys()
        theirs, seen = toolkit.seen(host), ours.seen(host)
        assert seen["arguments"] == theirs["arguments"]
        assert seen["folder"] == theirs["folder"]
        assert constant(seen["environment"]) == constant(theirs["environment"])
        assert found_first(seen["environment"]) == found_first(theirs["environment"])


def constant(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in DIFFERENT}


def found_first(variables: Mapping[str, str]) -> list[str]:
    """Where modules are looked for before those of Python and of its packages."""
    here = Path(variables["SAGEMAKER_BASE_DIR"])
    paths = variables["PYTHONPATH"].split(os.pathsep)
    return [path for path in paths if path.startswith(str(here))]


def test_code_comes_from_an_archive_and_its_folder_becomes_the_scripts(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TELLS_WHAT_IT_SEES)
    archive = shutil.make_archive(str(tmp_path / "source"), "gztar", tmp_path, "train.py")
    told = script(sagemaker_submit_directory=json.dumps(archive))
    toolkit, ours = jobs.both({}, hyperparameters=told)
    assert ours.trees["algo-1"].keys() == toolkit.trees["algo-1"].keys()
    assert constant(ours.seen()["environment"]) == constant(toolkit.seen()["environment"])


# ── how a script fails ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param({"train.py": "raise ValueError('no such column')"}, script(), id="an error"),
        pytest.param({"train.py": "import sys; sys.exit(3)"}, script(depth="4"), id="an exit code"),
        pytest.param({"train.py": "import os; os.kill(os.getpid(), 9)"}, script(), id="a signal"),
        pytest.param(
            {
                "train.py": "import os, pathlib, sys\n"
                "pathlib.Path(os.environ['SM_OUTPUT_DIR'], 'failure').write_text('no such column')\n"
                "sys.exit(2)"
            },
            script(),
            id="a reason of its own",
        ),
        pytest.param(
            {"train.sh": 'echo "$@" > $SM_MODEL_DIR/arguments; exit 4'},
            script("train.sh", words="a $HOME 'b"),
            id="a shell script",
        ),
        pytest.param({"train": "#!/bin/sh\nexit 5"}, script("train"), id="a program"),
    ],
)
def test_a_script_fails_in_the_same_words(jobs: Jobs, files: dict[str, str], told: dict[str, str]) -> None:
    toolkit, ours = jobs.both(files, hyperparameters=told)
    assert toolkit.failure is not None
    assert ours == toolkit


@pytest.mark.parametrize(
    ("files", "told", "code"),
    [
        pytest.param({"train.py": ""}, script("other.py"), 1, id="a script that is not there"),
        pytest.param({"train.py": ""}, script("../train.py"), 1, id="a script that is elsewhere"),
        pytest.param({"train it.py": ""}, script("train it.py"), 1, id="a name with a blank"),
        pytest.param({"train.py": ""}, {}, 1, id="no script"),
        pytest.param({}, script(sagemaker_submit_directory='"/nowhere.tar.gz"'), 2, id="no archive"),
        pytest.param({"train.py": "", "requirements.txt": "-r none.txt"}, script(), 1, id="requirements"),
    ],
)
def test_what_is_no_script_fails_with_the_same_exit_code(
    jobs: Jobs, files: dict[str, str], told: dict[str, str], code: int
) -> None:
    """In words of our own, which say more than the toolkit's."""
    toolkit, ours = jobs.both(files, hyperparameters=told)
    assert (toolkit.exit_code, ours.exit_code) == (code, code)
    for ended in (toolkit, ours):
        assert "output/failure" in ended.trees["algo-1"]
        assert "output/success" not in ended.trees["algo-1"]


def test_the_algorithm_of_xgboost_trains_in_both(jobs: Jobs) -> None:
    told = {"num_round": "2", "objective": "reg:squarederror"}
    toolkit, ours = jobs.both({}, channels=("train",), image=XGBOOST, hyperparameters=told)
    assert (toolkit.failure, ours.failure) == (None, None)
    assert ours.trees["algo-1"] == toolkit.trees["algo-1"]


# ── any configuration ─────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Environments:
    """The toolkit, asked what it makes of the configuration that lies in a folder."""

    base: Path
    questions: IO[str]
    answers: IO[str]

    def made_of(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        for name, document in configuration.items():
            (self.base / f"input/config/{name}.json").write_text(json.dumps(document))
        self.questions.write("\n")
        self.questions.flush()
        answer: dict[str, Any] = json.loads(self.answers.readline())
        return answer


@pytest.fixture(scope="module")
def environments(toolkit: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environments]:
    base = tmp_path_factory.mktemp("environments")
    (base / "input/config").mkdir(parents=True)
    asked = subprocess.Popen(
        [toolkit, str(Path(__file__).with_name("environments.py"))],
        env={"PATH": os.environ["PATH"], "SAGEMAKER_BASE_DIR": str(base)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with asked:
        assert asked.stdin is not None
        assert asked.stdout is not None
        yield Environments(base, asked.stdin, asked.stdout)
        asked.stdin.close()


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,12}", fullmatch=True)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
)
own = st.fixed_dictionaries(
    {},
    optional={
        "sagemaker_program": st.just('"train.py"') | st.just('"bin/train.sh"'),
        "sagemaker_submit_directory": st.just('"s3://bucket/code.tar.gz"'),
        "sagemaker_container_log_level": st.just("20") | st.just("10"),
        "sagemaker_mpi_enabled": st.just("true") | st.just("false"),
        "sagemaker_torch_distributed_enabled": st.just("true"),
        "sagemaker_estimator_class_name": st.just('"XGBoost"'),
        "sagemaker_distribution_instance_groups": st.just('["cluster"]'),
    },
)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    told = draw(st.dictionaries(names, values.map(json.dumps) | words, max_size=4))
    hosts = draw(st.sampled_from([["algo-1"], ["algo-1", "algo-2"], ["algo-1", "algo-2", "algo-3"]]))
    kind = draw(st.sampled_from(["ml.m5.large", "ml.trn2.48xlarge"]))
    channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
    resources: dict[str, Any] = {"current_host": draw(st.sampled_from(hosts)), "hosts": hosts}
    if draw(st.booleans()):
        parts = [hosts] if draw(st.booleans()) else [hosts[:1], hosts[1:]]
        resources["current_group_name"] = "cluster"
        resources["current_instance_type"] = kind
        resources["instance_groups"] = [
            {"instance_group_name": name, "instance_type": kind, "hosts": part}
            for name, part in zip(("cluster", "others"), parts, strict=False)
        ]
    if draw(st.booleans()):
        resources["network_interface_name"] = "eth1"
    if draw(st.booleans()):
        resources["topology"] = [{"hostName": "algo-1", "capacityUnitId": "1"}]
    return {
        "hyperparameters": {**told, **draw(own)},
        "inputdataconfig": dict.fromkeys(draw(st.lists(names, max_size=3)), channel),
        "resourceconfig": resources,
    }


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(configurations())
def test_any_configuration_makes_the_same_variables(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, configuration: dict[str, Any]
) -> None:
    for name in ("SAGEMAKER_PROGRAM", "TRAINING_JOB_NAME", "SAGEMAKER_TRAINING_MODULE"):
        monkeypatch.delenv(name, raising=False)
    made = environments.made_of(configuration)
    assert environment(environments.base) == made["variables"]
