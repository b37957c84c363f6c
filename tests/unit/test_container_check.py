"""`modelgate container check`, without containers: what it is tried with, what is made of what was seen."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_check.containers import Ended
from container_check.contract import CHECKS, PARTS, Check, Report, Result, Seen, broken, checks_of, held, run
from container_check.files import written_outside
from container_check.image import judged_entry_point, judged_user
from container_check.kernel import Listener, hears_sigterm, listeners
from container_check.serving import Answer, judged_answer, judged_listening
from container_check.training import judged_reason, judged_sigterm, judged_start
from container_check.trial import Given, Limits, Request, Trial, trial_of
from modelgate.errors import Refused
from modelgate_cli.checking import bad_one, check, limits_of, parts_of, show, shown
from modelgate_cli.complaints import USAGE, Complaint
from modelgate_cli.screen import Screen


# ── the list, and the way through it ──────────────────────────────────────────────────────────────
def test_every_check_says_where_it_is_demanded_and_needs_only_what_comes_before_it() -> None:
    known: set[str] = set()
    for each in CHECKS:
        assert each.id.partition(".")[0] == each.part in PARTS
        assert each.page
        assert each.fails
        assert each.mend
        assert set(each.needs) <= known
        known.add(each.id)
    assert len(known) == len(CHECKS)


def a_check(name: str, *needs: str) -> Check:
    return Check(name, "serve", f"{name} is demanded", "looked", "a page", "it fails", "mend it", needs)


def statuses(results: tuple[Result, ...]) -> dict[str, str]:
    return {result.check.id: result.seen.words for result in results}


def test_what_depends_on_a_failure_is_not_tried_and_all_else_is() -> None:
    checks = [a_check("a"), a_check("b", "a"), a_check("c", "b"), a_check("d")]
    watched: list[str] = []
    attempts = {"a": lambda: broken("no"), "d": lambda: held("yes")}
    results = run(checks, attempts, lambda check: watched.append(check.id))
    assert statuses(results) == {
        "a": "no",
        "b": "not tried, because a failed",
        "c": "not tried, because a failed",
        "d": "yes",
    }
    assert watched == ["a", "d"]


def test_what_could_not_be_tried_keeps_nothing_from_being_tried() -> None:
    checks = [a_check("a"), a_check("b", "a"), a_check("c", "not among them")]
    attempts = {
        "a": lambda: Seen("not tried", "nobody knows"),
        "b": lambda: held("yes"),
        "c": lambda: held("too"),
    }
    assert list(statuses(run(checks, attempts, lambda _: None)).values()) == ["nobody knows", "yes", "too"]


def test_what_is_known_is_not_tried_again() -> None:
    checks = [a_check("a"), a_check("b", "a")]
    known = (Result(checks[0], broken("no")),)
    assert statuses(run(checks, {}, lambda _: None, known))["b"] == "not tried, because a failed"


def test_a_half_has_its_own_checks_and_those_of_the_image() -> None:
    assert {check.part for check in checks_of(parts_of("serve"), trains_model=False)} == {"image", "serve"}
    starts = {check.id: check for check in checks_of(("train", "serve"), trains_model=False)}["serve.starts"]
    assert starts.needs == ("image.entry-point",)


# ── what an image says of itself ──────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("entry_point", "status"),
    [
        ([], "passed"),
        (["python", "/program.py"], "passed"),
        (["tini", "--"], "passed"),
        (["/bin/sh", "/entry.sh"], "passed"),
        (["/bin/sh", "-c", "python /program.py"], "failed"),
        (["/bin/bash", "-lc", "python /program.py"], "failed"),
        (["/bin/bash", "-l", "-c", "exec python /program.py"], "failed"),
        (["/bin/sh", "-c", "python /program.py $0"], "failed"),
        (["/bin/sh", "-c", 'exec python /program.py "$0"'], "passed"),
        (["/bin/sh", "-c", "exec python /program.py ${0}"], "passed"),
        (["/bin/sh", "-c", 'exec "$@"', "--"], "passed"),
    ],
)
def test_a_shell_in_front_has_to_hand_over_arguments_and_place(entry_point: list[str], status: str) -> None:
    assert judged_entry_point(entry_point).status == status


@pytest.mark.parametrize(
    ("user", "status"),
    [("", "passed"), ("root", "passed"), ("0:0", "passed"), ("1000", "failed"), ("app:root", "failed")],
)
def test_an_image_runs_as_root(user: str, status: str) -> None:
    assert judged_user(user).status == status


# ── what the kernel tells ─────────────────────────────────────────────────────────────────────────
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0B00007F:A3C1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0200A8C0:1F90 0300A8C0:8000 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 0000000000000000FFFF00000100007F:1388 00000000000000000000000000000000:0000 0A 00000000:00000000
   2: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000
"""


