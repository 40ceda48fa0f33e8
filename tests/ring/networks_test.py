"""Networks as people have them, in namespaces: each ring works, or says which machine is to open what."""
import json
import signal
import subprocess
import sys
import unittest

import namespaces
from namespaces import Machine, cable
from rings import PATIENCE, SLOW, answer

PORT, HEAD_PORT = 7000, 7001
ASK = ("-n", "32", "--steps", "4")
HERE = {"start": "here"}  # a worker of a plan that run starts itself
HEAD_HERE = {"start": "here", "endpoint": f"tcp://*:{HEAD_PORT}"}


def there(name, host):
    return {"name": name, "endpoint": f"tcp://{host}:{PORT}"}


class Networks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.expected = answer(*ASK, "-c", "512")["ids"]

    def setUp(self):
        self.here, self.left, self.right = (Machine(self, name) for name in ("here", "left", "right"))

    def two_subnets(self):
        """This machine has a cable to each of the others, which have none between them."""
        for machine, subnet in ((self.left, 1), (self.right, 2)):
            cable(self.here, machine.name, machine, "lan0")
            self.here.address(machine.name, f"10.0.{subnet}.1/24", f"fd00:{subnet}::1/64")
            machine.address("lan0", f"10.0.{subnet}.2/24", f"fd00:{subnet}::2/64")

    def worker(self, machine, host):
        """Starts one that listens there, and waits until it does."""
        run = subprocess.Popen(machine.command("worker", "-m", SLOW, "--listen", f"tcp://{host}:{PORT}",
                                               "--insecure-plaintext", "--log-file", machine.folder / "log"),
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
        self.addCleanup(run.communicate)
        self.addCleanup(run.send_signal, signal.SIGTERM)
        self.assertIn("listening on", run.stdout.readline())

    def run_plan(self, head, *stages):
        """What potluck run says on this machine to a plan of these workers; each stage has as many layers."""
        cuts = [6 * i // len(stages) for i in range(len(stages) + 1)]
        plan = {"version": 1, "context": 512, "head": head,
                "stages": [{**stage, "layers": f"{a}:{b}"} for stage, a, b in zip(stages, cuts, cuts[1:])]}  # fmt: skip
        (self.here.folder / "plan.yaml").write_text(json.dumps(plan))
        words = self.here.command("run", "-m", SLOW, "-p", "hello there", "--raw", "--json", "-s", "7", *ASK, "--plan",
                                  self.here.folder / "plan.yaml", "--insecure-plaintext")  # fmt: skip
        return subprocess.run(words, text=True, capture_output=True, timeout=5 * PATIENCE)

    def assert_works(self, *plan):
        done = self.run_plan(*plan)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["ids"], self.expected)

    def assert_says(self, *words, plan):
        done = self.run_plan(*plan)
        self.assertEqual(done.returncode, 3, done.stderr)
        last = done.stderr.strip().splitlines()[-1]
        self.assertTrue(last.startswith("potluck: "), last)
        for word in words:
            self.assertIn(word, last)

    # Two workers on two subnets.

    def test_each_worker_is_given_the_address_of_its_own_subnet(self):
        self.two_subnets()
        self.worker(self.left, "10.0.1.2")
        self.worker(self.right, "10.0.2.2")
        left, right = there("left", "10.0.1.2"), there("right", "10.0.2.2")
        self.assert_works(HEAD_HERE, left, HERE, right)
        self.assert_works({"start": "here", "endpoint": f"tcp://0.0.0.0:{HEAD_PORT}"}, right, HERE, left)
        self.assert_works(right, HERE, left, HERE)

    def test_a_route_between_two_workers_is_used(self):
        self.two_subnets()
        self.here.sets("net.ipv4.ip_forward", 1)
        self.left.ip("route", "add", "default", "via", "10.0.1.1")
        self.right.ip("route", "add", "default", "via", "10.0.2.1")
        self.worker(self.left, "10.0.1.2")
        self.worker(self.right, "10.0.2.2")
        self.assert_works(HERE, there("left", "10.0.1.2"), there("right", "10.0.2.2"))

    def test_without_a_route_between_two_workers_both_are_named(self):
        self.two_subnets()
        self.worker(self.left, "10.0.1.2")
        self.worker(self.right, "10.0.2.2")
        self.assert_says("left could not reach right at tcp://10.0.2.2:7000",
                         "open TCP port 7000 of the machine of right (10.0.2.2) to the machine of left (10.0.1.2)",
                         "put a stage with \"start: here\" between them",
                         plan=(HERE, there("left", "10.0.1.2"), there("right", "10.0.2.2")))  # fmt: skip
        self.assertIn("10.0.2.2 was not reached: Network is unreachable", (self.left.folder / "log").read_text())

    # Names.

    def test_a_dead_address_of_a_name_is_passed_over(self):
        self.two_subnets()
        self.here.ip("route", "add", "blackhole", "10.9.9.9")
        self.worker(self.left, "10.0.1.2")
        self.worker(self.left, "[fd00:1::2]")
        for addresses in (("10.0.1.9", "fd00:1::2"), ("fd00:1::9", "10.0.1.2"), ("10.0.1.2", "10.9.9.9"),
                          ("10.0.2.2", "10.0.1.9", "fd00:2::9", "10.0.1.2")):  # fmt: skip
            with self.subTest(addresses):
                self.here.knows("".join(f"{address} spare\n" for address in addresses))
                self.assert_works(HERE, HERE, there("spare", "spare"))

    def test_a_worker_tries_every_address_of_the_next_too(self):
        self.two_subnets()
        self.here.knows("10.0.1.2 left\n10.0.2.2 right\nfd00:2::2 right\n")
        self.left.knows("10.0.1.9 right\nfd00:2::2 right\n")
        for machine in (self.left, self.right):
            machine.ip("route", "add", "default", "via", f"fd00:{1 + (machine is self.right)}::1")
        self.here.sets("net.ipv6.conf.all.forwarding", 1)
        self.worker(self.left, "10.0.1.2")
        self.worker(self.right, "[fd00:2::2]")
        self.assert_works(HERE, there("left", "left"), there("right", "right"))

    def test_where_no_address_answers_all_are_named_in_numbers(self):
        self.two_subnets()
        self.here.knows("10.0.1.9 spare\nfd00:1::2 spare\n10.9.9.9 spare\n")
        self.assert_says("tcp://spare:7000", "10.0.1.9 ", "[fd00:1::2] refused the connection",
                         "10.9.9.9 was not reached: Network is unreachable", "TCP port 7000",
                         plan=(HERE, HERE, there("spare", "spare")))  # fmt: skip

    def test_a_name_that_begins_like_loopback_is_another_machine(self):
        self.two_subnets()
        self.here.knows("10.0.1.2 127.example.org\n")
        self.worker(self.left, "10.0.1.2")
        self.assert_works(HERE, HERE, there("spare", "127.example.org"))

    # Cables, and IPv6 alone.

    def test_a_bare_cable_has_an_address_with_a_zone(self):
        cable(self.here, "cable0", self.left, "enp9s0")
        cable(self.left, "aaa0", self.right, "lan0")  # another one, which leads elsewhere
        for machine, link, address in ((self.here, "cable0", "fe80::3"), (self.left, "enp9s0", "fe80::4"),
                                       (self.left, "aaa0", "fe80::4"), (self.right, "lan0", "fe80::5")):  # fmt: skip
            machine.address(link, f"{address}/64")
        self.worker(self.left, "[fe80::4%enp9s0]")
        self.assert_works(HERE, HERE, there("left", "[fe80::4%cable0]"))
        self.assert_works(HEAD_HERE, HERE, there("left", "[fe80::4%cable0]"))
        self.assert_says("this machine has no interface enp9s0", plan=(HERE, HERE, there("left", "[fe80::4%enp9s0]")))
        self.assert_works(HERE, HERE, there("left", "[fe80::4]"))  # by every interface, in turn

    def test_workers_on_a_switch_without_addresses_dial_each_other_by_their_own_links(self):
        self.here.ip("link", "add", "switch0", "type", "bridge")
        for machine, link in ((self.left, "left0"), (self.right, "right0")):
            cable(self.here, machine.name, machine, link)
            self.here.ip("link", "set", machine.name, "master", "switch0", "up")
        self.here.address("switch0", "fe80::3/64")
        self.left.address("left0", "fe80::4/64")
        self.right.address("right0", "fe80::5/64")
        self.worker(self.left, "[fe80::4%left0]")
        self.worker(self.right, "[fe80::5%right0]")
        self.assert_works(HERE, there("left", "[fe80::4%switch0]"), there("right", "[fe80::5%switch0]"))

    def test_a_network_of_ipv6_alone_carries_a_ring(self):
        cable(self.here, "lan0", self.left, "lan0")
        for machine, address in ((self.here, "fd00:1::1/64"), (self.left, "fd00:1::2/64")):
            machine.ip("address", "flush", "dev", "lo", "scope", "host")
            machine.ip("address", "add", "::1/128", "dev", "lo", "nodad")
            machine.address("lan0", address)
        self.worker(self.left, "[fd00:1::2]")
        self.assert_works(HERE, HERE, there("left", "[fd00:1::2]"))
        self.assert_works(HEAD_HERE, HERE, there("left", "[fd00:1::2]"))

    # Firewalls, as routes for one port.

    def open(self, machine):
        machine.ip("rule", "delete", "pref", "1")

    def test_a_worker_that_cannot_dial_back_is_told_with_the_port_to_open(self):
        self.two_subnets()
        self.worker(self.left, "10.0.1.2")
        plan = (HEAD_HERE, HERE, there("left", "10.0.1.2"))
        self.here.drops("left", HEAD_PORT)
        self.assert_says("left could not reach head at tcp://10.0.1.1:7001",
                         "open TCP port 7001 of this machine to the machine of left (10.0.1.2)", plan=plan)  # fmt: skip
        self.assertIn("10.0.1.1 did not answer", (self.left.folder / "log").read_text())
        self.open(self.here)
        self.assert_works(*plan)

    def test_a_worker_that_this_machine_cannot_dial_is_told_with_the_port_to_open(self):
        self.two_subnets()
        plan = (HERE, HERE, there("left", "10.0.1.2"))
        self.assert_says("worker left at tcp://10.0.1.2:7000", "10.0.1.2 refused the connection",
                         "TCP port 7000 of its machine is open to this one", plan=plan)  # fmt: skip
        self.worker(self.left, "10.0.1.2")
        self.left.drops("lan0", PORT)
        self.assert_says("10.0.1.2 did not answer", "TCP port 7000", plan=plan)
        self.open(self.left)
        self.left.ip("link", "set", "lan0", "down")
        self.assert_says("10.0.1.2 was not reached", plan=plan)
        self.here.ip("link", "set", "left", "down")
        self.assert_says("this machine has no route to tcp://10.0.1.2:7000 (10.0.1.2)", plan=plan)


if __name__ == "__main__":
    if not namespaces.can_be_made():
        print(namespaces.WHY)
        sys.exit(namespaces.SKIPPED)
    unittest.main()
