"""The training part: what a container makes of ``docker run IMAGE train``."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from container_check.containers import HOST, Ended, NotStarted, Runner, Tried, packed, until
from container_check.contract import Seen, broken, held, untried
from container_check.files import some, written_outside
from container_check.trial import Limits, Trial
from localcloud.training import opt_ml
from localcloud.training.hosts import OPT_ML

# FailureReason has so many.
REASON_CHARACTERS = 1024
_FAILURE = f"{OPT_ML}/output/failure"
_REGION = "eu-central-1"
_JOB = {
    "TRAINING_JOB_NAME": "container-check",
    "TRAINING_JOB_ARN": "arn:aws:sagemaker:eu-central-1:123456789012:training-job/container-check",
    "AWS_REGION": _REGION,
}
# SIGTERM comes between these parts of the time that training takes, or these seconds, as soon as it is heard.
_EARLIEST, _LATEST = (0.3, 10.0), (0.7, 30.0)
_TRIES = 2
_TRACEBACK = "Traceback (most recent call last)"
_SHOWN = 200
# Found and no executable, not found.
_NOT_RUN = {126, 127}


@dataclass(frozen=True)
class Trained:
    """A training that came to its end.

    Attributes:
        ended: None if it did not within its time, and was killed.
    """

    tried: Tried
    ended: Ended | None

    @property
    def succeeded(self) -> bool:
        return self.ended is not None and self.ended.code == 0

    def failure(self) -> str | None:
        """What it wrote to the failure file."""
        return self.tried.read(_FAILURE)


class TrainingProbe:
    """The checks of training.

    Args:
        scratch: a folder for what is laid under ``/opt/ml``.
    """

    def __init__(self, runner: Runner, trial: Trial, scratch: Path) -> None:
        self._runner = runner
        self._trial = trial
        self._scratch = scratch

    @property
    def attempts(self) -> dict[str, Callable[[], Seen]]:
        return {
            "train.starts": self.starts,
            "train.hyperparameters": self.hyperparameters,
            "train.succeeds": self.succeeds,
            "train.model": self.model,
            "train.data": self.data,
            "train.writes": self.writes,
            "train.refuses": self.refuses,
            "train.failure": self.failure,
            "train.reason-first": self.reason_first,
            "train.sigterm": self.sigterm,
        }

    @cached_property
    def model_volume(self) -> str:
        """Where the model is that was trained, or is to be."""
        return self._runner.volume()

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────
    @cached_property
    def _good(self) -> Trained:
        return self._ended(self._start(self._trial.hyperparameters, self.model_volume))

    @cached_property
    def _bad(self) -> Trained:
        return self._ended(self._start(self._trial.bad or {}))

    def _ended(self, tried: Tried) -> Trained:
        ended = tried.wait(self._trial.limits.training)
        if ended is None:
            tried.kill()
        return Trained(tried, ended)

    def _start(
        self, hyperparameters: Mapping[str, Any], volume: str | None = None, *, with_data: bool = True
    ) -> Tried:
        """
        Raises:
            NotStarted: it cannot be started.
        """
        files = self._laid_out(hyperparameters, with_data=with_data)
        return self._runner.train(
            files=files,
            model=volume or self._runner.volume(),
            environment={**_JOB, **self._trial.environment},
            code=self._trial.code,
        )

    def _laid_out(self, hyperparameters: Mapping[str, Any], *, with_data: bool) -> bytes:
        """``/opt/ml`` as SageMaker lays it out, as a tar archive."""
        base = self._scratch / "opt/ml"
        shutil.rmtree(base, ignore_errors=True)
        opt_ml.lay_out(
            base,
            hyperparameters={},
            channels=self._trial.channels,
            host=HOST,
            hosts=[HOST],
            instance_type=self._trial.instance_type,
            network_interface="eth0",
            place=OPT_ML,
            checkpoints=None,
        )
        # Not by the layout, which knows texts only: once they are numbers, to see what is wrong with texts.
        (base / "input/config/hyperparameters.json").write_text(json.dumps(dict(hyperparameters)))
        for channel in self._trial.channels:
            folder = base / "input/data" / channel.name
            folder.mkdir(parents=True, exist_ok=True)
            if with_data:
                channel.lay_down(folder, 0, 1)
        return packed(base)

    # ── what is seen ──────────────────────────────────────────────────────────────────────────────
    def starts(self) -> Seen:
        try:
            ended = self._good.ended
        except NotStarted as error:
            return broken(f"the engine says: {error}")
        return judged_start(ended, self._good.tried.last_words)

    def hyperparameters(self) -> Seen:
        names = ", ".join(self._trial.hyperparameters)
        if not names:
            return untried("no hyperparameters are given: --hyperparameter NAME=VALUE")
        if self._good.succeeded:
            return held(f"it trained with {names} as texts")
        numbers = self._trial.as_numbers
        if self._good.ended is None or numbers is None:
            return untried("training fails, and not because they are texts")
        if not self._ended(self._start(numbers)).succeeded:
            return untried("training fails with numbers too")
        return broken(
            f"it trains with {names} as numbers, and fails with texts: {self._words_of(self._good)}"
        )

    def succeeds(self) -> Seen:
        ended = self._good.ended
        if ended is None:
            return broken(
                f"it was not over after {self._trial.limits.training:g} s, and wrote: "
                f"{self._good.tried.last_words()}",
                "give it less to do (--data, --hyperparameter), or more time (--timeout)",
            )
        if ended.code:
            return broken(f"{ended}: {self._words_of(self._good)}")
        return held(str(ended))

    def _words_of(self, trained: Trained) -> str:
        """Why it failed, in its own words."""
        told = (trained.failure() or "").strip()
        return _cut(told) if told else trained.tried.last_words()

    def model(self) -> Seen:
        found = self._good.tried.files("/opt/ml/model")
        return held(f"there are {some(found)}") if found else broken("there is no file in /opt/ml/model")

    def data(self) -> Seen:
        again = self._ended(self._start(self._trial.hyperparameters, with_data=False))
        if again.ended is None:
            return untried("without data it does not end")
        if again.ended.code:
            return held(f"without data it fails: {again.ended}")
        if not again.tried.files("/opt/ml/model"):
            return held("without data it makes no model")
        names = ", ".join(channel.name for channel in self._trial.channels)
        return broken(f"without any file in {names} it trains just as well: exit code 0, and a model")

    def writes(self) -> Seen:
        found = written_outside(self._good.tried.changes())
        return broken(f"it wrote {some(found)}") if found else held("nothing else has changed")

    def refuses(self) -> Seen:
        if self._trial.bad is None:
            return untried(
                "no hyperparameter is known to be bad: --bad-hyperparameter NAME=VALUE, or --hyperparameter "
                "with a number"
            )
        ended = self._bad.ended
        words = self._trial.bad_words
        if ended is None:
            return broken(f"with {words} it does not end within {self._trial.limits.training:g} s")
        return (
            held(f"with {words}: {ended}") if ended.code else broken(f"with {words} it ends with exit code 0")
        )

    def failure(self) -> Seen:
        if self._trial.bad is None:
            return untried("no training was made to fail")
        told = self._bad.failure()
        if told is None:
            return broken(f"there is no such file; the log ends with: {self._bad.tried.last_words()}")
        return held(f"it says: {_cut(told)}") if told.strip() else broken("the file is empty")

    def reason_first(self) -> Seen:
        if self._trial.bad is None:
            return untried("no training was made to fail")
        return judged_reason(self._bad.failure() or "")

    def sigterm(self) -> Seen:
        usual = self._good.ended
        if usual is None:
            return untried("training does not end")
        seconds = usual.seconds
        for _ in range(_TRIES):
            tried = self._start(self._trial.hyperparameters)
            earliest, latest = (min(part * seconds, most) for part, most in (_EARLIEST, _LATEST))
            heard = self._heard(tried, earliest, latest)
            if heard is not None:
                return self._told_to_end(tried, heard=heard)
            # What was read once is read faster.
            seconds = tried.seconds
        return broken("its first process did not handle SIGTERM from its start to its end")

    def _heard(self, tried: Tried, earliest: float, latest: float) -> bool | None:
        """Waits until SIGTERM is heard, or the latest time; None if training was over before."""

        def heard_or_ended() -> bool | None:
            # In this order: of what has ended nobody can see any more what it heard.
            hears = tried.hears_sigterm() is not False and tried.seconds >= earliest
            return True if hears or tried.ended() is not None else None

        in_time = until(heard_or_ended, latest) is not None
        return None if tried.ended() is not None else in_time

    def _told_to_end(self, tried: Tried, *, heard: bool) -> Seen:
        tried.send_sigterm()
        sent = time.monotonic()
        ended = tried.wait(self._trial.limits.sigterm)
        if ended is None:
            tried.kill()
        elif ended.code == 0 and not heard:
            return broken("its first process did not handle SIGTERM, and went on to its end")
        return judged_sigterm(ended, time.monotonic() - sent, self._trial.limits)


def judged_start(ended: Ended | None, last_words: Callable[[], str]) -> Seen:
    """Whether the command was there: entry points that start it say so as shells do, with an exit code."""
    if ended is not None and ended.code in _NOT_RUN:
        return broken(f"{ended}: {last_words()}")
    return held("it was started" if ended is None else f"it was started, and ended: {ended}")


def judged_sigterm(ended: Ended | None, seconds: float, limits: Limits) -> Seen:
    """
    Args:
        ended: None if it had to be killed.
        seconds: since SIGTERM was sent.
    """
    if ended is None:
        return broken(f"it still ran {limits.sigterm:g} s after SIGTERM, and was killed")
    return held(f"it ended {seconds:.1f} s after SIGTERM with exit code {ended.code}")


def judged_reason(failure: str) -> Seen:
    """Whether what FailureReason shows of a failure file says what went wrong."""
    told = failure.strip()
    if len(told) <= REASON_CHARACTERS:
        return held(f"all of it fits: {len(told)} characters")
    traceback = told.find(_TRACEBACK)
    # A traceback ends with the error. What stands before it, if anything does, is the reason.
    if traceback >= 0 and not told[:traceback].strip():
        return broken(
            f"it begins with a traceback, and its error stands behind the first {REASON_CHARACTERS:,} of "
            f"{len(told):,} characters: {_cut(told.splitlines()[-1])}"
        )
    return held(f"of {len(told):,} characters FailureReason shows: {_cut(told)}")


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