def test_sockets_that_listen_are_read_from_the_kernels_tables() -> None:
    # Without the name server of the engine's, and without connections.
    assert listeners(TCP) == (Listener("127.0.0.1", 8080),)
    assert listeners(TCP6) == (Listener("::", 8080), Listener("127.0.0.1", 5000), Listener("::1", 8081))


@pytest.mark.parametrize(
    ("caught", "blocked", "syscall", "hears"),
    [
        ("0000000000000000", "0000000000000000", "0 0x3 0x7f", False),
        ("0000000180014002", "0000000000000000", "running", True),
        ("0000000000000002", "0000000000004000", "7 0x3", True),
        # While tini waits for signals, the kernel shows none of them as blocked.
        ("0000000000000000", "0000000000000000", "128 0x7ffd 0x0 0x7ffe 0x8", True),
        ("0000000000000000", "0000000000000000", "1280 0x7ffd", False),
        ("0000000000010002", "0000000000010000", "61 0xffff", False),
    ],
)
def test_a_process_hears_sigterm_if_it_handles_it_or_waits_for_it(
    caught: str, blocked: str, syscall: str, hears: bool
) -> None:
    status = f"Name:\tserve\nSigQ:\t0/31\nSigBlk:\t{blocked}\nSigIgn:\t{'0' * 16}\nSigCgt:\t{caught}\n"
    assert hears_sigterm(status, syscall) is hears


EVERYWHERE, AT_HOME = Listener("0.0.0.0", 8080), Listener("127.0.0.1", 8080)  # noqa: S104 - in a container


@pytest.mark.parametrize(
    ("listening", "answered", "status", "words"),
    [
        ((EVERYWHERE,), False, "passed", "0.0.0.0:8080"),
        ((Listener("::", 8080),), False, "passed", "8080"),
        ((AT_HOME, EVERYWHERE), False, "passed", "8080"),
        ((AT_HOME,), False, "failed", "127.0.0.1:8080, where only itself is heard"),
        ((Listener("::", 5000),), False, "failed", "[::]:5000, and not on port 8080"),
        ((), False, "failed", "nothing"),
        (None, False, "not tried", "nobody can see"),
        # Whoever answers listens, whatever the kernel says.
        (None, True, "passed", "8080"),
    ],
)
def test_it_listens_on_every_address(
    listening: tuple[Listener, ...] | None, answered: bool, status: str, words: str
) -> None:
    seen = judged_listening(listening, answered=answered)
    assert seen.status == status
    assert words in seen.words


# ── what it leaves ────────────────────────────────────────────────────────────────────────────────
def test_only_what_is_lost_and_missed_counts_as_written_outside() -> None:
    changes = [f"/tmp{each}" for each in ("", "/x")]  # noqa: S108 - in a container
    changes += ["/opt", "/opt/ml", "/opt/ml/model", "/root", "/root/.cache", "/root/.cache/y"]
    changes += ["/opt/program", "/opt/program/__pycache__", "/opt/program/__pycache__/a.cpython-313.pyc"]
    assert written_outside(changes) == ()
    assert written_outside([*changes, "/root/model.bin"]) == ("/root/model.bin",)
    assert written_outside(["/opt", "/opt/mlflow", "/opt/mlflow/run"]) == ("/opt/mlflow/run",)


@given(st.lists(st.sampled_from(["a", "b", "model", "logs"]), min_size=1, max_size=4))
def test_the_folders_of_what_was_written_are_not_told_beside_it(parts: list[str]) -> None:
    paths = ["/srv/" + "/".join(parts[: end + 1]) for end in range(len(parts))]
    assert written_outside(["/srv", *paths]) == (paths[-1],)


# ── how it ends ───────────────────────────────────────────────────────────────────────────────────
def test_a_reason_behind_what_failure_reason_shows_is_none() -> None:
    traceback = "Traceback (most recent call last):\n" + "  File x\n" * 200
    assert judged_reason("max_depth: is 'deep'").status == "passed"
    assert judged_reason(f"ValueError: deep\n{traceback}").status == "passed"
    seen = judged_reason(f"{traceback}ValueError: deep")
    assert seen.status == "failed"
    assert seen.words.endswith("characters: ValueError: deep")
    # All of it is shown.
    assert judged_reason(f"{traceback[:900]}\nValueError: deep").status == "passed"


