"""The course of a job: its instances come up, their containers are asked, and what they answer is written.

"Batch transform" and "Use Your Own Inference Code with Batch Transform" in the SageMaker Developer Guide:
objects are shared out among the instances; containers are told by variables how they will be asked, and may
say at ``/execution-parameters`` how they want to be. An object with a bad record has no answers, the others
have theirs, and the job fails; a job that is stopped leaves none. The lines of the data log are as people
have reported them.
"""

from __future__ import annotations

import gzip
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from localcloud import calls
from localcloud.inference_pipeline import NoAnswerError, SilentContainerError
from localcloud.serving import Answer, ContainerError
from localcloud.training.channels import keys, place
from localcloud.transform.processing import Processing
from localcloud.transform.record import OVER, Record, Status
from localcloud.transform.records import RecordError, glue, requests, split

_OK = range(200, 300)
_CLIENT_ERRORS = range(400, 500)
_MB = 1024 * 1024
_DEFAULT_MB = 6
_SEE_LOGS = "See job logs for more information"
_SILENT = (
    "AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is implemented "
    "and responds with an HTTP 200 status code"
)
_STRATEGIES = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}


class Containers(Protocol):
    """The containers of a model; an `InferencePipeline`."""

    def start(self) -> None: ...

    def invoke(
        self, body: bytes, headers: Mapping[str, str], limit: float | None = None
    ) -> tuple[Answer, str]: ...

    def execution_parameters(self) -> Mapping[str, Any]: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Machine:
    """An instance of a job.

    Attributes:
        name: what the streams of its logs are called after the job's name.
    """

    name: str
    containers: Containers


class TransformFailed(Exception):
    """The job fails. The message is its FailureReason."""


@dataclass(frozen=True)
class Asking:
    """How the containers are asked.

    Attributes:
        at_a_time: how many requests an instance has at a time.
        most_bytes: of a request; 0 for any number.
        several: whether a request has as many records as there is room for.
    """

    at_a_time: int
    most_bytes: int
    several: bool

    @classmethod
    def of(cls, asked: Mapping[str, Any], wished: Mapping[str, Any]) -> Asking:
        """What the job says, else what the container says, else what SageMaker does by itself."""
        megabytes = asked.get("MaxPayloadInMB", _number(wished, "MaxPayloadInMB", _DEFAULT_MB))
        at_a_time = asked.get("MaxConcurrentTransforms") or _number(wished, "MaxConcurrentTransforms", 1)
        strategy = _STRATEGIES.get(str(asked.get("BatchStrategy"))) or wished.get("BatchStrategy")
        return cls(max(int(at_a_time), 1), int(megabytes) * _MB, strategy != "SINGLE_RECORD")

    def in_log(self) -> str:
        """As the data log tells it."""
        strategy = "MULTI_RECORD" if self.several else "SINGLE_RECORD"
        return (
            f"MaxConcurrentTransforms={self.at_a_time}, MaxPayloadInMB={self.most_bytes // _MB}, "
            f"BatchStrategy={strategy}"
        )


def _number(wished: Mapping[str, Any], name: str, default: int) -> int:
    number = wished.get(name)
    return number if isinstance(number, int) and number >= 0 else default


