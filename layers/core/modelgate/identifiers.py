"""Ids, keys and tags of AWS, as people write them into documents. Pure.

Each check returns what it was given, and raises ValueError with what was found and the mend.
"""

from __future__ import annotations

import re
import unicodedata

_SECURITY_GROUP = re.compile(r"sg-[0-9a-zA-Z]{1,29}")
_SUBNET = re.compile(r"subnet-[0-9a-zA-Z]{1,25}")
_KMS_KEY = re.compile(r"(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/|alias/)?[a-zA-Z0-9/_-]+")
_LONGEST_KEY, _LONGEST_VALUE = 128, 256


def security_group(name: str) -> str:
    """The id of a security group."""
    if not _SECURITY_GROUP.fullmatch(name):
        raise ValueError(f"is {name!r}, no id of a security group; write one such as sg-0123456789abcdef0")
    return name


def subnet(name: str) -> str:
    """The id of a subnet."""
    if not _SUBNET.fullmatch(name):
        raise ValueError(f"is {name!r}, no id of a subnet; write one such as subnet-0123456789abcdef0")
    return name


def kms_key(key: str) -> str:
    """The id, alias or ARN of a key of KMS."""
    if not _KMS_KEY.fullmatch(key):
        raise ValueError(
            f"is {key!r}, no key of KMS; write its id, alias/<name>, or the ARN of the key or the alias"
        )
    return key


def tags(given: dict[str, str], reserved: tuple[str, ...]) -> dict[str, str]:
    """Tags on something of SageMaker's.

    Args:
        reserved: how the keys begin that are nobody's to write, in lower case.
    """
    for key, value in given.items():
        if key.lower().startswith(reserved):
            raise ValueError(
                f"has the key {key!r}, and what begins with {' or '.join(reserved)} is reserved; write "
                "another key"
            )
        fits = 1 <= len(key) <= _LONGEST_KEY and len(value) <= _LONGEST_VALUE
        if not (fits and is_for_a_tag(key + value)):
            raise ValueError(
                f"has {key!r}: {value!r}, which SageMaker does not take; use letters, digits, spaces and "
                f"_.:/=+-@, a key of 1 to {_LONGEST_KEY} of them and a value of at most {_LONGEST_VALUE}"
            )
    return given


def is_for_a_tag(text: str) -> bool:
    """Whether a tag can hold these characters."""
    return all(sign in "_.:/=+-@" or unicodedata.category(sign)[0] in "LZN" for sign in text)
