"""What execution roles need so that a shared space is its members'. Pure.

SageMaker has no list of members: whoever may call CreateApp in a shared space may work in it. So the rights
that a document gives are held by IAM, in statements for the execution roles of its profiles, which people put
there.

AWS Managed Policy Reference, "AmazonSageMakerFullAccess", has the variable; Service Authorization Reference,
"Actions, resources, and condition keys for Amazon SageMaker", the resources. Not run on AWS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelgate.studio.document import SharedSpace, StudioDocument

_ME = "sagemaker:UserProfileName"
_USE = ["sagemaker:CreateApp", "sagemaker:DeleteApp"]
_CHANGE = ["sagemaker:UpdateSpace", "sagemaker:DeleteSpace"]


def policy(document: StudioDocument, domain_id: str, sagemaker_arn: str) -> dict[str, Any]:
    """An IAM policy that denies each shared space to those who are not its members.

    It allows nothing: what is allowed stands in the role already. The condition names the profile that a
    session belongs to, so that profiles may share a role.

    Args:
        domain_id: SageMaker's id of the domain.
        sagemaker_arn: what ARNs of this account and region begin with,
            ``arn:aws:sagemaker:<region>:<account>``.
    """
    statements = [
        statement
        for number, space in enumerate(document.spaces.shared, start=1)
        for statement in _of_space(space, number, domain_id, sagemaker_arn)
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _of_space(space: SharedSpace, number: int, domain_id: str, sagemaker_arn: str) -> list[dict[str, Any]]:
    everybody = space.members is None
    members = [space.owner, *(space.members or [])]
    # SageMaker writes ARNs in lower case, and IAM compares them as they are written.
    name = space.name.lower()
    sid = _word(space.name, number)
    statements = []
    if not everybody:
        apps = f"{sagemaker_arn}:app/{domain_id}/{name}/*"
        statements.append(_deny(f"Use{sid}", _USE, apps, members))
    if not (everybody and space.members_may == "change"):
        who = members if space.members_may == "change" else [space.owner]
        place = f"{sagemaker_arn}:space/{domain_id}/{name}"
        statements.append(_deny(f"Change{sid}", _CHANGE, place, who))
    return statements


def _deny(sid: str, actions: list[str], resource: str, but: list[str]) -> dict[str, Any]:
    names = sorted({each for name in but for each in (name, name.lower())})
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Action": actions,
        "Resource": resource,
        "Condition": {"StringNotEquals": {_ME: names}},
    }


def _word(name: str, number: int) -> str:
    """A Sid has letters and digits only, and is there once: team-1 is not team1."""
    return f"{number:03}{''.join(part.capitalize() for part in name.split('-'))}"