def batch_environment(asked: Mapping[str, Any]) -> dict[str, str]:
    """What containers are told besides the job's Environment."""
    told = {"SAGEMAKER_BATCH": "true"}
    if "MaxPayloadInMB" in asked:
        told["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(asked["MaxPayloadInMB"])
    if "BatchStrategy" in asked:
        told["SAGEMAKER_BATCH_STRATEGY"] = _STRATEGIES[asked["BatchStrategy"]]
    if "MaxConcurrentTransforms" in asked:
        told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(asked["MaxConcurrentTransforms"])
    return told


class Course:
    """Carries out a job.

    Args:
        s3: a client with the rights of the model's role.
        containers: those of an instance, by its name, which are not started yet.
        announce: tells of a job whose status changed.
        write_data_log: takes an instance's name, and a line that SageMaker itself writes.
    """

    def __init__(
        self,
        record: Record,
        processing: Processing,
        *,
        s3: Any,
        containers: Callable[[str], Containers],
        announce: Callable[[Record], None],
        write_data_log: Callable[[str, str], None],
    ) -> None:
        self.record = record
        self._processing = processing
        self._s3 = s3
        self._containers = containers
        self._announce = announce
        self._write = write_data_log
        self._told_to_stop = Event()
        self._lock = Lock()
        self._machines: list[Machine] = []
        self._answered: list[tuple[str, bytes]] = []
        self._failures: list[TransformFailed] = []
        told = record.asked["TransformInput"]
        self._content_type = str(told.get("ContentType", ""))
        self._split = str(told.get("SplitType", "None"))
        self._is_gzip = told.get("CompressionType", "None") == "Gzip"
        self._prefix = str(told["DataSource"]["S3DataSource"]["S3Uri"])

    # ── from other threads ────────────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """Stop the job; its status says so already."""
        self._told_to_stop.set()
        self._end_instances()

    # ── the course ────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """From its input to the end."""
        try:
            self._transform()
            if not self._told_to_stop.is_set():
                self._write_answers()
        except (TransformFailed, ContainerError) as error:
            outcome: tuple[Status, str | None] = ("Failed", str(error))
        else:
            outcome = ("Completed", None)
        finally:
            self._end_instances()
        if self._told_to_stop.is_set():
            outcome = ("Stopped", None)
        self._move(*outcome)

    def _move(self, status: Status, failure: str | None = None) -> None:
        if self.record.move(status, calls.now(), failure):
            self._announce(self.record)

    def _transform(self) -> None:
        found = self._input()
        count = min(int(self.record.asked["TransformResources"]["InstanceCount"]), len(found))
        shares = [found[number::count] for number in range(count)]
        machines = [self._came_up() for _ in shares]
        self.record.started = calls.now()
        with ThreadPoolExecutor(count) as pool:
            for done in [pool.submit(self._share, *each) for each in zip(machines, shares, strict=True)]:
                done.result()

    def _write_answers(self) -> None:
        for name, content in self._answered:
            self._put(name, content)
        if self._failures:
            raise self._failures[0]

    def _input(self) -> list[str]:
        bucket, prefix = place(self._prefix)
        try:
            found = [key for key in keys(self._s3, bucket, prefix) if not key.endswith("/")]
        except (ClientError, BotoCoreError) as error:
            raise TransformFailed(f"ClientError: Failed to list {self._prefix}: {error}") from error
        if not found:
            raise TransformFailed(f"ClientError: No S3 objects found under S3 URL {self._prefix}")
        return found

    def _came_up(self) -> Machine:
        name = f"i-{uuid.uuid4().hex[:17]}-{uuid.uuid4().hex}"
        machine = Machine(name, self._containers(name))
        with self._lock:
            self._machines.append(machine)
        try:
            if not self._told_to_stop.is_set():
                machine.containers.start()
        except SilentContainerError as error:
            raise TransformFailed(_SILENT) from error
        return machine

    def _end_instances(self) -> None:
        with self._lock:
            ending, self._machines = self._machines, []
        for machine in ending:
            machine.containers.stop()

    def _share(self, machine: Machine, share: Sequence[str]) -> None:
        asking = Asking.of(self.record.asked, machine.containers.execution_parameters())
        self._log(machine, asking.in_log())
        for key in share:
            if self._told_to_stop.is_set():
                return
            try:
                content = self._object(machine, key, asking)
            except TransformFailed as failure:
                with self._lock:
                    self._failures.append(failure)
            else:
                with self._lock:
                    self._answered.append((self._name(key), content))

    # ── an object ─────────────────────────────────────────────────────────────────────────────────

    def _name(self, key: str) -> str:
        """What an object is called below the prefix; the prefix may end within a name."""
        _, prefix = place(self._prefix)
        if key != prefix and (prefix.endswith("/") or key.startswith(f"{prefix}/")):
            return key.removeprefix(prefix).lstrip("/")
        return key[prefix.rfind("/") + 1 :]

    def _object(self, machine: Machine, key: str, asking: Asking) -> bytes:
        """The answers to an object's records.

        Raises:
            TransformFailed: one of them has none; the data log says why.
        """
        bucket, _ = place(self._prefix)
        try:
            records = split(self._read(bucket, key), self._split)
            sent = [self._processing.asked(record, self._content_type) for record in records]
            batches = requests(sent, how=self._split, several=asking.several, most=asking.most_bytes)
            originals, start = [], 0
            for batch in batches:
                originals.append(records[start : start + len(batch)])
                start += len(batch)
            with ThreadPoolExecutor(asking.at_a_time) as pool:
                answers = list(
                    pool.map(
                        lambda each: self._asked(machine, f"{bucket}/{key}", *each),
                        zip(originals, batches, strict=True),
                    )
                )
        except RecordError as error:
            self._log(machine, f"{bucket}/{key}: {error}")
            raise TransformFailed(f"ClientError: {_SEE_LOGS}") from error
        by_line = self.record.asked["TransformOutput"].get("AssembleWith", "None") == "Line"
        parts = (part for each in answers for part in each)
        return b"".join(part.removesuffix(b"\n") + b"\n" if by_line else part for part in parts)

    def _read(self, bucket: str, key: str) -> bytes:
        try:
            content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except (ClientError, BotoCoreError) as error:
            raise TransformFailed(f"ClientError: Failed to download s3://{bucket}/{key}: {error}") from error
        if not self._is_gzip:
            return content
        try:
            return gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise RecordError(f"The input is not in gzip format ({error})") from error

    def _asked(
        self, machine: Machine, name: str, originals: Sequence[bytes], batch: Sequence[bytes]
    ) -> list[bytes]:
        """What of the answer to a request is kept."""
        body, kept_type = self._invoked(machine, name, glue(self._split).join(batch))
        if not self._processing.changes_answers:
            return [body]
        return self._processing.kept(originals, self._content_type, body, kept_type)

    def _invoked(self, machine: Machine, name: str, body: bytes) -> tuple[bytes, str]:
        asked = self.record.asked
        headers = {"Content-Type": self._content_type} if self._content_type else {}
        if accept := asked["TransformOutput"].get("Accept"):
            headers["Accept"] = accept
        patience = asked.get("ModelClientConfig") or {}
        limit = float(patience.get("InvocationsTimeoutInSeconds", 600))
        tries = 1 + int(patience.get("InvocationsMaxRetries", 3))
        for left in reversed(range(tries)):
            try:
                answer, _ = machine.containers.invoke(body, headers, limit)
            except NoAnswerError as error:
                if left and not self._told_to_stop.is_set():
                    continue
                self._log(machine, f"{name}: Unable to get response from algorithm")
                raise TransformFailed(f"AlgorithmError: {_SEE_LOGS}") from error
            if answer.status in _OK:
                return answer.body, answer.content_type
            if answer.status in _CLIENT_ERRORS or not left:
                break
        refused = answer.status in _CLIENT_ERRORS
        what = "ClientError" if refused else "Bad HTTP status received from algorithm"
        message = answer.body.decode(errors="replace").splitlines()
        for line in (f"{what}: {answer.status}", "", "Message:", *message):
            self._log(machine, f"{name}: {line}")
        raise TransformFailed(f"{'ClientError' if refused else 'AlgorithmError'}: {_SEE_LOGS}")

    def _put(self, name: str, content: bytes) -> None:
        told = self.record.asked["TransformOutput"]
        bucket, prefix = place(str(told["S3OutputPath"]))
        key = f"{prefix.rstrip('/')}/{name}.out".lstrip("/")
        kms = told.get("KmsKeyId")
        encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms} if kms else {}
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=content, **encrypted)
        except (ClientError, BotoCoreError) as error:
            raise TransformFailed(f"ClientError: Failed to upload s3://{bucket}/{key}: {error}") from error

    def _log(self, machine: Machine, line: str) -> None:
        moment = calls.now().replace(tzinfo=None).isoformat(timespec="milliseconds")
        self._write(machine.name, f"{moment}:[sagemaker logs]: {line}")


def is_over(record: Record) -> bool:
    """Whether nothing becomes of a job any more."""
    return record.status in OVER
