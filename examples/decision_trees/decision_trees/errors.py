"""What is told to the people who wrote the data, the hyperparameters or a request."""

from __future__ import annotations


class Refused(ValueError):
    """What was given cannot be used, and trying again cannot help.

    Args:
        problems: each says what was found, and the mend.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
