"""Memory cgroups of version 1 and 2: what runs in one has no more memory than its limit. Making one needs root."""
import os
import pathlib

ROOT = pathlib.Path("/sys/fs/cgroup")


class MemoryGroup:
    """A cgroup with a limit, in bytes or as the kernel reads it ("200M"). OSError: this machine lets us make none."""

    def __init__(self, name, limit):
        is_old = (ROOT / "memory/memory.limit_in_bytes").exists()
        parent = ROOT / "memory" if is_old else ROOT
        if not (parent / "cgroup.procs").exists():
            raise OSError(f"no cgroups are mounted at {parent}")
        self.folder = parent / name
        self.processes = self.folder / "cgroup.procs"
        self._peak = self.folder / ("memory.max_usage_in_bytes" if is_old else "memory.peak")
        self.folder.mkdir()
        try:
            (self.folder / ("memory.limit_in_bytes" if is_old else "memory.max")).write_text(str(limit))
        except OSError:
            self.remove()
            raise

    def enter(self):
        """A child does so before it becomes another program (preexec_fn)."""
        self.processes.write_text(str(os.getpid()))

    def is_empty(self):
        return not self.processes.read_text()

    def peak(self):
        """The most bytes that were in use."""
        return int(self._peak.read_text())

    def remove(self):
        """Its processes have ended."""
        self.folder.rmdir()


def memory_group(test, name, limit):
    """A group for a test, which is skipped where none can be made; the test sees to it that its processes end."""
    try:
        group = MemoryGroup(name, limit)
    except OSError as why:
        test.skipTest(f"memory cgroups cannot be made here: {why}")
    test.addCleanup(group.remove)
    return group
