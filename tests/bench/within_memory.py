"""Runs a command in a memory cgroup of its own, as root, and says how much of its limit it took at most.

    python3 within_memory.py 13GiB potluck bench step -m "synthetic:released?expert_type=iq2_s" -p 32

The exit code is the command's. What the limit counts is the process' own memory and the cached pages of the files that
it reads. Version 1 and version 2 of cgroups are known; nothing is installed.
"""
import pathlib
import re
import subprocess
import sys

UNITS = {"MiB": 1 << 20, "GiB": 1 << 30}


def bytes_of(text):
    number, unit = re.fullmatch(r"([\d.]+)(MiB|GiB)", text).groups()
    return int(float(number) * UNITS[unit])


class Group:
    """A cgroup that goes away with the with-block."""

    def __init__(self, limit):
        root = pathlib.Path("/sys/fs/cgroup")
        old = (root / "memory" / "memory.limit_in_bytes").exists()
        self.path = (root / "memory" if old else root) / f"potluck-within-{limit}"
        self.limit_file, self.peak_file = ("memory.limit_in_bytes", "memory.max_usage_in_bytes") if old else ("memory.max", "memory.peak")
        self.limit = limit

    def __enter__(self):
        self.path.mkdir()
        (self.path / self.limit_file).write_text(str(self.limit))
        return self

    def __exit__(self, *_):
        self.path.rmdir()

    def run(self, command):
        join = 'echo $$ > "$0" && exec "$@"'
        return subprocess.run(["sh", "-c", join, str(self.path / "cgroup.procs"), *command]).returncode

    def peak(self):
        return int((self.path / self.peak_file).read_text())


def main():
    with Group(bytes_of(sys.argv[1])) as group:
        code = group.run(sys.argv[2:])
        print(f"exit code {code}; at most {group.peak() / 2**30:.2f} GiB of {group.limit / 2**30:.2f} GiB")
    sys.exit(code)


if __name__ == "__main__":
    main()
