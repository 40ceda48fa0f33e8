"""Clusters are found in a network of machines that have an Avahi each, and nothing is said where there is none."""
import os
import subprocess
import sys
import time
import unittest

import mdns_daemons
import namespaces
from rings import wait_until

PEER = os.environ["MDNS_PEER"]
KEYS = {name: (letter * 64) for name, letter in (("desk", "a"), ("rogue", "b"))}


class Mdns(unittest.TestCase):
    def setUp(self):
        self.lan = mdns_daemons.Lan(self)

    def machine(self, name, number, avahi=True):
        machine = self.lan.machine(name, f"10.77.0.{number}/24")
        if avahi:
            mdns_daemons.start_bus(self, machine)
            mdns_daemons.start_avahi(self, machine)
        return machine

    def advertise(self, machine, name, key, port):
        process = subprocess.Popen(mdns_daemons.inside(machine, PEER, "advertise", name, key, str(port)),
                                   stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def end():
            process.communicate()

        self.addCleanup(end)
        return process

    def find(self, machine, seconds=2):
        done = subprocess.run(mdns_daemons.inside(machine, PEER, "find", str(seconds)), capture_output=True, text=True,
                              check=True)  # fmt: skip
        return [tuple(line.split("|")) for line in done.stdout.splitlines()], done.stderr

    def finds(self, machine, *wanted):
        """Until these addresses are found, with their keys."""
        def look():
            found = {(key, address) for _, key, _, address in self.find(machine, 1)[0]}
            return set(wanted) <= found and found

        return wait_until(look, wanted)

    def test_a_cluster_is_found_with_its_key_and_its_address(self):
        desk, laptop = self.machine("desk", 1), self.machine("laptop", 2)
        self.advertise(desk, "desk", KEYS["desk"], 7117)
        self.finds(laptop, (KEYS["desk"], "10.77.0.1:7117"))
        name, _, software, _ = self.find(laptop)[0][0]
        self.assertEqual(name, "potluck on desk")
        self.assertTrue(software.startswith("potluck "), software)

    def test_one_that_says_it_is_another_is_found_beside_it_and_neither_hides_the_other(self):
        desk, rogue, laptop = self.machine("desk", 1), self.machine("rogue", 3), self.machine("laptop", 2)
        self.advertise(rogue, "desk", KEYS["desk"], 666)
        self.advertise(desk, "desk", KEYS["desk"], 7117)
        self.advertise(rogue, "rogue", KEYS["rogue"], 667)
        self.finds(laptop, (KEYS["desk"], "10.77.0.1:7117"), (KEYS["desk"], "10.77.0.3:666"),
                   (KEYS["rogue"], "10.77.0.3:667"))  # fmt: skip

    def test_two_that_begin_at_once_under_one_name_are_both_found(self):
        desk, rogue, laptop = self.machine("desk", 1), self.machine("rogue", 3), self.machine("laptop", 2)
        self.advertise(desk, "desk", KEYS["desk"], 7118)  # its port is the higher, its key the lower:
        self.advertise(rogue, "desk", KEYS["rogue"], 7117)  # each has to give the name to the other
        self.finds(laptop, (KEYS["desk"], "10.77.0.1:7118"), (KEYS["rogue"], "10.77.0.3:7117"))

    def test_a_long_name_is_cut(self):
        desk, laptop = self.machine("desk", 1), self.machine("laptop", 2)
        self.advertise(desk, "d" * 64, KEYS["desk"], 7117)
        self.finds(laptop, (KEYS["desk"], "10.77.0.1:7117"))
        self.assertEqual(self.find(laptop)[0][0][0], "potluck on " + "d" * 52)

    def test_it_is_gone_with_who_advertised_it_and_a_new_address_is_found(self):
        desk, laptop = self.machine("desk", 1), self.machine("laptop", 2)
        process = self.advertise(desk, "desk", KEYS["desk"], 7117)
        self.finds(laptop, (KEYS["desk"], "10.77.0.1:7117"))
        desk.ip("address", "delete", "10.77.0.1/24", "dev", "lan0")
        desk.ip("address", "add", "10.77.0.9/24", "dev", "lan0")
        self.finds(laptop, (KEYS["desk"], "10.77.0.9:7117"))
        process.communicate()
        wait_until(lambda: not self.find(laptop, 1)[0], "nothing")

    def test_an_address_that_changes_while_it_begins_to_be_advertised_is_found(self):
        for number, seconds in enumerate((0.3, 0.6)):  # Avahi asks for a second whether the name is free
            with self.subTest(seconds=seconds):
                self.lan = mdns_daemons.Lan(self, f"lan{number}")
                desk, laptop = self.machine(f"desk{number}", 1), self.machine(f"laptop{number}", 2)
                self.advertise(desk, "desk", KEYS["desk"], 7117)
                time.sleep(seconds)
                desk.ip("address", "delete", "10.77.0.1/24", "dev", "lan0")
                desk.ip("address", "add", "10.77.0.9/24", "dev", "lan0")
                self.finds(laptop, (KEYS["desk"], "10.77.0.9:7117"))

    def test_a_daemon_that_starts_later_advertises_it_then(self):
        desk, laptop = self.machine("desk", 1, avahi=False), self.machine("laptop", 2)
        mdns_daemons.start_bus(self, desk)
        self.advertise(desk, "desk", KEYS["desk"], 7117)
        self.assertEqual(self.find(laptop, 1)[0], [])
        mdns_daemons.start_avahi(self, desk)
        self.finds(laptop, (KEYS["desk"], "10.77.0.1:7117"))

    def test_a_machine_without_avahi_says_so_and_what_to_do(self):
        desk = self.machine("desk", 1, avahi=False)
        for command in (("find", "1"), ("advertise", "desk", KEYS["desk"], "7117")):
            done = subprocess.run(mdns_daemons.inside(desk, PEER, *command), capture_output=True, text=True, check=True,
                                  stdin=subprocess.DEVNULL)  # fmt: skip
            self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), done.stderr)
            for part in ("clusters are not found by themselves", "systemctl start avahi-daemon", "join by a token"):
                self.assertIn(part, done.stderr)

    def test_a_key_that_is_none_is_nobodys(self):
        desk, laptop = self.machine("desk", 1), self.machine("laptop", 2)
        self.advertise(desk, "short", "abc", 7000)
        self.advertise(desk, "desk", KEYS["desk"], 7117)
        self.finds(laptop, (KEYS["desk"], "10.77.0.1:7117"))
        self.assertEqual({key for _, key, _, _ in self.find(laptop)[0]}, {KEYS["desk"]})


if __name__ == "__main__":
    if not namespaces.can_be_made():
        print(namespaces.WHY)
        sys.exit(namespaces.SKIPPED)
    if not mdns_daemons.are_there():
        print(mdns_daemons.WHY)
        sys.exit(namespaces.SKIPPED)
    unittest.main()
