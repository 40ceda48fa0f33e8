"""Rules that parts of the tree do not keep yet, as patterns of findings. The list only gets shorter."""
import re

NOT_YET = [
    r"^coordinator/.*does not open with a sentence",
    r"^(coordinator|shard|tests)/.*the comment begins with",
    r"^coordinator/.*there is no page",
    r"^coordinator/.*is defined neither",
    r"casts in 1,000 lines",
]


def held(findings):
    """The findings of rules that hold."""
    return [finding for finding in findings if not any(re.search(pattern, finding) for pattern in NOT_YET)]
