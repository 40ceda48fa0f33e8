"""The cluster of hosts_test.py, whose machines are reached by ssh: each has an sshd of its own. MOMENTS says at how many
moments `up` is killed."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import unittest

import hosts_test
import namespaces
from hosts_test import NAMES
from namespaces import SKIPPED
from rings import POTLUCK, wait_until
from up_test import ASK

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
SSH = shutil.which("ssh")
# It may be started here alone, with nothing of this machine's: what sshd wants in /run is in a /run of its own.
START = "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec \"$0\" \"$@\""


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def is_potluck(pid):
    try:
        return POTLUCK.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


class OverSsh(hosts_test.Hosts):
    moments = int(os.environ.get("MOMENTS", "2"))

    def setUp(self):
        super().setUp()
        self.shell = []  # ssh, as the PATH has it
        make_key(self.folder / "user")
        for name in NAMES[1:]:
            self.set_up_sshd(name)
        self.daemons = {name: self.start_sshd(name) for name in NAMES[1:]}
        (self.folder / "config").write_text("".join(self.host_entry(name) for name in NAMES[1:]))
        # ssh reads what lies in its user's own folder, wherever HOME is: that of this test comes first.
        (self.folder / "bin").mkdir()
        ssh = self.folder / "bin/ssh"
        ssh.write_text(f'#!/bin/sh\nexec {SSH} -F {self.folder}/config "$@"\n')
        ssh.chmod(0o755)
        self.env["PATH"] = f"{ssh.parent}:{os.environ['PATH']}"

    def address_of(self, name):
        return f"10.78.0.{1 + NAMES.index(name)}"

    def host_entry(self, name):
        return (f"Host {name}\n  HostName {self.address_of(name)}\n  User root\n  IdentityFile {self.folder}/user\n"
                f"  IdentitiesOnly yes\n  UserKnownHostsFile {self.folder}/known\n"
                "  GlobalKnownHostsFile /dev/null\n")  # fmt: skip

    def set_up_sshd(self, name):
        make_key(self.folder / f"{name}-host")
        public = (self.folder / f"{name}-host.pub").read_text()
        with open(self.folder / "known", "a") as known:
            known.write(f"{self.address_of(name)} {public}")
        config = self.folder / f"{name}-sshd"
        config.write_text(f"ListenAddress {self.address_of(name)}\nHostKey {self.folder}/{name}-host\nPidFile none\n"
                          f"AuthorizedKeysFile {self.folder}/user.pub\nStrictModes no\nUsePAM no\n"
                          "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
                          f"SetEnv XDG_CONFIG_HOME={self.folder}/{name}\n")  # fmt: skip

    def start_sshd(self, name):
        words = ["ip", "netns", "exec", self.machines[name].namespace, "unshare", "--mount", "sh", "-c", START, SSHD, "-D",
                 "-e", "-f", str(self.folder / f"{name}-sshd")]  # fmt: skip
        daemon = subprocess.Popen(words, text=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(daemon.communicate)
        self.addCleanup(daemon.kill)
        self.assertIn("listening", daemon.stderr.readline())
        return daemon

    def left_on(self, machine):
        daemon = self.daemons.get(machine.name)
        return [pid for pid in super().left_on(machine) if not daemon or int(pid) != daemon.pid]

    def test_a_host_that_cannot_be_reached_and_one_without_potluck_are_named(self):
        self.daemons["nas"].send_signal(signal.SIGTERM)
        self.daemons["nas"].wait()
        _, err = self.up(code=3)
        self.assertIn("ssh does not reach nas: ssh: connect to host 10.78.0.2 port 22: Connection refused", err)
        (self.folder / "user.pub").rename(self.folder / "gone")
        self.daemons["nas"] = self.start_sshd("nas")
        _, err = self.up(code=3)
        self.assertRegex(err, "ssh does not reach (nas|shed|den): .*Permission denied")
        (self.folder / "gone").rename(self.folder / "user.pub")
        self.up()
        self.potluck("down")
        self.assert_nothing_left()

    def test_a_machine_that_is_cut_off_ends_its_worker_and_is_there_for_the_next(self):
        self.up()
        nas = self.machines["nas"]
        nas.ip("link", "set", "lan0", "down")
        for pid in self.potlucks():
            os.kill(pid, signal.SIGKILL)
        self.assertTrue(self.left_on(nas))  # nothing tells sshd that the other side is gone
        wait_until(lambda: not any(is_potluck(pid) for pid in self.left_on(nas)), "the end of the worker on nas")
        nas.ip("link", "set", "lan0", "up")
        self.up()
        self.potluck(*ASK)
        self.potluck("down")
        wait_until(lambda: not any(is_potluck(pid) for pid in self.left_on(nas)), "the end of all workers")


if __name__ == "__main__":
    if not namespaces.can_be_made():
        print(namespaces.WHY)
        sys.exit(SKIPPED)
    if not SSHD or not SSH:
        print("skipped: openssh-server and openssh-client are not installed")
        sys.exit(SKIPPED)
    unittest.main()
