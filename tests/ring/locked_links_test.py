"""Two machines that know each other by their keys alone, what passes between them, and strangers at their ports.

Each machine is a folder of settings here; README's own are in two_machines_test.py.
"""
import contextlib
import json
import pathlib
import tempfile
import threading
import unittest

from relays import Relay, ids_as_sent, pieces_of, say
from rings import SLOW, Running, answer, potluck

LOOPBACK = "tcp://127.0.0.1:*"
ASKED = ("-n", "32", "--steps", "4", "-c", "512")
PROMPT = "hello there"
PLAIN = "--insecure-plaintext"
# A handshake has less from the listener, who says nothing more to strangers: greeting, WELCOME or ERROR.
HANDSHAKE_BYTES = 400


class Machine:
    def __init__(self, folder):
        self.env = {"XDG_CONFIG_HOME": str(folder)}
        self.key = potluck("key", env=self.env)[0].strip()

    def secret(self):
        text = pathlib.Path(self.env["XDG_CONFIG_HOME"], "potluck/key").read_text()
        return next(line for line in text.splitlines() if not line.startswith("#"))


class LockedLinks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.alone = answer(*ASKED)["ids"]

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.here, self.there, self.elsewhere = (Machine(self.folder / name) for name in ("here", "there", "elsewhere"))

    def worker(self, *arguments, machine=None):
        run = Running("worker", "-m", SLOW, "--listen", LOOPBACK, *arguments, env=(machine or self.there).env)
        self.stack.enter_context(run)
        return run, run.wait_for_endpoint()

    def allowed_worker(self):
        return self.worker("--allow", self.here.key)[1]

    def relay(self, endpoint):
        return self.stack.enter_context(Relay(endpoint))

    def plan(self, head, *stages, key=None):
        """Workers are endpoints with a key, if any; or None, started here."""
        def place(endpoint):
            if not endpoint:
                return "start: here"
            return f"endpoint: {endpoint}" + (f"\n    key: {key}" if key else "")

        text = f"version: 1\ncontext: 512\nhead:\n    {place(head)}\nstages:\n"
        for endpoint, layers in stages:
            text += f"  - name: stage {layers}\n    {place(endpoint)}\n    layers: {layers}\n"
        path = self.folder / "plan.yaml"
        path.write_text(text)
        return str(path)

    def ask(self, plan, *arguments, machine=None):
        out = potluck("run", "-m", SLOW, "-p", PROMPT, "--raw", "--json", "-s", "7", *ASKED[:4], "--plan", plan, *arguments,
                      env=(machine or self.here).env)[0]  # fmt: skip
        return json.loads(out)["ids"]

    def refusal(self, plan, *arguments, machine=None, code=3):
        said = potluck("run", "-m", SLOW, "-p", "hello", "--raw", "-s", "7", "--plan", plan, *arguments, code=code,
                       env=(machine or self.here).env)[1]  # fmt: skip
        return said.strip().splitlines()[-1]

    def test_two_machines_make_a_ring_by_their_keys(self):
        first, second = self.allowed_worker(), self.allowed_worker()
        key = self.there.key
        for plan in (self.plan(None, (None, "0:2"), (first, "2:6"), key=key), self.plan(None, (first, "0:6"), key=key),
                     self.plan(first, (None, "0:3"), (second, "3:6"), key=key),
                     self.plan(first, (second, "0:6"), key=key)):  # fmt: skip
            self.assertEqual(self.ask(plan), self.alone)

    def test_one_machine_needs_no_key_in_its_plan(self):
        head, stage = (self.worker(machine=self.here)[1] for _ in range(2))
        self.assertEqual(self.ask(self.plan(head, (stage, "0:6"))), self.alone)

    def test_plain_links_are_there_for_who_asks_and_say_so(self):
        (run, head), (_, stage) = self.worker(PLAIN), self.worker(PLAIN)
        self.assertIn("not locked", run.stderr())
        self.assertEqual(self.ask(self.plan(head, (stage, "0:6")), PLAIN), self.alone)

    def relayed(self, *arguments, key):
        """What passes when head and stage are at the other machine, and the call that dialed the stage."""
        head, stage = (self.relay(self.worker(*arguments)[1]) for _ in range(2))
        plan = self.plan(head.endpoint, (stage.endpoint, "0:6"), key=key)
        self.assertEqual(self.ask(plan, *(() if key else arguments)), self.alone)
        return head, stage

    def test_a_capture_shows_no_token_no_activation_and_no_key(self):
        plain = b"".join(relay.capture() for relay in self.relayed(PLAIN, key=None))
        locked = b"".join(relay.capture() for relay in self.relayed("--allow", self.here.key, key=self.there.key))
        tokens = ids_as_sent("-m", SLOW, prompt=PROMPT)
        self.assertIn(tokens, plain)
        self.assertIn(b"potluck 0.", plain)
        self.assertNotIn(tokens, locked)
        self.assertNotIn(b"potluck 0.", locked)
        # The same bits pass in both runs: pieces of the one are looked for in the other.
        pieces = pieces_of(plain)
        self.assertGreater(len(pieces), 100)
        self.assertEqual([piece for piece in pieces if piece in locked], [])
        self.assertGreater(len(locked), len(plain))
        for machine in (self.here, self.there):
            for key in (machine.key, machine.secret()):
                self.assertNotIn(bytes.fromhex(key), locked)
                self.assertNotIn(key.encode(), locked)

    def test_what_was_captured_opens_nothing_again(self):
        head, stage = self.relayed("--allow", self.here.key, key=self.there.key)
        targets = [f"tcp://127.0.0.1:{relay.target[1]}" for relay in (head, stage)]
        plan = self.plan(head.endpoint, (stage.endpoint, "0:6"), key=self.there.key)
        calls = [bytes(call[0]) for relay in (head, stage) for call in relay.calls]
        self.assertGreaterEqual(len(calls), 3)
        for target in targets:
            for call in calls:
                for part in (call, call[:64], call[:64 + 202], call[300:], call + call):
                    self.assertLess(len(say(target, part, patience=0.5)), HANDSHAKE_BYTES)
            self.assertEqual(self.ask(plan), self.alone)

    def test_strangers_get_nothing_and_disturb_nothing(self):
        head, stage = self.allowed_worker(), self.allowed_worker()
        plan = self.plan(head, (stage, "0:6"), key=self.there.key)
        stop, heard = threading.Event(), []

        def pester():
            greeting = b"\xff\0\0\0\0\0\0\0\1\x7f\3\0"
            no_lock, lock = (greeting + name.ljust(20, b"\0") + bytes(32) for name in (b"NULL", b"CURVE"))
            for number in range(10**6):
                for target in (head, stage):
                    for said in (no_lock + b"\4\x19\5READY", lock, lock + b"\4\xc8\5HELLO" + bytes(194), b"GET / HTTP/1.1\r\n\r\n"):
                        heard.append(len(say(target, said, patience=0.05)))
                if stop.is_set() and number:
                    return

        pest = threading.Thread(target=pester)
        pest.start()
        try:
            for _ in range(3):
                self.assertEqual(self.ask(plan), self.alone)
        finally:
            stop.set()
            pest.join()
        self.assertLess(max(heard), HANDSHAKE_BYTES)

    def test_a_key_that_is_not_on_the_list_is_told_so(self):
        run, stage = self.worker("--allow", self.here.key)
        plan = self.plan(None, (stage, "0:6"), key=self.there.key)
        said = self.refusal(plan, machine=self.elsewhere)
        self.assertIn(f"the worker at {stage} takes no calls by this machine's key {self.elsewhere.key}", said)
        self.assertIn(f"its key {self.elsewhere.key} is none that may call", run.stderr())
        self.assertEqual(self.ask(plan), self.alone)

    def test_a_key_that_was_taken_off_the_list_is_told_so(self):
        stage = self.worker("--allow", self.elsewhere.key)[1]
        said = self.refusal(self.plan(None, (stage, "0:6"), key=self.there.key))
        self.assertIn("takes no calls by this machine's key", said)

    def test_a_worker_with_another_key_than_the_plans_is_refused(self):
        stage = self.allowed_worker()
        said = self.refusal(self.plan(None, (stage, "0:6"), key=self.elsewhere.key))
        self.assertIn(f"the worker at {stage} has another key than the plan names", said)
        self.assertIn(self.elsewhere.key, said)

    def test_a_lock_on_one_side_alone_is_named(self):
        plain, locked = self.worker(PLAIN)[1], self.allowed_worker()
        self.assertIn("does not lock its links", self.refusal(self.plan(None, (plain, "0:6"), key=self.there.key)))
        self.assertRegex(self.refusal(self.plan(None, (locked, "0:6")), PLAIN),
                         "locks its links, and the plan names no key|are its links not locked")  # fmt: skip

    def test_a_plan_without_a_key_for_another_machine_is_refused(self):
        said = self.refusal(self.plan(None, ("tcp://10.99.99.99:7000", "0:6")), code=2)
        self.assertIn('"stage 0:6" at tcp://10.99.99.99:7000 has no key in the plan', said)
        self.assertIn(PLAIN, said)
        both = self.plan(None, ("tcp://10.99.99.99:7000", "0:6"), key=self.there.key)
        self.assertIn("the plan names a key", self.refusal(both, PLAIN, code=2))


if __name__ == "__main__":
    unittest.main()
