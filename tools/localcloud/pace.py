"""How long things take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Durations, all in seconds. The defaults are for tests: every state can be seen, none is waited for.

    Attributes:
        creating, updating, rolling_back, deleting: how long an endpoint stays in the state before what
            ends it happens (the container's own start comes on top).
        event_delay: from an event to its first delivery.
        function_retries: the pauses before each retry of a function that failed on an event; AWS's are
            one and two minutes.
        target_retry: the pause before EventBridge tries a target again; it doubles each time.
        container_start_limit: the longest that a container may take to answer ``/ping``, whatever its
            endpoint config allows.
        ping_interval: between two tries of ``/ping``.
        container_stop_grace: between SIGTERM and SIGKILL; AWS gives 30 seconds.
        invocation_limit: how long a container may take to answer ``/invocations``; AWS gives 60 seconds.
        bake_factor: what one second of a DeploymentConfig's waits lasts here: five minutes are 0.15 s.
        alarm_interval: how often the alarms of a deployment are looked at while it waits.
        asynchronous: from InvokeEndpointAsync to the container.
        scanning: from an image's push, or StartImageScan, to the end of its scan.
        starting_training: how long a training job waits for its instances.
        spot_return: from an interruption of a spot job until its instances are looked for again.
        checkpoint_interval: how often the checkpoints of a training job are copied.
        training_stop_grace: between SIGTERM and SIGKILL of a training job; AWS gives 120 seconds.
        studio: how long a domain, user profile, space or app stays Pending, Updating or Deleting.
    """

    creating: float = 0.08
    updating: float = 0.08
    rolling_back: float = 0.05
    deleting: float = 0.05
    event_delay: float = 0.0
    function_retries: tuple[float, ...] = (0.05, 0.1)
    target_retry: float = 0.05
    container_start_limit: float = 20.0
    ping_interval: float = 0.05
    container_stop_grace: float = 3.0
    invocation_limit: float = 60.0
    bake_factor: float = 0.0005
    alarm_interval: float = 0.02
    asynchronous: float = 0.02
    scanning: float = 0.05
    starting_training: float = 0.02
    spot_return: float = 0.02
    checkpoint_interval: float = 0.1
    training_stop_grace: float = 0.3
    studio: float = 0.02

    @classmethod
    def human(cls) -> Pace:
        """Slow enough to watch, fast enough to wait for."""
        return cls(
            creating=4.0,
            updating=4.0,
            rolling_back=2.0,
            deleting=1.5,
            event_delay=0.3,
            function_retries=(5.0, 10.0),
            target_retry=2.0,
            container_start_limit=60.0,
            ping_interval=0.2,
            container_stop_grace=10.0,
            bake_factor=0.02,
            alarm_interval=0.5,
            asynchronous=1.0,
            scanning=3.0,
            starting_training=3.0,
            spot_return=5.0,
            checkpoint_interval=1.0,
            training_stop_grace=10.0,
            studio=3.0,
        )
