"""The serving part: what a container makes of ``docker run IMAGE serve``."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from container_check.containers import Ended, NotStarted, Runner, Tried, until
from container_check.contract import Seen, broken, held, untried
from container_check.files import some, written_outside
from container_check.kernel import Listener
from container_check.training import judged_sigterm, judged_start
from container_check.trial import Request, Trial

PORT = 8080
# Any but 8080, to see whether it is listened to.
OTHER_PORT = 8081
_SAFE_PORTS = "9000-9999"
LISTENS_AS_TOLD = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
_REGION = {"AWS_REGION": "eu-central-1"}
_OK, _NOT_FOUND, _ERRORS = 200, 404, 400
# There is no such route, or none with GET: waiting does not mend that.
_NEVER = {404, 405, 501}
# Invalid as UTF-8, as JSON, as numbers and as an image.
NONSENSE = b"\xff\xfe\x00{[,\xc3\x28\x00no sense"
_PINGS = 5
_SHOWN = 160
# Of what takes too long, how long it takes is told.
_PATIENT_PING = 10.0
# Until the engine knows that a container has ended.
_DYING_SECONDS = 1.0


class NoAnswer(Exception):
    """Nothing was answered. The message says what happened instead."""


@dataclass(frozen=True)
class Answer:
    """
    Attributes:
        seconds: until it was read to its end.
    """

    status: int
    body: bytes
    seconds: float

    def __str__(self) -> str:
        text = " ".join(self.body.decode(errors="replace").split())
        return f"{self.status} {text[:_SHOWN]}".strip()


def ask(
    address: tuple[str, int],
    method: str,
    path: str,
    timeout: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """
    Raises:
        NoAnswer: the connection is refused, reset, or silent for ``timeout`` seconds.
    """
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    began = time.monotonic()
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        content = answer.read()
    except TimeoutError as error:
        raise NoAnswer(f"no answer within {timeout:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"no answer: {error or type(error).__name__}") from error
    finally:
        connection.close()
    return Answer(answer.status, content, time.monotonic() - began)


@dataclass(frozen=True)
class CameUp:
    """How far a container came.

    Attributes:
        ping: the last answer to /ping; None if there was none.
        silence: why there was none.
        ended: how it ended by itself; None if it runs.
        listening: what it listens on; None if nobody can see.
        address: where it is asked.
    """

    tried: Tried
    ping: Answer | None
    silence: str
    ended: Ended | None
    listening: Sequence[Listener] | None
    address: tuple[str, int] | None
    seconds: float

    @property
    def is_up(self) -> bool:
        return self.ping is not None and self.ping.status == _OK


class ServingProbe:
    """The checks of serving.

    Args:
        model: the volume in which the model lies; None if there is none.
        labels: of the image.
        is_linux: whether this machine reaches containers in networks without a way out.
    """

    def __init__(
        self,
        runner: Runner,
        trial: Trial,
        model: Callable[[], str | None],
        labels: Callable[[], Mapping[str, str]],
        *,
        is_linux: bool,
    ) -> None:
        self._runner = runner
        self._trial = trial
        self._model = model
        self._labels = labels
        self._is_linux = is_linux
        self._good_answer: Answer | None = None

    @property
    def attempts(self) -> dict[str, Callable[[], Seen]]:
        return {
            "serve.starts": self.starts,
            "serve.read-only": self.read_only,
            "serve.stays-up": self.stays_up,
            "serve.port": self.port,
            "serve.ping": self.ping,
            "serve.ping-time": self.ping_time,
            "serve.invocations": self.invocations,
            "serve.model": self.model,
            "serve.bad-request": self.bad_request,
            "serve.survives": self.survives,
            "serve.unknown-path": self.unknown_path,
            "serve.writes": self.writes,
            "serve.sigterm": self.sigterm,
            "serve.bind-to-port": self.bind_to_port,
            "serve.network": self.network,
        }

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────
    @cached_property
    def _main(self) -> CameUp:
        return self._up(self._serve())

    @cached_property
    def _volume(self) -> str:
        return self._model() or self._empty

    @cached_property
    def _empty(self) -> str:
        return self._runner.volume()

    def _serve(
        self, model: str | None = None, port: int = PORT, *, may_write: bool = False, isolated: bool = False
    ) -> Tried:
        told = {"SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_SAFE_PORT_RANGE": _SAFE_PORTS}
        return self._runner.serve(
            model=model or self._volume,
            environment=_REGION | dict(self._trial.serving_environment) | (told if port != PORT else {}),
            port=port,
            may_write=may_write,
            isolated=isolated,
        )

    def _up(self, tried: Tried, port: int = PORT, network: str | None = None) -> CameUp:
        """Asks for /ping until it is answered with 200, or until it is clear that it never will be."""
        limits = self._trial.limits
        address = tried.address(port) if network is None else tried.address_in(network, port)
        state = _Waiting(limits.settle)

        def look() -> bool | None:
            try:
                state.ping, state.silence = self._ask(address, "GET", "/ping", _PATIENT_PING), ""
            except NoAnswer as error:
                state.silence = str(error)
            if (state.ping is not None and state.ping.status == _OK) or tried.ended() is not None:
                return True
            return state.is_hopeless(tried, port)

        until(look, limits.start)
        ended = tried.ended()
        listening = None if ended else tried.listening()
        return CameUp(tried, state.ping, state.silence, ended, listening, address, tried.seconds)

    @staticmethod
    def _ask(
        address: tuple[str, int] | None,
        method: str,
        path: str,
        timeout: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        if address is None:
            raise NoAnswer("it is in no network")
        return ask(address, method, path, timeout, body, headers)

    def _invoke(self, address: tuple[str, int] | None, request: Request, body: bytes | None = None) -> Answer:
        headers = {"Content-Type": request.content_type}
        if request.accept is not None:
            headers["Accept"] = request.accept
        sent = request.body if body is None else body
        return self._ask(address, "POST", "/invocations", self._trial.limits.invocation, sent, headers)

    # ── whether it comes up ───────────────────────────────────────────────────────────────────────
    def starts(self) -> Seen:
        try:
            main = self._main
        except NotStarted as error:
            return broken(f"the engine says: {error}")
        return judged_start(main.ended, main.tried.last_words)

    def read_only(self) -> Seen:
        main = self._main
        if main.is_up:
            return held("it came up with a model that cannot be written to")
        complains = "read-only file system" in main.tried.log().lower()
        if main.ended is None and not complains:
            return untried("it does not come up, and does not say that it could not write")
        writable = self._up(self._serve(may_write=True))
        if not writable.is_up:
            return untried("it does not come up with one that can be written to either")
        return broken(f"it comes up only with a model that can be written to: {main.tried.last_words()}")

    def stays_up(self) -> Seen:
        main = self._main
        if main.ended is None:
            return held("it runs")
        mend = None if self._model() else "it was served without a model: give it one with --model"
        return broken(f"it ended by itself: {main.ended}. Its last words: {main.tried.last_words()}", mend)

    def port(self) -> Seen:
        return judged_listening(self._main.listening, answered=self._main.ping is not None)

    def ping(self) -> Seen:
        main = self._main
        if main.is_up:
            return held(f"200 after {main.seconds:.1f} s")
        mend = None if self._model() else "it was served without a model: give it one with --model"
        if main.ping is None:
            log = main.tried.last_words()
            return broken(f"{main.silence} in {main.seconds:.0f} s. The log ends with: {log}", mend)
        return broken(f"the answer was {main.ping} for {main.seconds:.0f} s", mend)

    def ping_time(self) -> Seen:
        limit = self._trial.limits.ping
        slowest = 0.0
        for _ in range(_PINGS):
            try:
                answer = self._ask(self._main.address, "GET", "/ping", _PATIENT_PING)
            except NoAnswer as error:
                return broken(f"{error}")
            slowest = max(slowest, answer.seconds)
            if slowest > limit:
                return broken(f"an answer took {slowest:.1f} s")
        return held(f"the slowest of {_PINGS} took {1000 * slowest:.0f} ms")

    # ── how it answers ────────────────────────────────────────────────────────────────────────────
    def invocations(self) -> Seen:
        request = self._trial.request
        if request is None:
            return untried(
                "what it takes is not known: --content-type, --body, or serve.smoke_test in job.yaml"
            )
        try:
            answer = self._invoke(self._main.address, request)
        except NoAnswer as error:
            return broken(f"{error}. The log ends with: {self._main.tried.last_words()}")
        seen = judged_answer(answer, request)
        if seen.status == "passed":
            self._good_answer = answer
        return seen

    def model(self) -> Seen:
        if self._model() is None:
            return untried("there is no model to leave out: --model")
        without = self._up_without_model()
        if without is None or without.ended is not None:
            return held("without a model it does not start")
        if not without.is_up:
            return held(f"without a model /ping is answered with {without.ping or 'nothing'}")
        request = self._trial.request
        if request is None or self._good_answer is None:
            return broken("without a model /ping is answered with 200 all the same")
        try:
            answer = self._invoke(without.address, request)
        except NoAnswer as error:
            return held(f"without a model /ping is answered with 200, but no request is: {error}")
        if answer.status >= _ERRORS:
            return held(f"without a model /ping is answered with 200, but a request says: {answer}")
        if answer.body == self._good_answer.body:
            return broken(f"without a model it answers the same: {answer}")
        return broken(f"without a model it answers all the same: {answer}")

    def _up_without_model(self) -> CameUp | None:
        """None if it does not come up in twice the time that it needs with one."""
        try:
            tried = self._serve(self._empty)
        except NotStarted:
            return None
        limit = self._trial.limits.settle + 2 * self._main.seconds
        address = tried.address(PORT)
        seen: list[Answer] = []

        def look() -> bool | None:
            try:
                seen.append(self._ask(address, "GET", "/ping", _PATIENT_PING))
            except NoAnswer:
                return True if tried.ended() is not None else None
            # Any other answer is one too: it says that there is nothing to serve.
            return True

        until(look, limit)
        tried_ping = seen[-1] if seen else None
        up = CameUp(tried, tried_ping, "", tried.ended(), None, address, tried.seconds)
        if not up.is_up:
            tried.kill()
        return up

    def bad_request(self) -> Seen:
        request = self._trial.request
        if request is None or self._good_answer is None:
            return untried("no request is known that makes sense to it")
        try:
            answer = self._invoke(self._main.address, request, NONSENSE)
        except NoAnswer as error:
            if self._main.tried.wait(_DYING_SECONDS) is not None:
                return untried("it ended, which the next check tells")
            return broken(f"{error}")
        return held(f"{answer}") if answer.status >= _ERRORS else broken(f"the answer was {answer}")

    def survives(self) -> Seen:
        if self._good_answer is None:
            return untried("nothing was sent that made no sense")
        main = self._main

        def pings_or_ended() -> bool | None:
            if main.tried.ended() is not None:
                return True
            try:
                # How fast it is was asked before.
                answer = self._ask(main.address, "GET", "/ping", _PATIENT_PING)
            except NoAnswer:
                return None
            return True if answer.status == _OK else None

        answers = until(pings_or_ended, self._trial.limits.settle)
        if (ended := main.tried.ended()) is not None:
            return broken(f"it ended: {ended}. Its last words: {main.tried.last_words()}")
        if answers is None:
            return broken(f"it runs, but /ping is not answered any more. Its log: {main.tried.last_words()}")
        return held("/ping is answered as before")

    def unknown_path(self) -> Seen:
        try:
            answer = self._ask(self._main.address, "GET", "/no-such-path", self._trial.limits.invocation)
        except NoAnswer as error:
            return broken(f"{error}")
        if _ERRORS <= answer.status < _ERRORS + 100:
            return held(f"{answer.status}")
        return broken(f"GET /no-such-path is answered with {answer}")

    # ── what it leaves, and how it ends ───────────────────────────────────────────────────────────
    def writes(self) -> Seen:
        found = written_outside(self._main.tried.changes())
        return broken(f"it wrote {some(found)}") if found else held("nothing else has changed")

    def sigterm(self) -> Seen:
        tried = self._main.tried
        if tried.ended() is not None:
            # A request that made no sense has killed it.
            tried = self._up(self._serve()).tried
        tried.send_sigterm()
        sent = time.monotonic()
        ended = tried.wait(self._trial.limits.sigterm)
        if ended is None:
            tried.kill()
        return judged_sigterm(ended, time.monotonic() - sent, self._trial.limits)

    # ── elsewhere ─────────────────────────────────────────────────────────────────────────────────
    def bind_to_port(self) -> Seen:
        if self._labels().get(LISTENS_AS_TOLD) != "true":
            return untried(f"its image has no label {LISTENS_AS_TOLD}=true: it is for no inference pipeline")
        up = self._up(self._serve(port=OTHER_PORT), OTHER_PORT)
        up.tried.kill()
        if up.is_up:
            return held(f"/ping is answered on port {OTHER_PORT}")
        where = " and ".join(map(str, up.listening or ())) or "nothing"
        return broken(f"its label promises that, and it listens on {where}")

    def network(self) -> Seen:
        if self._trial.may_use_network:
            return untried("it may need one: --network")
        if not self._is_linux:
            return untried("only Linux reaches containers in a network without a way out")
        network = self._runner.isolated_network()
        up = self._up(self._serve(isolated=True), network=network)
        up.tried.kill()
        if up.is_up:
            return held("it comes up without")
        why = f"it ended: {up.ended}" if up.ended else up.silence or f"/ping: {up.ping}"
        return broken(f"without a network it does not come up: {why}. Its log: {up.tried.last_words()}")


class _Waiting:
    """What is known while a container comes up.

    Args:
        settle: how long something that is wrong may stay wrong, in seconds.
    """

    def __init__(self, settle: float) -> None:
        self.ping: Answer | None = None
        self.silence = ""
        self._settle = settle
        self._wrong_since: float | None = None

    def is_hopeless(self, tried: Tried, port: int) -> bool | None:
        """Whether it is up for long enough, and wrong; None if there is hope."""
        if self.ping is not None:
            wrong = self.ping.status in _NEVER
        else:
            listening = tried.listening()
            wrong = bool(listening) and not _reachable(listening or (), port)
        if not wrong:
            self._wrong_since = None
            return None
        if self._wrong_since is None:
            self._wrong_since = time.monotonic()
        return True if time.monotonic() - self._wrong_since >= self._settle else None


def _reachable(listening: Sequence[Listener], port: int) -> bool:
    return any(each.port == port and each.is_everywhere for each in listening)


def judged_listening(listening: Sequence[Listener] | None, *, answered: bool) -> Seen:
    """
    Args:
        listening: None if nobody can see.
        answered: whether anything was answered on port 8080.
    """
    if answered:
        return held(f"it answers on port {PORT}")
    if listening is None:
        return untried("nobody can see what it listens on")
    if not listening:
        return broken("it listens on nothing", f"start a server that listens on 0.0.0.0:{PORT}")
    if _reachable(listening, PORT):
        return held(f"it listens on 0.0.0.0:{PORT}")
    where = " and ".join(str(each) for each in listening)
    if any(each.port == PORT for each in listening):
        return broken(f"it listens on {where}, where only itself is heard")
    return broken(f"it listens on {where}, and not on port {PORT}")


def judged_answer(answer: Answer, request: Request) -> Seen:
    """What is to be said of the answer to a request that makes sense."""
    if answer.status != _OK:
        if request.made_up and answer.status < 500:
            return untried(
                f"a row of numbers as {request.content_type} was made up for it, and the answer was "
                f"{answer}: give --content-type and --body"
            )
        return broken(f"the answer was {answer}")
    if request.expect is not None and request.expect not in answer.body.decode(errors="replace"):
        return broken(f"the answer was {answer}, without {request.expect!r}")
    return held(f"{answer} in {1000 * answer.seconds:.0f} ms")
