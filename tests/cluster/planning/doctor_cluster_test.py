"""doctor on clusters of namespaces: links are measured, and each fault is named with what mends it."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

import namespaces
from namespaces import Machine, cable
from rings import NANO, PATIENCE, POTLUCK, wait_until

# A canvas of 512 KB, and little to compute.
MODEL = "synthetic:nano?layers=3&hidden=1024&canvas=256&vocab=1024"
PORT = 7000
CLOCK = os.environ.get("POTLUCK_SKEWED_CLOCK", "")  # the library of skewed_clock.cc
SECONDS_MOST = 60  # for 4 hosts


class Lab:
    """Machines at one switch. The first is the one that doctor is started on; the others are reached by an agent."""

    def __init__(self, test, *names):
        self.test, self.names = test, names
        self.switch = Machine(test, "switch")
        self.switch.ip("link", "add", "bridge", "type", "bridge")
        self.switch.ip("link", "set", "bridge", "up")
        self.machines = {name: Machine(test, name) for name in names}
        self.folder = self.switch.folder
        for i, (name, machine) in enumerate(self.machines.items()):
            cable(machine, "lan0", self.switch, name)
            machine.address("lan0", f"10.0.0.{i + 1}/24")
            self.switch.ip("link", "set", name, "master", "bridge", "up")
            self.environment(name)
        self.agent = self.folder / "agent"
        self.agent.write_text(f'#!/bin/sh\nhost=$1; shift\nexec ip netns exec potluck-$host-{os.getpid()} '
                              f'sh {self.folder}/$host.sh "$*"\n')  # fmt: skip
        self.agent.chmod(0o755)

    def __getitem__(self, name):
        return self.machines[name]

    def environment(self, name, prepare="true", **more):
        """Its own settings and caches; `prepare` runs there first, and what it mounts is seen there alone."""
        own = self.machines[name].folder
        values = {"PATH": f"{pathlib.Path(POTLUCK).parent}:{os.environ['PATH']}", "XDG_CONFIG_HOME": own / "config",
                  "XDG_CACHE_HOME": own / "cache", "HF_HUB_CACHE": own / "hub", **more}  # fmt: skip
        (own / "hub").mkdir(exist_ok=True)
        exports = "".join(f"export {key}='{value}'\n" for key, value in values.items())
        (self.folder / f"{name}.sh").write_text(
            f"{exports}exec unshare --mount sh -c '{prepare.format(hub=own / 'hub')} && exec sh -c \"$0\"' \"$1\"\n")

    def write(self, options="{}", **hosts):
        """The cluster file; hosts say what is not as usual with them."""
        rows = []
        for i, name in enumerate(self.names):
            row = {"name": name, **({"ssh": name} if i else {"here": True}), "addresses": [f"10.0.0.{i + 1}"],
                   "ports": f"{PORT}-{PORT + 3}", **hosts.get(name, {})}  # fmt: skip
            rows.append(f"  - {json.dumps(row)}\n")
        self.file = self.folder / "lab.yaml"
        self.file.write_text(f"# Our lab.\nversion: 1\nmodel: {MODEL}\noptions: {options}\nhosts:\n" + "".join(rows))

    def doctor(self, *words, code):
        command = self[self.names[0]].command("doctor", "--cluster", self.file, "--ssh", self.agent, *words)
        done = subprocess.run(command, text=True, capture_output=True, timeout=5 * PATIENCE)
        self.test.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def drops(self, name, port, kind):
        """What comes for this port is dropped (blackhole), or turned away (prohibit), as firewalls do."""
        machine = self[name]
        machine.sets("net.ipv4.ip_forward", 1)  # or the kernel turns away without a word
        machine.drops("lan0", port, kind)

    def left(self):
        """Processes of its machines."""
        pids = [subprocess.run(["ip", "netns", "pids", machine.namespace], capture_output=True, text=True).stdout.split()
                for machine in self.machines.values()]  # fmt: skip
        return sum(pids, [])


class DoctorOfAClusterTest(unittest.TestCase):
    def assert_found(self, report, severity, where, what, fix):
        found = [each for each in report["findings"] if each["where"] == where and each["severity"] == severity
                 and what in each["what"]]  # fmt: skip
        self.assertEqual(len(found), 1, f"{where}: {what}\n" + json.dumps(report["findings"], indent=1, ensure_ascii=False))
        self.assertIn(fix, found[0]["fix"])

    def test_four_hosts_that_are_well_are_measured_within_a_minute(self):
        lab = Lab(self, "desk", "nas", "old", "lap")
        lab.write()
        before = lab.file.read_text()
        report = json.loads(lab.doctor("--json", "--write", code=0))
        self.assertEqual({each["severity"] for each in report["findings"]}, {"note"}, report["findings"])
        self.assertEqual(len({(link["from"], link["to"]) for link in report["links"]}), 12)
        for link in report["links"]:
            self.assertGreater(link["mbit_per_s"], 0)
            self.assertGreater(link["latency_ms"], 0)
        self.assertLess(report["seconds"], SECONDS_MOST)
        print(f"four hosts: {report['seconds']:.1f} s", file=sys.stderr)
        after = lab.file.read_text()
        self.assertTrue(after.startswith(before), "what somebody has written stays")
        self.assertEqual(after.count("sliding_layer:"), 4)
        self.assertEqual(after.count("bandwidth:"), 12)
        wait_until(lambda: not lab.left(), "the end of what ran on the machines")
        text = lab.doctor(code=0)  # also with the figures in the file
        self.assertIn("nas → old", text)
        self.assertIn("measured on", text)

    def test_each_fault_of_a_cluster_is_named_with_what_mends_it(self):
        lab = Lab(self, "desk", "nas", "old", "lap", "mini")
        lab.drops("nas", PORT, "blackhole")
        camera = Machine(self, "camera")
        cable(lab["old"], "lan1", camera, "lan0")
        lab["old"].address("lan1", "10.9.9.3/24")
        for machine in (lab["lap"].namespace, "lan0"), (lab.switch.namespace, "lap"):
            subprocess.run(["ip", "netns", "exec", machine[0], "tc", "qdisc", "add", "dev", machine[1], "root", "tbf",
                            "rate", "20mbit", "burst", "32k", "latency", "400ms"], check=True)  # fmt: skip
        lab.environment("lap", LD_PRELOAD=CLOCK, POTLUCK_CLOCK_AHEAD=90, ASAN_OPTIONS="verify_asan_link_order=0")
        lab.environment("mini", prepare="mount -t tmpfs -o size=64k tmpfs {hub}")
        lab.write(old={"addresses": ["10.9.9.3"], "model": "/models/nano.gguf"},
                  mini={"model": "hf:somebody/nano:Q4_K_M"})  # fmt: skip
        text = lab.doctor(code=1)
        print(text, file=sys.stderr)
        report = json.loads(lab.doctor("--json", code=1))
        self.assert_found(report, "problem", "desk → nas", "nas does not answer: a firewall drops what comes at 10.0.0.2, TCP port 7000; the other direction works",
                          "on nas: ")  # fmt: skip
        blocked = next(each for each in report["findings"] if each["where"] == "desk → nas")
        self.assertIn("sudo ufw allow 7000/tcp (for ufw), ", blocked["fix"])
        self.assertIn("problem: mini → nas, desk → nas, lap → nas, old → nas: nas does not answer", text)
        self.assert_found(report, "problem", "desk → old", "(10.9.9.3 was not reached: Network is unreachable, 10.0.0.3 answers)",
                          f"write addresses: [10.0.0.3] at {lab.file}:8")  # fmt: skip
        self.assert_found(report, "warning", "lap → desk", "slow: ", "runs at 10000 Mbit/s, so what lies between is slower")
        self.assert_found(report, "warning", "lap", "its clock is 90.0 s ahead of", "sudo timedatectl set-ntp true")
        self.assert_found(report, "warning", "old", "the model is not here: ",
                          "potluck up copies the layers that it runs; or copy it to /models/nano.gguf here")  # fmt: skip
        self.assert_found(report, "warning", "mini", "the model is not here: ", "somebody/nano")
        for host in report["hosts"].values():  # those that lack the model are measured by its shapes
            self.assertGreater(host["devices"][0]["speed"]["sliding_layer_ms"], 0)
        self.assertEqual(len({host["devices"][0]["speed"]["model"] for host in report["hosts"].values()}), 1)
        self.assert_found(report, "problem", "mini", "the disk is full: ", "HF_HUB_CACHE")
        wait_until(lambda: not lab.left(), "the end of what ran on the machines")

    def test_a_firewall_that_turns_calls_away_is_told_from_one_that_drops_them(self):
        lab = Lab(self, "desk", "nas")
        lab.drops("nas", PORT, "prohibit")
        lab.write()
        report = json.loads(lab.doctor("--json", code=1))
        self.assert_found(report, "problem", "desk → nas", "nas refuses to be called at 10.0.0.2, TCP port 7000; the other direction works",
                          "ufw allow")  # fmt: skip

    def test_a_host_that_cannot_be_asked_is_named_and_the_others_are_examined(self):
        lab = Lab(self, "desk", "nas", "old", "lap")
        (lab.folder / "nas.sh").write_text("echo Permission denied >&2\nexit 255\n")
        (lab.folder / "old.sh").write_text("exec sh -c 'no-such-potluck \"$@\"'\n")
        lab.write(lap={"key": "1" * 64})
        report = json.loads(lab.doctor("--json", code=1))
        self.assert_found(report, "problem", "nas", "does not reach nas: Permission denied", "works without a question")
        self.assert_found(report, "problem", "old", "old has no potluck", "install the same version of potluck there")
        self.assert_found(report, "problem", "lap", "its key is another one than the cluster file names", f"at {lab.file}:9")
        self.assertEqual({(link["from"], link["to"]) for link in report["links"]}, {("desk", "lap"), ("lap", "desk")})

    def test_links_without_a_lock_are_measured_without_one(self):
        lab = Lab(self, "desk", "nas")
        lab.write(options="{insecure_plaintext: true}")
        report = json.loads(lab.doctor("--json", code=0))
        self.assertEqual(report["findings"], [])
        self.assertEqual([link["address"] for link in report["links"]], ["10.0.0.2", "10.0.0.1"])

    def test_a_host_that_cannot_keep_its_key_is_named_and_not_called(self):
        lab = Lab(self, "desk", "nas")
        lab.environment("nas", XDG_CONFIG_HOME="/dev/null")
        lab.write()
        report = json.loads(lab.doctor("--json", code=1))
        self.assert_found(report, "problem", "nas", "/dev/null/potluck", "set XDG_CONFIG_HOME to a folder of yours")
        self.assertEqual(report["links"], [])

    def test_hosts_with_other_weights_are_named(self):
        lab = Lab(self, "desk", "nas")
        lab.write(nas={"model": MODEL + "&seed=2"})
        report = json.loads(lab.doctor("--json", code=1))
        self.assert_found(report, "problem", "nas", "holds other weights", "copy that of desk there")
        lab.write(nas={"model": NANO})
        report = json.loads(lab.doctor("--json", code=1))
        self.assert_found(report, "problem", "nas", "is another model than that of desk", "copy that of desk there")


if __name__ == "__main__":
    if not namespaces.can_be_made():
        print(namespaces.WHY)
        sys.exit(namespaces.SKIPPED)
    unittest.main()
