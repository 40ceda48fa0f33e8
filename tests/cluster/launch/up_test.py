"""A cluster that is up on this machine: asked by several at once, ended, crashed, and started anew."""
import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from rings import PATIENCE, POTLUCK, SLOW, Running, answer, wait_until

LONG = ("run", "-p", "hello there", "--raw", "--json", "-s", "7", "-n", "64", "--steps", "255", "--show", "text")
ASK = ("run", "-p", "hello there", "--raw", "--json", "-s", "7", "-n", "64", "--steps", "4")


def mine(mark):
    """Ids of the processes whose environment has this mark, zombies left out."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


class Up(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="up")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "tmp").mkdir()
        self.env = {"XDG_STATE_HOME": f"{folder.name}/state", "TMPDIR": f"{folder.name}/tmp"}
        self.addCleanup(self.end_all)

    def end_all(self):
        for pid in mine(self.folder.name):
            os.kill(pid, signal.SIGKILL)

    def potluck(self, *words, code=0):
        return potluck_in(self.env, *words, code=code)

    def up(self, *words, code=0):
        return self.potluck("up", "-m", SLOW, "--stages", "2", *words, code=code)

    def assert_nothing_left(self):
        wait_until(lambda: not mine(self.folder.name), "the end of all processes")
        self.assertEqual([p.name for p in (self.folder / "state/potluck").iterdir()], [])
        self.assertEqual(list((self.folder / "tmp").iterdir()), [])

    def pid_of(self, worker):
        return next(p for p in mine(self.folder.name)
                    if worker.encode() in pathlib.Path(f"/proc/{p}/cmdline").read_bytes())  # fmt: skip

    def status(self):
        return json.loads(self.potluck("status", "--json")[0])

    def test_it_answers_as_a_ring_of_one_command_does_and_leaves_nothing(self):
        out, err = self.up()
        self.assertIn("potluck run -p", out)
        self.assertIn("loaded in", err)  # a line for each worker
        self.assertIn("no step yet in this ring\n", self.potluck("status")[0])
        out, err = self.potluck(*ASK)
        self.assertIn('asking the cluster "cluster"', err)
        got, expected = json.loads(out), answer("-n", "64", "--steps", "4", "--stages", "2")
        for key in ("ids", "text", "steps", "plan", "model", "seed"):
            self.assertEqual(got[key], expected[key], key)
        status = self.status()
        self.assertEqual(status["requests"], {"answered": 1, "running": 0, "waiting": 0})
        self.assertEqual([w["name"] for w in status["workers"]], ["head", "stage 0", "stage 1"])
        self.assertTrue(all(w["step_ms"] > 0 for w in status["workers"]))
        self.assertEqual([(link["from"], link["to"]) for link in status["links"]],
                         [("coordinator", "head"), ("head", "stage 0"), ("stage 0", "stage 1"), ("stage 1", "head")])
        self.assertEqual([link["bytes"] > 2 * 32 * 128 for link in status["links"]], [False, True, True, True])  # a canvas
        self.assertEqual(sum(link["bytes"] for link in status["links"]), status["step"]["wire_bytes"])
        self.assertTrue(all(link["mb_per_s"] == link["bytes"] / 1e3 / status["step"]["ms"] for link in status["links"]))
        text = self.potluck("status")[0]
        self.assertIn("layers", text)
        self.assertRegex(text, r"(?m)^  link +a step +carried MB/s$")
        self.assertRegex(text, r"(?m)^last step [\d.]+ ms: ")
        self.assertEqual({w["host"] for w in status["workers"]}, {""})
        self.assertIn("stage 1", self.potluck("logs")[0])
        self.assertIn("is down", self.potluck("down")[0])
        self.assert_nothing_left()
        self.assertIn("no cluster", self.potluck("down")[0])

    def test_what_is_up_already_is_not_started_twice(self):
        self.up()
        _, err = self.up(code=2)
        self.assertIn('the cluster "cluster" is up already', err)
        self.assertIn("is taken, so machines join at port", self.up("--name", "other")[1])
        self.potluck(*ASK, "--name", "other")
        self.potluck("down", "--name", "other")
        self.potluck(*ASK)
        self.potluck("down")
        self.assert_nothing_left()

    def test_where_nothing_is_up_each_command_says_so(self):
        self.assertIn("no cluster", self.potluck("status", code=1)[0])
        for words in (ASK, ("logs",), ("logs", "head"), ("admit",), ("drain", "nas")):
            self.assertIn('no cluster "cluster" is up', self.potluck(*words, code=2)[1])
        self.assertIn("give -m MODEL", self.potluck(*ASK, "--stages", "2", code=2)[1])
        self.assertIn("nothing says what to start", self.potluck("up", code=2)[1])

    def test_places_to_listen_at_are_looked_at_before_anything_starts(self):
        for place, said in (("", "--listen: it is empty"), ("*", "is no HOST:PORT; write "), ("10.0.0.3:99999", "is no HOST:PORT"),
                            ("tcp://127.0.0.1:7118", "is no HOST:PORT"), ("10.0.0.3:0", "is no HOST:PORT")):  # fmt: skip
            with self.subTest(place=place):
                self.assertIn(said, self.up("--listen", place, code=2)[1])
        self.assertIn("an address that none of them reaches", self.up("--listen", "127.0.0.1:7118", "--join", code=2)[1])
        self.assertIn("--connect 127.0.0.1:", self.up("--listen", "127.0.0.1:*")[0])
        self.assertIn("lets no machine join", self.potluck("token", "create", code=2)[1])
        self.assertIn("lets no machine join", self.potluck("admit", code=3)[1])

    def test_hints_lead_to_the_cluster_that_was_named(self):
        self.up("--name", "other", "--no-join")
        self.assertIn("== head", self.potluck("logs", "here", "--name", "other")[0])
        self.assertIn("--name asks a cluster that is up", self.potluck(*ASK, "-m", SLOW, "--name", "other", code=2)[1])
        status = self.potluck("status", "--name", "other")[0]
        self.assertNotIn("not in the ring", status)
        self.potluck("down", "--name", "other")

    def test_several_ask_at_once_and_each_gets_its_answer(self):
        self.up()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda seed: json.loads(self.potluck(*ASK[:4], "--json", "-s", str(seed), *ASK[7:])[0]),
                                    [7, 8, 7, 9]))  # fmt: skip
        self.assertEqual(answers[0]["ids"], answers[2]["ids"])
        self.assertNotEqual(answers[0]["ids"], answers[1]["ids"])
        self.assertEqual(self.status()["requests"]["answered"], 4)
        self.potluck("down")

    def test_a_client_that_is_interrupted_or_killed_cancels_its_request(self):
        self.up()
        for how, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
            with Running(*ASK[:7], "-n", "512", "--show", "text", env=self.env) as client:
                wait_until(lambda: self.status()["requests"]["running"] == 1, "the request to run")
                client.process.send_signal(how)
                self.assertEqual(client.wait(), code)
            wait_until(lambda: self.status()["requests"]["running"] == 0, "the request to end")
        self.potluck(*ASK)
        self.assertEqual(self.status()["requests"]["answered"], 1)
        self.potluck("down")

    def test_another_machine_asks_with_its_key_and_without_a_model(self):
        self.up("--listen", "127.0.0.1:*", "--allow", self.key_of("friend"))
        where = json.loads((self.folder / "state/potluck/cluster/state.json").read_text())["endpoint"]
        own = potluck_in(self.env, "key")[0].split()[-1]
        reach = ("--connect", where.removeprefix("tcp://"), "--key", own)
        friend = {**self.env, "XDG_CONFIG_HOME": str(self.folder / "friend"), "XDG_STATE_HOME": "/nowhere"}
        stranger = {**friend, "XDG_CONFIG_HOME": str(self.folder / "stranger")}
        self.assertEqual(json.loads(potluck_in(friend, *ASK, *reach)[0])["ids"], json.loads(self.potluck(*ASK)[0])["ids"])
        self.assertIn("takes no calls by this machine's key", potluck_in(stranger, *ASK, *reach, code=3)[1])
        self.assertIn("answered", potluck_in(friend, "status", *reach)[0])
        self.assertIn("--connect needs the key", potluck_in(friend, *ASK, *reach[:2], code=2)[1])
        self.potluck("down")

    def key_of(self, name):
        return potluck_in({**self.env, "XDG_CONFIG_HOME": str(self.folder / name)}, "key")[0].split()[-1]

    def test_a_worker_that_is_killed_leaves_a_ring_that_gives_the_same_answer(self):
        self.up()
        before = json.loads(self.potluck(*ASK)[0])["ids"]
        os.kill(self.pid_of("stage 1"), signal.SIGKILL)
        self.assertEqual(json.loads(self.potluck(*ASK)[0])["ids"], before)
        self.assertGreaterEqual(len(self.status()["workers"]), 2)  # started again, or its layers are a neighbour's
        self.potluck("down")
        self.assert_nothing_left()

    def test_a_worker_that_is_killed_in_an_answer_stalls_it_and_everybody_is_told(self):
        self.up()
        before = json.loads(self.potluck(*LONG)[0])
        self.assertEqual(before["stalls"], [])
        with Running(*LONG, env=self.env) as client:
            client.wait_for_steps()
            os.kill(self.pid_of("stage 1"), signal.SIGKILL)
            self.assertEqual(client.wait(), 0, client.stderr())
            found, said = json.loads(client.stdout()), client.stderr()
        self.assertEqual(found["ids"], before["ids"])
        self.assertGreaterEqual(len(found["stalls"]), 1, said)
        log = self.potluck("logs", "coordinator")[0]
        for stall in found["stalls"]:
            self.assertIn("stage 1", stall["why"])
            self.assertAlmostEqual(sum(v for k, v in stall.items() if k not in ("why", "seconds")), stall["seconds"], places=3)
            self.assertIn(f"stalled for {stall['seconds']:.2f} s: detect", said)
            self.assertIn(f"an answer stalled for {stall['seconds']:.2f} s: detect", log)
        self.assertRegex(said, r"first step \d+ ms; about [\d.]+ s left if all steps run")
        self.potluck("down")

    def test_an_answer_that_its_cluster_does_not_finish_says_so(self):
        self.up()
        with Running(*LONG, env=self.env) as client:
            client.wait_for_steps()
            self.potluck("down")
            self.assertEqual(client.wait(), 3, client.stderr())
            self.assertEqual(client.stderr().splitlines()[-1], "potluck: the cluster was taken down before this answer was "
                             "complete; potluck up starts it again")  # fmt: skip
        self.up()
        with Running(*LONG, env=self.env) as client:
            client.wait_for_steps()
            os.kill(json.loads((self.folder / "state/potluck/cluster/state.json").read_text())["pid"], signal.SIGKILL)
            self.assertEqual(client.wait(), 3, client.stderr())
            self.assertRegex(client.stderr().splitlines()[-1], "^potluck: the cluster's coordinator has ended, or the link to it "
                             "broke: .*; potluck status says whether the cluster is up, potluck up starts it again$")  # fmt: skip
        self.potluck("down")
        self.assert_nothing_left()

    def test_a_model_that_cannot_be_loaded_is_one_line_and_leaves_nothing(self):
        _, err = self.potluck("up", "-m", SLOW, "--stages", "2", "-c", "99999999", code=2)
        self.assertEqual(err.count("potluck:"), 1, err)
        self.assertFalse((self.folder / "state/potluck/cluster").exists())

    def test_a_damaged_state_file_is_one_line_and_down_cleans_up(self):
        self.up()
        file = self.folder / "state/potluck/cluster/state.json"
        file.write_text(file.read_text()[:30])
        _, err = self.potluck("status", code=2)
        self.assertRegex(err, r"^potluck: .* is damaged .*; potluck down ends it and cleans up; then start it anew\n$")
        self.assertIn("is up already", self.up(code=2)[1])
        self.assertIn("is down", self.potluck("down")[0])
        self.assert_nothing_left()

    def test_up_and_down_at_once_never_harm_each_other(self):
        for _ in range(3):
            self.up()
            with concurrent.futures.ThreadPoolExecutor() as pool:
                downs = [pool.submit(self.potluck, "down", code=None) for _ in range(3)]
                ups = pool.submit(self.up, code=None)
                errors = [each.result()[1] for each in (*downs, ups)]
            self.assertFalse([e for e in errors if "cannot" in e], errors)
            self.up(code=None)
            self.potluck(*ASK)
            self.potluck("down")
            self.assert_nothing_left()

    def foreground(self, **options):
        up = subprocess.Popen([POTLUCK, "up", "--foreground", "-m", SLOW, "--stages", "2"], env={**os.environ, **self.env},
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **options)  # fmt: skip
        self.addCleanup(up.wait)
        self.addCleanup(up.kill)
        return up

    def is_up(self):
        return "answered" in self.potluck("status", code=None)[0]

    def test_in_the_foreground_a_reader_that_goes_leaves_nothing(self):
        up = self.foreground(stdout=subprocess.PIPE)
        up.stdout.close()  # before there is anything to read
        self.assertEqual(up.wait(PATIENCE), 3)
        self.assert_nothing_left()

    def test_in_the_foreground_a_terminal_that_closes_ends_it(self):
        up = self.foreground(stdout=subprocess.DEVNULL)
        wait_until(self.is_up, "the ring")
        for _ in range(2):  # a shell says it once more
            os.killpg(up.pid, signal.SIGHUP)
        self.assertEqual(up.wait(PATIENCE), 129)
        self.assert_nothing_left()

    def test_in_the_background_it_outlives_the_terminal(self):
        self.up()
        for pid in mine(self.folder.name):
            os.kill(pid, signal.SIGHUP)
        self.potluck(*ASK)
        self.potluck("down")

    def test_closed_streams_are_no_place_for_files(self):
        closed = "exec 0<&- 1>&- 2>&-; exec " + POTLUCK + f" up -m '{SLOW}' --stages 2"
        done = subprocess.run(["sh", "-c", closed], env={**os.environ, **self.env}, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 3)  # what it had to say could not be written
        self.potluck(*ASK)
        coordinator = json.loads((self.folder / "state/potluck/cluster/state.json").read_text())["pid"]
        for fd in range(3):
            self.assertRegex(os.readlink(f"/proc/{coordinator}/fd/{fd}"), "/dev/null|/log")
        self.potluck("down")

    def test_killed_at_any_moment_it_cleans_up_when_it_is_started_next(self):
        for i in range(10):
            with Running("up", "-m", SLOW, "--stages", "3", env=self.env) as up:
                time.sleep(0.06 * i)
                coordinator = [p for p in mine(self.folder.name) if os.getsid(p) != up.session] or [up.session]
                for victim in ([up.session], coordinator[:1], [up.session, *coordinator[:1]])[i % 3]:
                    try:
                        os.kill(victim, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                up.process.wait()
                self.up(code=None)  # one whose own coordinator has not died may be up
            self.potluck(*ASK)
            self.potluck("down")
            self.assert_nothing_left()


def potluck_in(env, *words, code=0):
    """stdout and stderr of a potluck that ends by itself; code None: any."""
    done = subprocess.run([POTLUCK, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=2 * PATIENCE, env={**os.environ, **env})  # fmt: skip
    assert code is None or done.returncode == code, f"{words}: exit {done.returncode}, not {code}; {done.stderr}"
    return done.stdout, done.stderr


if __name__ == "__main__":
    unittest.main()
