"""The settings that a document can say, with their defaults. The only list of them. Pure.

The names are the keys of `modelgate.studio.resources.Settings`. What SageMaker has besides is nobody's here:
it stays as it is.
"""

from __future__ import annotations

from modelgate.studio.resources import DEFAULT_INSTANCE, Kind, Settings, Value

# SageMaker's own words, Amazon SageMaker API Reference, "AppType".
APP_TYPES = (
    "JupyterLab",
    "CodeEditor",
    "Canvas",
    "JupyterServer",
    "KernelGateway",
    "RStudioServerPro",
    "RSessionGateway",
    "TensorBoard",
    "DetailedProfiler",
)
# What a space can run that has a storage volume of its own.
SPACE_APPS = ("JupyterLab", "CodeEditor")

LEAST_IDLE_MINUTES = 60
MOST_IDLE_MINUTES = 525_600
_NEVER = 0

_OF_JUPYTERLAB: dict[str, Value] = {
    "jupyterlab.instance": DEFAULT_INSTANCE,
    "jupyterlab.lifecycle": (),
    "jupyterlab.default_lifecycle": "",
    "jupyterlab.repositories": (),
    "jupyterlab.idle_minutes": _NEVER,
    "jupyterlab.least_idle_minutes": LEAST_IDLE_MINUTES,
    "jupyterlab.most_idle_minutes": MOST_IDLE_MINUTES,
}
_OF_CODE_EDITOR: dict[str, Value] = {
    key.replace("jupyterlab", "code_editor"): default
    for key, default in _OF_JUPYTERLAB.items()
    if key != "jupyterlab.repositories"
}
_OF_STORAGE: dict[str, Value] = {"storage.default_gb": 5, "storage.most_gb": 100}

# What a profile can say, and the domain for profiles that do not: SageMaker's UserSettings.
OF_PROFILES: Settings = {
    "execution_role": "",
    "security_groups": (),
    "hidden_apps": (),
    "landing_uri": "app:JupyterServer:",
    "web_portal": True,
    **_OF_JUPYTERLAB,
    **_OF_CODE_EDITOR,
    **_OF_STORAGE,
}
# What the domain says for spaces: SageMaker's DefaultSpaceSettings.
OF_SPACE_DEFAULTS: Settings = {
    "execution_role": "",
    "security_groups": (),
    **_OF_JUPYTERLAB,
    **_OF_STORAGE,
}
FOR_PROFILES, FOR_SPACES = "profiles.", "spaces."
# All that a domain can say. The values are what SageMaker does where it says nothing.
OF_DOMAIN: Settings = {
    "subnets": (),
    "network": "PublicInternetOnly",
    "tag_propagation": False,
    **{f"{FOR_PROFILES}{key}": default for key, default in OF_PROFILES.items()},
    **{f"{FOR_SPACES}{key}": default for key, default in OF_SPACE_DEFAULTS.items()},
}
# What a space can say; what it does not is its owner's to set in Studio.
OF_SPACE = ("instance", "lifecycle", "idle_minutes", "storage_gb", "repositories", "display_name")
FIXED: dict[Kind, tuple[str, ...]] = {
    Kind.LIFECYCLE_CONFIGURATION: ("app", "script"),
    Kind.DOMAIN: ("authentication", "vpc", "kms_key"),
    Kind.PROFILE: ("sso_user",),
    Kind.SPACE: ("app", "sharing", "owner"),
}
# SageMaker adds a profile's to the domain's, so that leaving them out means none.
ADDED_UP = "security_groups"
