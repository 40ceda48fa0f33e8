"""Machines for tests: network namespaces and the cables between them."""
import os
import pathlib
import subprocess
import tempfile

from rings import POTLUCK

SKIPPED = 77
TCP = "6"  # its name is for machines that have /etc/protocols
WHY = "skipped: network namespaces need root, iproute2 and no chroot"
WHY_NO_MOUNTS = "mount namespaces need root and no chroot"


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def can_be_made():
    name = f"potluck-trial-{os.getpid()}"
    try:
        ip("netns", "add", name)
    except OSError:
        return False
    try:
        ip("netns", "exec", name, "true")  # not below a chroot
        return True
    except OSError:
        return False
    finally:
        ip("netns", "delete", name)


def mounts_can_be_made():
    """A process can have mounts of its own: not without root, and not below a chroot."""
    trial = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/proc"]
    return subprocess.run(trial, capture_output=True).returncode == 0


class Machine:
    """One namespace. It and what runs in it are gone when the test is over."""

    def __init__(self, test, name):
        self.test, self.name, self.namespace = test, name, f"potluck-{name}-{os.getpid()}"
        ip("netns", "add", self.namespace)
        test.addCleanup(ip, "netns", "delete", self.namespace)
        self.ip("link", "set", "lo", "up")
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def ip(self, *words):
        ip("-n", self.namespace, *words)

    def drops(self, link, port, kind="blackhole"):
        """What comes by this link for this port is dropped, or turned away (prohibit), as firewalls do."""
        self.ip("rule", "add", "pref", "10", "lookup", "local")
        self.ip("rule", "delete", "pref", "0")
        self.ip("rule", "add", "pref", "1", "iif", link, "ipproto", TCP, "dport", str(port), kind)

    def sets(self, setting, value):
        """A kernel setting of the namespace's network: net.ipv4.ip_forward."""
        path = "/proc/sys/" + setting.replace(".", "/")
        subprocess.run(["ip", "netns", "exec", self.namespace, "sh", "-c", f"echo {value} > {path}"], check=True)

    def knows(self, lines):
        """What its /etc/hosts says from now on; it is mounted over that of this machine, which has to have one."""
        if not pathlib.Path("/etc/hosts").exists():
            self.test.skipTest("this machine has no /etc/hosts to mount another over")
        (self.folder / "hosts").write_text(lines)

    def command(self, *words):
        """potluck on this machine, as a command of the test's."""
        command = ["ip", "netns", "exec", self.namespace]
        if (self.folder / "hosts").exists():
            bind = f"mount --bind {self.folder}/hosts /etc/hosts && exec \"$0\" \"$@\""
            command += ["unshare", "--mount", "sh", "-c", bind]
        return [*command, POTLUCK, *words]

    def address(self, link, *addresses):
        """Gives a link these addresses and no other, and brings it up; none waits to be found unique."""
        self.sets(f"net.ipv6.conf.{link}.addr_gen_mode", 1)
        for address in addresses:
            self.ip("address", "add", address, "dev", link, *(["nodad"] if ":" in address else []))
        self.ip("link", "set", link, "up")


def cable(a, link_a, b, link_b):
    """Joins two machines, each by a link that it names its own way."""
    ip("link", "add", link_a, "netns", a.namespace, "type", "veth", "peer", "name", link_b, "netns", b.namespace)
