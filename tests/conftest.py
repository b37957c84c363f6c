"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Machines are shared: how long one example takes says nothing.
settings.register_profile(
    "modelgate",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # The same examples each time: what fails here fails for whoever looks at it next.
    derandomize=True,
)
settings.load_profile("modelgate")
