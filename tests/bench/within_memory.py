"""Runs a command in a memory cgroup of its own, as root, and says how much of its limit it took at most.

    python3 within_memory.py 13GiB potluck bench step -m "synthetic:released?expert_type=iq2_s" -p 32

The exit code is the command's. What the limit counts is the process' own memory and the cached pages of the files that
it reads. Version 1 and version 2 of cgroups are known; nothing is installed.
"""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from memory_groups import MemoryGroup  # noqa: E402

UNITS = {"MiB": 1 << 20, "GiB": 1 << 30}


def bytes_of(text):
    number, unit = re.fullmatch(r"([\d.]+)(MiB|GiB)", text).groups()
    return int(float(number) * UNITS[unit])


def main():
    limit = bytes_of(sys.argv[1])
    group = MemoryGroup(f"potluck-within-{os.getpid()}", limit)
    try:
        code = subprocess.run(sys.argv[2:], preexec_fn=group.enter).returncode
        print(f"exit code {code}; at most {group.peak() / 2**30:.2f} GiB of {limit / 2**30:.2f} GiB")
    finally:
        group.remove()
    sys.exit(code)


if __name__ == "__main__":
    main()