@given(st.text(max_size=1024))
def test_what_fits_is_shown_whole(failure: str) -> None:
    assert judged_reason(failure).status == "passed"


def test_an_entry_point_says_with_its_exit_code_that_there_is_no_such_command() -> None:
    assert judged_start(None, str).status == "passed"
    assert judged_start(Ended(1, 2.0), str).status == "passed"
    seen = judged_start(Ended(127, 0.1), lambda: "sh: train: not found")
    assert (seen.status, seen.words) == ("failed", "exit code 127 after 0.1 s: sh: train: not found")


def test_who_ends_in_time_after_sigterm_may_do_so_with_any_exit_code() -> None:
    assert judged_sigterm(Ended(143, 9.0), 0.5, Limits()).status == "passed"
    assert judged_sigterm(Ended(0, 9.0), 0.5, Limits()).status == "passed"
    assert judged_sigterm(None, 30.0, Limits()).words == "it still ran 30 s after SIGTERM, and was killed"


def test_who_ends_for_want_of_memory_is_said_to() -> None:
    assert str(Ended(137, 1.25, out_of_memory=True)) == "exit code 137 after 1.2 s, for want of memory"


# ── what it answers ───────────────────────────────────────────────────────────────────────────────
ASKED = Request("text/csv", b"1,2", expect="setosa")


@pytest.mark.parametrize(
    ("request_", "answer", "status"),
    [
        (ASKED, Answer(200, b"setosa\n", 0.1), "passed"),
        (ASKED, Answer(200, b"virginica\n", 0.1), "failed"),
        (ASKED, Answer(415, b"send JSON", 0.1), "failed"),
        (ASKED, Answer(500, b"", 0.1), "failed"),
        # Nobody said that it takes this.
        (replace(ASKED, made_up=True), Answer(415, b"send JSON", 0.1), "not tried"),
        (replace(ASKED, made_up=True), Answer(500, b"", 0.1), "failed"),
    ],
)
def test_an_answer_is_held_against_what_was_asked(request_: Request, answer: Answer, status: str) -> None:
    assert judged_answer(answer, request_).status == status


# ── what it is tried with ─────────────────────────────────────────────────────────────────────────
JOB = """
container: {image: trees}
hyperparameters: {criterion: gini, max_depth: 3}
data: {training: data/training/}
environment: {LEVEL: debug}
serve:
  content_types: [text/csv]
  response_types: [text/csv]
  smoke_test: {content_type: text/csv, body: "1,2", expect: b}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a container with job.yaml and data."""
    made = tmp_path / "source"
    (made / "data/training").mkdir(parents=True)
    (made / "data/training/rows.csv").write_text("a,1,2\n")
    (made / "job.yaml").write_text(JOB)
    return made


def tried(tmp_path: Path, folder: Path | None = None, **words: object) -> Trial:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return trial_of(replace(Given(), **words), folder, scratch, ("train", "serve"))  # type: ignore[arg-type]


def names_and_files(trial: Trial) -> dict[str, list[str]]:
    return {channel.name: [item.path for item in channel.source.items()] for channel in trial.channels}


def test_job_yaml_says_what_a_folder_is_tried_with(folder: Path, tmp_path: Path) -> None:
    trial = tried(tmp_path, folder)
    assert names_and_files(trial) == {"training": ["rows.csv"]}
    assert trial.hyperparameters == {"criterion": "gini", "max_depth": "3"}
    assert trial.as_numbers == {"criterion": "gini", "max_depth": 3}
    assert trial.bad == {"criterion": "gini", "max_depth": "no-such-value"}
    assert trial.environment == {"LEVEL": "debug"}
    assert trial.request == Request("text/csv", b"1,2", expect="b")


def test_the_command_line_goes_before_job_yaml(folder: Path, tmp_path: Path) -> None:
    trial = tried(
        tmp_path,
        folder,
        data=folder / "data",
        hyperparameters={"max_depth": "5"},
        bad_hyperparameter={"criterion": "giny"},
        body="[[1]]",
        content_type="application/json",
    )
    assert trial.hyperparameters == {"criterion": "gini", "max_depth": "5"}
    assert (trial.bad, trial.bad_words) == ({"criterion": "giny", "max_depth": "5"}, "criterion=giny")
    assert trial.request == Request("application/json", b"[[1]]")


