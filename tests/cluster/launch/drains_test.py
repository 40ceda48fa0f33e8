"""Machines that a ring is to do without for a while: the same ids without them, and with them again."""
import json
import socket
import unittest

import namespaces
from hosts_test import MODEL, NAMES, SPARE, Lan
from rings import SLOW, Running, answer, wait_until
from up_test import ASK, LONG, Up

FEW = ("-n", "64", "--steps", "4")


class DrainsHere(Up):
    """Workers of one machine. The tests of Up itself run elsewhere."""

    def test_a_worker_of_this_machine_leaves_and_may_come_back(self):
        self.up()
        before = json.loads(self.potluck(*ASK)[0])["ids"]
        out, _ = self.potluck("drain", "stage 1")
        self.assertIn('"stage 1" is drained; take it back: potluck drain', out)
        self.assertIn("the ring is head, stage 0 (0:6)", out)
        self.assertEqual([w["name"] for w in self.status()["workers"]], ["head", "stage 0"])
        self.assertEqual(self.status()["drained"], ["stage 1"])
        self.assertIn("drained: stage 1", self.potluck("status")[0])
        self.assert_nothing_ran_yet()
        self.assertEqual(json.loads(self.potluck(*ASK)[0])["ids"], before)
        self.assertEqual(self.links(), [("coordinator", "head"), ("head", "stage 0"), ("stage 0", "head")])
        self.potluck("drain", "stage 1")  # once more is no error
        self.assertIn("may take part again, where that pays: a move must save 25 % of a step's time",
                      self.potluck("drain", "stage 1", "--end")[0])  # fmt: skip
        self.assertEqual(self.status()["drained"], [])
        self.assertEqual(json.loads(self.potluck(*ASK)[0])["ids"], before)
        self.potluck("down")
        self.assert_nothing_left()

    def links(self):
        return [(link["from"], link["to"]) for link in self.status()["links"]]

    def assert_nothing_ran_yet(self):
        """What went round the ring before this one is not told of this one."""
        status, text = self.status(), self.potluck("status")[0]
        self.assertEqual(status["links"], [])
        self.assertEqual(status["step"]["ms"], 0)
        self.assertEqual({w["step_ms"] for w in status["workers"]}, {0})
        self.assertIn("no step yet in this ring", text)
        self.assertNotIn("→", text)

    def test_an_answer_that_ends_on_another_ring_names_the_workers_of_that_one(self):
        self.up()
        with Running(*LONG, env=self.env) as client:
            client.wait_for_steps()
            self.potluck("drain", "stage 1")
            self.assertEqual(client.wait(), 0, client.stderr())
            found = json.loads(client.stdout())
        self.assertEqual([s["name"] for s in found["plan"]["stages"]], ["stage 0"])
        self.assertEqual([(link["from"], link["to"]) for link in found["links_a_step"]],
                         [("coordinator", "head"), ("head", "stage 0"), ("stage 0", "head"), ("head", "coordinator")])
        self.potluck("down")

    def test_a_name_that_is_nobodys_is_refused_with_the_names_there_are(self):
        self.up()
        _, err = self.potluck("drain", "nas", code=2)
        self.assertIn('the cluster has no machine "nas"; it has head, stage 0, stage 1', err)
        for name in ("here", socket.gethostname()):
            _, err = self.potluck("drain", name, code=2)
            self.assertIn(f'"{name}" is the coordinator\'s own machine, which stays; potluck down ends the cluster; '
                          "what can be drained: head, stage 0, stage 1", err)  # fmt: skip
        self.assertIn('"stage 0" was not drained', self.potluck("drain", "stage 0", "--end", code=1)[1])
        self.potluck("down")
        self.assertIn("no cluster", self.potluck("drain", "nas", code=2)[1])

    def test_one_that_the_ring_needs_stays(self):
        self.potluck("up", "-m", SLOW, "--stages", "1")
        _, err = self.potluck("drain", "stage 0", code=1)
        self.assertIn("nothing has changed: stage 0 cannot leave: ", err)
        self.assertEqual(err.count("\n"), 1)
        self.assertEqual(self.status()["drained"], [])
        self.potluck(*ASK)
        self.potluck("down")


class DrainsHosts(Lan):
    names = (*NAMES, SPARE)

    def status(self):
        return json.loads(self.potluck("status", "--json")[0])

    def workers(self):
        return {w["name"] for w in self.status()["workers"]}

    def ask(self):
        self.assertEqual(json.loads(self.potluck(*ASK)[0])["ids"], self.expected)

    def test_a_host_is_drained_while_a_spare_takes_its_part_and_is_taken_back(self):
        self.expected = answer(*FEW, "--stages", "2", "-c", "512", model=MODEL)["ids"]
        self.up()
        self.assertEqual(self.workers(), set(NAMES))
        out, _ = self.potluck("drain", "nas")
        self.assertIn('"nas" is drained', out)
        self.assertEqual(self.workers(), {*NAMES, SPARE} - {"nas"})
        self.assertEqual(self.status()["drained"], ["nas"])
        self.assertIn({"name": "nas", "host": "nas", "why": "drained"}, self.status()["beside"])
        self.assertIn("coordinator connected", self.potluck("logs", "nas")[0])
        self.ask()
        _, err = self.potluck("drain", "shed", code=1)  # there is no room left for its layers
        self.assertIn("nothing has changed: shed", err)
        self.assertEqual(self.workers(), {*NAMES, SPARE} - {"nas"})
        self.assertEqual(self.status()["drained"], ["nas"])
        self.ask()
        self.potluck("drain", "nas", "--end")
        wait_until(lambda: self.workers() == set(NAMES), "the host to be taken back, and the spare to be let go")
        self.ask()
        self.potluck("down")
        self.assert_nothing_left()

    def test_a_spare_that_is_drained_takes_no_part_when_another_is_lost(self):
        self.up()
        self.assertIn(f'"{SPARE}" is drained', self.potluck("drain", SPARE)[0])
        _, err = self.potluck("drain", "nas", code=1)
        self.assertIn("nas cannot leave", err)
        self.potluck("drain", SPARE, "--end")
        self.potluck("drain", "nas")
        self.assertIn(SPARE, self.workers())
        self.potluck("down")


def load_tests(loader, tests, pattern):  # noqa: ARG001
    """Not the tests that DrainsHere inherits."""
    suite = unittest.TestSuite()
    for case in (DrainsHere, *([DrainsHosts] if namespaces.can_be_made() else [])):
        suite.addTests(case(name) for name in loader.getTestCaseNames(case) if name in vars(case))
    return suite


if __name__ == "__main__":
    unittest.main()
