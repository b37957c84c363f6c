"""A Studio domain as a document: made, changed, put back when somebody changes it by hand, taken away.

    python -m examples.studio.demo

What it comes to is written to ``build/demo-studio.json``; the exit code is 0 only if every expectation held.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from examples.story import Story, main, no_event_is_left, subscribe

_HERE = Path(__file__).parent
RESULT = Path("build", "demo-studio.json")
DOMAIN = "research"
_TRAIL = "who-calls-what"
# Larger than anybody here needs.
_LARGE = "ml.p4d.24xlarge"
_PATIENCE = 60.0
# What a call is about, in what CloudTrail tells of it; the innermost first.
_NAMES = ("spaceName", "userProfileName", "studioLifecycleConfigName", "domainId")


@dataclass
class StudioStory(Story):
    """A story about a domain.

    Attributes:
        domain_id: SageMaker's.
        document: as it was applied last.
    """

    domain_id: str = ""
    document: dict[str, Any] | None = None

    def facts(self) -> dict[str, Any]:
        """What is there in the end."""
        domains = self.cloud.client("sagemaker").list_domains()["Domains"]
        return {"domain": DOMAIN, "domains": [each["DomainName"] for each in domains]}

    @property
    def file(self) -> Path:
        return self.folder / f"{DOMAIN}.yaml"


# ── the chapters ──────────────────────────────────────────────────────────────────────────────────
def tell(story: StudioStory) -> None:
    """The story, from beginning to end."""
    a_cloud_with_a_trail(story)
    a_domain_is_planned_and_made(story)
    a_change_and_an_orphan(story)
    a_change_by_hand_is_put_back(story)
    what_there_is_is_its_document(story)
    all_of_it_is_taken_away(story)
    story.chapter("Nothing is left undone")
    no_event_is_left(story)


def a_cloud_with_a_trail(story: StudioStory) -> None:
    story.chapter("AWS on this machine, with the stack of template.yaml")
    story.tell("local cloud", f"answers at {story.cloud.url}, to any AWS client with AWS_ENDPOINT_URL")
    story.queue = subscribe(story.cloud)
    trail = story.cloud.client("cloudtrail")
    trail.create_trail(Name=_TRAIL, S3BucketName=story.cloud.outputs["Bucket"])
    trail.start_logging(Name=_TRAIL)
    story.tell("CloudTrail", "a trail logs, so that whoever calls Studio's API is an event")


def a_domain_is_planned_and_made(story: StudioStory) -> None:
    story.chapter(
        "A platform engineer writes a document: a domain, three profiles, a private space each, one shared"
    )
    write(story, yaml.safe_load((_HERE / "research.yaml").read_text()))
    modelgate(story, "studio", "plan", str(story.file))
    modelgate(story, "studio", "apply", str(story.file), "--yes")
    domain = story.cloud.client("sagemaker").list_domains()["Domains"][0]
    story.domain_id = domain["DomainId"]
    settled(story, 1)
    story.expect("the domain's name", domain["DomainName"], DOMAIN)
    story.expect("the user profiles", profiles(story), ["ana", "ben", "cleo"])
    expected = {"ana-private": "ana", "ben-private": "ben", "cleo-private": "cleo", "team": "ana"}
    story.expect("the spaces and their owners", spaces(story), expected)


def a_change_and_an_orphan(story: StudioStory) -> None:
    story.chapter("Another version of the document: shorter idle times, and cleo has left")
    changed = {**(story.document or {})}
    changed["domain"]["profile_settings"]["jupyterlab"]["idle_shutdown"] = 60
    changed["profiles"] = [each for each in changed["profiles"] if each["name"] != "cleo"]
    write(story, changed)
    modelgate(story, "studio", "apply", str(story.file), "--yes")
    settled(story, 2)
    orphaned = story.wait_for_announcement("Studio Orphaned", lambda _: True)
    story.expect("the orphans", orphaned["orphans"], ["space cleo-private", "user profile cleo"])
    story.expect("the user profiles", profiles(story), ["ana", "ben", "cleo"])
    told = story.cloud.client("sagemaker").describe_domain(DomainId=story.domain_id)
    idle = told["DefaultUserSettings"]["JupyterLabAppSettings"]["AppLifecycleManagement"]["IdleSettings"]
    story.expect("the idle time in minutes", idle["IdleTimeoutInMinutes"], 60)


def a_change_by_hand_is_put_back(story: StudioStory) -> None:
    story.chapter("In the console somebody gives ben a larger machine")
    sagemaker = story.cloud.client("sagemaker")
    settings = {"JupyterLabAppSettings": {"DefaultResourceSpec": {"InstanceType": _LARGE}}}
    sagemaker.update_user_profile(DomainId=story.domain_id, UserProfileName="ben", UserSettings=settings)
    story.tell("console", f"ben's JupyterLab starts on {_LARGE} now", "yellow")
    modelgate(story, "studio", "plan", DOMAIN)

    story.wait_for("the end of ben's change", lambda: instance_of(story, "ben") or None, _PATIENCE)
    # SageMaker tells nobody when a change is over: the sweep finds out.
    story.cloud.fire("SweepDueQuarterOfAnHour")
    drifted = story.wait_for_announcement("Studio Drifted", lambda _: True)
    back = "the machine that the document says"
    story.wait_for(back, lambda: True if instance_of(story, "ben") == "ml.m5.large" else None, _PATIENCE)
    story.cloud.fire("SweepDueQuarterOfAnHour")
    story.expect("that the machine is told", _LARGE in drifted["message"], wanted=True)
    settled(story, 3)


def what_there_is_is_its_document(story: StudioStory) -> None:
    story.chapter("The document of what there is, for whoever has none yet")
    exported = story.folder / "exported" / f"{DOMAIN}.yaml"
    exported.parent.mkdir()
    modelgate(story, "studio", "export", DOMAIN, "--out", str(exported))
    told = modelgate(story, "studio", "plan", str(exported))
    story.expect("the plan of what was exported", told[-1].split(".")[0].lower(), "no difference")


def all_of_it_is_taken_away(story: StudioStory) -> None:
    story.chapter("Everything is taken away, while ana works: apps, spaces, profiles, the domain")
    sagemaker = story.cloud.client("sagemaker")
    sagemaker.create_app(DomainId=story.domain_id, SpaceName="team", AppType="JupyterLab", AppName="default")
    story.tell("ana", "starts JupyterLab in the shared space team", "yellow")
    homes = story.cloud.client("efs").describe_file_systems()["FileSystems"]
    story.expect("the number of home file systems", len(homes), 1)
    write(story, {"prune": True, "delete_home_file_system": True})
    before = len(story.cloud.events_seen)
    modelgate(story, "studio", "apply", str(story.file), "--yes")
    settled(story, 4)
    for event in story.cloud.events_seen[before:]:
        if event["detail-type"] == "AWS API Call via CloudTrail":
            told = event["detail"]["requestParameters"] or {}
            what = next(
                (told[key] for key in ("spaceName", "userProfileName", "domainId") if key in told), ""
            )
            story.tell("CloudTrail", f"{event['detail']['eventName']} of {what}", "dim")
    story.expect("the domains", sagemaker.list_domains()["Domains"], [])
    homes = story.cloud.client("efs").describe_file_systems()["FileSystems"]
    story.expect("the home file systems", homes, [])


# ── what they are made of ─────────────────────────────────────────────────────────────────────────
def write(story: StudioStory, document: dict[str, Any]) -> None:
    story.document = document
    story.file.write_text(yaml.safe_dump(document, sort_keys=False))


def modelgate(story: StudioStory, *arguments: str) -> list[str]:
    """Calls the command as people do; the lines that it prints."""
    shown = " ".join(Path(each).name if each.startswith("/") else each for each in arguments)
    story.tell("$", f"modelgate {shown}", "bold")
    told = subprocess.run(  # noqa: S603  the project's own command
        [sys.executable, "-m", "modelgate_cli.main", *arguments],
        env={**os.environ, **story.cloud.environment(), "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    lines = [line for line in told.stdout.splitlines() if line.strip()]
    for line in lines:
        story.tell("", line)
    story.expect(f"the exit code of modelgate {shown} ({told.stderr.strip()})", told.returncode, 0)
    return lines


def settled(story: StudioStory, count: int) -> None:
    """Waits until it was announced so many times that all is as the document says."""
    story.wait_for(
        "the announcement that all is as the document says",
        lambda: (
            True if sum(each["kind"] == "Studio Settled" for each in story.announcements) >= count else None
        ),
        _PATIENCE,
    )


def profiles(story: StudioStory) -> list[str]:
    listed = story.cloud.client("sagemaker").list_user_profiles(DomainIdEquals=story.domain_id)
    return sorted(each["UserProfileName"] for each in listed["UserProfiles"])


def spaces(story: StudioStory) -> dict[str, str]:
    listed = story.cloud.client("sagemaker").list_spaces(DomainIdEquals=story.domain_id)["Spaces"]
    owners = {each["SpaceName"]: each["OwnershipSettingsSummary"]["OwnerUserProfileName"] for each in listed}
    return dict(sorted(owners.items()))


def instance_of(story: StudioStory, name: str) -> str:
    """What a profile's JupyterLab starts on; empty while SageMaker is changing it."""
    told = story.cloud.client("sagemaker").describe_user_profile(
        DomainId=story.domain_id, UserProfileName=name
    )
    if told["Status"] != "InService":
        return ""
    return str(told["UserSettings"]["JupyterLabAppSettings"]["DefaultResourceSpec"]["InstanceType"])


if __name__ == "__main__":
    sys.exit(main(StudioStory, tell, RESULT))