def test_data_elsewhere_are_given_instead(folder: Path, tmp_path: Path) -> None:
    (folder / "job.yaml").write_text(
        JOB.replace("data/training/", "s3://bucket/rows/, validation: data/none/")
    )
    with pytest.raises(Refused) as refused:
        tried(tmp_path, folder)
    assert [problem.where for problem in refused.value.problems] == [
        "job.yaml: data.training",
        "job.yaml: data.validation",
    ]
    assert "--data" in refused.value.problems[0].mend


def test_folders_in_the_data_are_channels_and_files_alone_are_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for channel in ("train", "validation"):
        (data / channel).mkdir(parents=True)
        (data / channel / "rows.csv").write_text("1,2\n")
    both = tried(tmp_path, data=data)
    assert {channel.name: channel.content_type for channel in both.channels} == {
        "train": "text/csv",
        "validation": "text/csv",
    }
    (tmp_path / "scratch").rmdir()
    assert names_and_files(tried(tmp_path, data=data / "validation")) == {"train": ["rows.csv"]}


def test_without_a_word_rows_of_a_label_and_numbers_are_made_up(tmp_path: Path) -> None:
    trial = tried(tmp_path)
    (channel,) = trial.channels
    (item,) = channel.source.items()
    with item.open() as content:
        rows = content.read().decode().splitlines()
    assert all(re.fullmatch(r"[01](,\d\.\d){4}", row) for row in rows)
    assert trial.request is not None
    assert trial.request.made_up
    assert f"1,{trial.request.body.decode()}" in rows
    assert (trial.bad, trial.as_numbers) == (None, None)


def test_a_model_of_ones_own_takes_no_request_that_is_made_up(tmp_path: Path) -> None:
    assert tried(tmp_path, model=tmp_path).request is None


# ── the command ───────────────────────────────────────────────────────────────────────────────────
def a_report(*seen: Seen) -> Report:
    results = tuple(Result(a_check(f"serve.{number}"), each) for number, each in enumerate(seen))
    return Report("trees:v1", results, 4.2)


def test_what_failed_is_shown_with_what_sagemaker_does_and_the_mend(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = a_report(held("it runs"), broken("it hangs", "wake it"), Seen("not tried", "nobody knows"))
    with pytest.raises(Complaint) as complained:
        show(report, Screen(as_json=False))
    assert complained.value.code == 1
    assert complained.value.mend == "wake it"
    out = capsys.readouterr().out
    lines = [line.rstrip() for line in out.splitlines()]
    assert re.search(r"^✓ +serve.0 is demanded +it runs$", lines[2])
    assert re.search(r"^✗ +serve.1 is demanded +it hangs$", lines[3])
    assert [line.strip() for line in lines[4:6]] == ["SageMaker: it fails", "mend: wake it"]
    assert lines[-1] == "trees:v1: 1 held, 1 failed, 1 not tried; 4 s"


def test_the_document_says_of_each_check_what_was_done_and_seen() -> None:
    document = a_report(held("it runs"), broken("it hangs")).document()
    assert (document["passed"], document["failed"], document["keeps_the_contract"]) == (1, 1, False)
    assert document["checks"][1] == {
        "id": "serve.1",
        "status": "failed",
        "demand": "serve.1 is demanded",
        "did": "looked",
        "seen": "it hangs",
        "sagemaker": "it fails",
        "mend": "mend it",
        "page": "a page",
        "seconds": 0.0,
    }
    assert "mend" not in document["checks"][0]


def test_nothing_failed_is_no_complaint() -> None:
    report = a_report(held("it runs"), Seen("not tried", "nobody knows"))
    show(report, Screen(as_json=True))
    assert len(shown(report)) == 2


def test_words_of_the_command_line() -> None:
    assert parts_of(None) == ("train", "serve")
    assert parts_of("serve") == ("serve",)
    assert limits_of(None) == Limits()
    assert (limits_of(5).training, limits_of(5).start, limits_of(5).sigterm) == (5, 5, 30.0)
    with pytest.raises(Complaint, match="give one") as several:
        bad_one({"a": "1", "b": "2"}, None)
    with pytest.raises(Complaint, match="leave out --only serve") as nothing:
        bad_one({"a": "1"}, "serve")
    assert several.value.code == nothing.value.code == USAGE


def test_a_folder_that_there_is_not_is_told_as_one() -> None:
    with pytest.raises(Complaint, match=r"\./nowhere is no folder") as complained:
        check("./nowhere", Given(), parts_of("train"), Screen(as_json=False))
    assert complained.value.code == USAGE


def test_without_an_engine_the_command_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(Complaint, match="no Docker Engine answers") as complained:
        check("trees:v1", Given(), parts_of("train"), Screen(as_json=False))
    assert complained.value.code == 3
