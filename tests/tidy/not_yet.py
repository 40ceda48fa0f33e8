"""Rules that parts of the tree do not keep yet, as patterns of findings. The list only gets shorter."""
import re

NOT_YET = [
    r"casts in 1,000 lines",
]


def held(findings):
    """The findings of rules that hold."""
    return [finding for finding in findings if not any(re.search(pattern, finding) for pattern in NOT_YET)]
