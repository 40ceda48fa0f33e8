"""Machines join a cluster: by token over a router, by mDNS and six words, back by their key; and impostors get nothing.

Machines are network namespaces. The coordinator's side is guest_host, which has no ring.
"""
import contextlib
import json
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from statistics import median

import mdns_daemons
import namespaces
from memory_groups import memory_group
from namespaces import Machine, cable
from rings import IS_SANITIZED, PATIENCE, POTLUCK, wait_until

HOST = os.environ["GUEST_HOST"]
TIMED = os.environ["POTLUCK_TIMED_PROGRAM"]  # potluck on devices that sleep (tests/timed)
TIMED_MODEL = ("synthetic:released?heads=2&kv_heads=1&full_kv_heads=1&head_dim=32&full_head_dim=64&intermediate=64"
               "&expert_intermediate=32&experts=4&experts_used=1&vocab=512")  # fmt: skip
SMALL = "synthetic:nano?layers=6&seed=3"
LARGE = "synthetic:nano?layers=8&hidden=256&vocab=2048&canvas=32&experts=64&expert_intermediate=512&seed=3"  # 246 MB
SLOW_DEVICE, FAST_DEVICE = "sliding=8,full=8,head=5", "sliding=1,full=1,head=5"
PORT = 7117
REFUSED, USAGE = 3, 2


def settings(machine):
    folder = machine.folder
    return {"XDG_CONFIG_HOME": f"{folder}/config", "XDG_STATE_HOME": f"{folder}/state", "TMPDIR": str(folder),
            **mdns_daemons.environment(machine)}  # fmt: skip


class Process:
    """A program on a machine, its output in one file, and lines for its stdin."""

    def __init__(self, test, machine, *command, terminal=False, enter=("ip", "netns", "exec")):
        self.log = machine.folder / f"log-{time.monotonic_ns()}"
        self.master = None
        stdin = subprocess.PIPE
        if terminal:
            self.master, stdin = pty.openpty()
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*enter, machine.namespace, *command], stdin=stdin, stdout=log, stderr=subprocess.STDOUT,
                text=True, env={**os.environ, **settings(machine)}, start_new_session=True)  # fmt: skip
        test.addCleanup(self.end)

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        if self.master is not None:
            os.close(self.master)
            self.master = None

    def text(self):
        return self.log.read_text(errors="replace")

    def say(self, line):
        if self.master is not None:
            os.write(self.master, f"{line}\n".encode())
        else:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def waits_for(self, pattern, count=1):
        def look():
            found = re.findall(pattern, self.text(), re.M)
            assert len(found) >= count or self.process.poll() is None, f"ended without {pattern}:\n{self.text()}"
            return len(found) >= count and found

        try:
            return wait_until(look, pattern)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None

    def ends(self, code):
        try:
            found = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running:\n{self.text()}") from None
        assert found == code, f"exit {found}, not {code}:\n{self.text()}"
        return self.text()


class Joining(unittest.TestCase):
    def once(self, machine, *words, code=0, text=""):
        done = subprocess.run(["ip", "netns", "exec", machine.namespace, POTLUCK, *words], capture_output=True, text=True,
                              input=text, env={**os.environ, **settings(machine)}, timeout=PATIENCE, check=False)  # fmt: skip
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout.strip(), done.stderr

    def host(self, machine, name="desk"):
        (machine.folder / "state/potluck").mkdir(mode=0o700, parents=True, exist_ok=True)
        run = Process(self, machine, HOST, f"{machine.folder}/state/potluck", f"{machine.folder}/config/potluck", str(PORT),
                      name)  # fmt: skip
        run.key = run.waits_for(r"^ready ([0-9a-f]{64})$")[0]
        return run

    def join(self, machine, *words, terminal=False):
        return Process(self, machine, POTLUCK, "join", "--name", machine.name, "-t", "1", *words, terminal=terminal)

    def token(self, machine, *words):
        return self.once(machine, "token", "create", *words)[0]

    def key(self, machine):
        return self.once(machine, "key")[0]

    def lan(self, avahi=True):
        self.network = mdns_daemons.Lan(self)
        return self.on_lan("desk", 1, avahi), self.on_lan("laptop", 2, avahi)

    def on_lan(self, name, number, avahi=True):
        machine = self.network.machine(name, f"10.77.0.{number}/24")
        if avahi:
            mdns_daemons.start_bus(self, machine)
            mdns_daemons.start_avahi(self, machine)
        return machine

    def came(self, host, laptop, address, count=1):
        """The laptop's offer, with its own key and a port of its own address."""
        found = host.waits_for(rf"^came {laptop.name} tcp://{address}:(\d+) {self.key(laptop)}$", count)
        return int(found[-1])

    def with_a_part(self, layers):
        """The two machines, the coordinator, and the laptop's join, which has these layers."""
        desk, laptop = self.lan(avahi=False)
        host = self.host(desk)
        run = self.join(laptop, self.token(desk))
        self.came(host, laptop, "10.77.0.2")
        host.say(f"part laptop layers {layers}")
        run.waits_for(f"laptop: layers {layers}")
        return desk, laptop, host, run

    def test_by_token_over_a_router(self):
        desk, router, laptop = (Machine(self, name) for name in ("desk", "router", "laptop"))
        for machine, link, at_router, net in ((desk, "lan0", "lan1", 1), (laptop, "lan0", "lan2", 2)):
            cable(machine, link, router, at_router)
            machine.address(link, f"10.77.{net}.2/24")
            router.address(at_router, f"10.77.{net}.1/24")
            machine.ip("route", "add", "default", "via", f"10.77.{net}.1")
        router.sets("net.ipv4.ip_forward", 1)
        host = self.host(desk)
        token = self.token(desk, "--hosts", "1")
        run = self.join(laptop, token)
        run.waits_for("found the coordinator at 10.77.1.2:7117")
        self.came(host, laptop, "10.77.2.2")
        host.waits_for('"laptop" was let in by a token')
        host.say("part laptop layers 3:6")
        run.waits_for("laptop: layers 3:6")
        listed = json.loads(self.once(desk, "token", "list", "--json")[0])
        self.assertEqual([machine["key"] for machine in listed["machines"]], [self.key(laptop)])
        self.assertIn("all the machines", listed["tokens"][0]["over"])

    def test_a_ring_takes_a_faster_machine_in_and_lets_it_go(self):
        """With devices that sleep, so that one machine is faster than another on the same cores."""
        desk, laptop = self.lan(avahi=False)
        up = Process(self, desk, "env", f"POTLUCK_TIMED={SLOW_DEVICE}", TIMED, "up", "--foreground", "--join", "-m",
                     TIMED_MODEL, "--stages", "1", "-t", "1", "-c", "512")  # fmt: skip
        up.waits_for("join it:")
        before = self.ask(desk)
        run = Process(self, laptop, "env", f"POTLUCK_TIMED={FAST_DEVICE}", TIMED, "join", "--name", "laptop", "-t", "1",
                      self.token(desk))  # fmt: skip
        up.waits_for('"laptop" offers cpu')
        run.waits_for(r"laptop: layers \d+:\d+")
        with_laptop = self.ask(desk)
        self.assertIn("laptop", [stage["name"] for stage in with_laptop["plan"]["stages"]])
        self.assertEqual(with_laptop["ids"], before["ids"])
        self.assertLess(median(with_laptop["step_ms"]), median(before["step_ms"]))
        run.process.send_signal(signal.SIGINT)
        run.ends(0)
        after = self.ask(desk)
        self.assertNotIn("laptop", [stage["name"] for stage in after["plan"]["stages"]])
        self.assertEqual(after["ids"], before["ids"])

    def test_a_machine_that_would_be_of_no_use_hears_why_and_so_do_status_and_the_log(self):
        desk, laptop = self.lan(avahi=False)
        up = Process(self, desk, "env", f"POTLUCK_TIMED={SLOW_DEVICE}", TIMED, "up", "--foreground", "--join", "-m",
                     TIMED_MODEL, "--stages", "1", "-t", "1", "-c", "512")  # fmt: skip
        up.waits_for("join it:")
        run = Process(self, laptop, "env", f"POTLUCK_TIMED={SLOW_DEVICE}", TIMED, "join", "--name", "laptop", "-t", "1",
                      self.token(desk))  # fmt: skip
        early = r"the ring's speed is not known before its first step"
        run.waits_for(rf"laptop: waits \({early}\)")
        up.waits_for(rf"laptop has no part in the ring: {early}")
        self.ask(desk)
        slow = r"(?:a layer takes|the layers of a step would take) [\d.]+ ms [^()\n]+; a move must save 25 %"
        run.waits_for(rf"laptop: waits \({slow}\)")
        up.waits_for(rf"laptop has no part in the ring: {slow}")
        self.assertRegex(self.status(desk)["beside"][0]["why"], f"^{slow}$")
        self.assertRegex(self.once(desk, "status")[0], rf"not in the ring: laptop on laptop \({slow}\)")
        time.sleep(5)  # it says its offer again
        self.assertEqual(len(re.findall(early, up.text())), 1)

    def up_within(self, machine, limit, *words):
        """potluck up in the background, it and all that it starts with no more memory than this."""
        group = memory_group(self, machine.namespace, limit)
        self.addCleanup(wait_until, group.is_empty, "the end of what runs in it")
        self.addCleanup(self.once, machine, "down")
        join = f'echo $$ > {group.processes} && exec nsenter --net=/run/netns/"$0" "$@"'  # which leaves /sys as it is
        return Process(self, machine, POTLUCK, "up", "-t", "1", *words, enter=("sh", "-c", join))

    def status(self, machine):
        return json.loads(self.once(machine, "status", "--json")[0])

    def test_a_model_that_is_too_large_for_one_machine_waits_for_another(self):
        if IS_SANITIZED:
            self.skipTest("a sanitizer takes memory that no plan counts")
        desk, laptop = self.lan(avahi=False)
        self.listen(desk, PORT)  # so that another port has to be found
        up = self.up_within(desk, "200M", "-m", LARGE, "-c", "512")
        said = up.ends(0)
        self.assertRegex(said, r"waits for machines to join: the model needs \d+ MB, and this machine has \d+ MB\n")
        self.assertIn("TCP port 7117 is taken, so machines join at port", said)
        status = self.status(desk)
        self.assertEqual((status["phase"], status["workers"], status["guests"]), ("waiting", [], []))
        self.assertLess(status["free_bytes"], status["needed_bytes"])
        self.assertIn("waiting for machines to join", self.once(desk, "status")[0])
        self.assertRegex(self.once(desk, "run", "-p", "hello", code=REFUSED)[1],
                         r'^potluck: the cluster "cluster" waits for machines to join: .*potluck join TOKEN$')  # fmt: skip
        token = self.token(desk)  # it has that port
        for _ in range(2):  # the second time after the laptop was lost
            run = self.join(laptop, "--memory", "160MiB", token)
            run.waits_for(r"laptop: layers \d+:\d+")
            wait_until(lambda: self.status(desk)["workers"], "the ring")
            self.assertEqual([worker["name"] for worker in self.status(desk)["workers"]][::2], ["head", "laptop"])
            self.assertEqual(self.ask(desk)["ids"], self.ask(laptop, "-m", LARGE, "-c", "512")["ids"])
            self.assert_is_needed(desk, laptop, run)
            run.end()
            wait_until(lambda: self.status(desk).get("phase") == "waiting", "the coordinator to wait again")

    def assert_is_needed(self, desk, laptop, run):
        """It cannot leave, and hears at once what it waits for and why."""
        known = "laptop cannot leave: the model does not fit what is left"

        def logged():
            return len(re.findall(known, self.once(desk, "logs", "coordinator")[0]))

        before = logged()
        leave = Process(self, laptop, POTLUCK, "leave")
        leave.waits_for(r"process \d+ leaves as soon as the ring can do without this machine, in 120 s at most; Ctrl-C")
        leave.waits_for(known)
        run.waits_for(known)
        time.sleep(1)  # it asks again and again
        self.assertEqual(logged(), before + 1)
        run.end()
        leave.ends(0)

    def test_tokens_and_mdns_carry_the_port_that_was_free(self):
        desk, laptop = self.lan()
        for number, name in enumerate(("one", "two")):
            up = Process(self, desk, POTLUCK, "up", "--foreground", "--name", name, "-m", SMALL, "-t", "1", "-c", "512")
            up.waits_for("join it:")
            port = int(up.waits_for(r"so machines join at port (\d+)")[0]) if number else PORT
            made = json.loads(self.once(desk, "token", "create", "--name", name, "--json")[0])
            self.assertEqual(made["addresses"], [f"10.77.0.1:{port}"])
            wait_until(lambda: f":{port}" in self.found_by(laptop), "the port in mDNS")

    def test_without_joining_nobody_is_let_in(self):
        desk, _ = self.lan(avahi=False)
        up = Process(self, desk, POTLUCK, "up", "--foreground", "--no-join", "-m", SMALL, "-t", "1", "-c", "512")
        up.waits_for("end it:")
        self.assertNotIn("join it:", up.text())
        self.assertIn("lets no machine join; start it without --no-join", self.once(desk, "token", "create", code=USAGE)[1])
        listening = subprocess.check_output(["ip", "netns", "exec", desk.namespace, "cat", "/proc/net/tcp"], text=True)
        self.assertNotIn(f":{PORT:04X}", listening)

    def test_who_may_not_join_hears_that_nobody_may(self):
        desk, laptop = self.lan(avahi=False)
        up = Process(self, desk, POTLUCK, "up", "--foreground", "--no-join", "--listen", f"*:{PORT}", "-m", SMALL, "-t", "1",
                     "-c", "512")  # fmt: skip
        up.waits_for("end it:")
        self.assertIn("lets no machine join", self.once(desk, "token", "create", code=USAGE)[1])
        token = self.once(desk, "token", "create", "--address", f"10.77.0.1:{PORT}")[0].strip()
        self.assertIn("and that it lets this one in", self.join(laptop, token).ends(3))

    def test_a_machine_does_not_join_its_own_cluster(self):
        desk, _ = self.lan(avahi=False)
        self.host(desk)
        self.assertIn("this machine coordinates that cluster", self.join(desk, self.token(desk)).ends(USAGE))

    def ask(self, machine, *words):
        return json.loads(self.once(machine, "run", "-p", "hello", "--raw", "--json", "-n", "256", "--steps", "4", "-s", "7",
                                    *words)[0])  # fmt: skip

    def test_a_token_comes_by_a_file_or_stdin_too(self):
        desk, laptop = self.lan(avahi=False)
        host = self.host(desk)
        token = self.token(desk)
        file = laptop.folder / "token"
        file.write_text(token + "\n")
        run = self.join(laptop, "--token-file", str(file))
        self.came(host, laptop, "10.77.0.2")
        run.process.send_signal(signal.SIGINT)
        run.ends(0)
        run = self.join(laptop, "--token-file", "-")
        run.say(token)
        run.process.stdin.close()
        self.came(host, laptop, "10.77.0.2", 2)

    def test_by_mdns_and_six_words_on_both_screens(self):
        desk, laptop = self.lan()
        host = self.host(desk)
        run = self.join(laptop, terminal=True)
        words = run.waits_for(r"this screen:  ([a-z ]+)$")[0]
        self.assertEqual(len(words.split()), 6)
        host.waits_for(f'"laptop" wants to join and shows: {words}')
        run.say("y")
        admit = Process(self, desk, POTLUCK, "admit", terminal=True)
        admit.waits_for(f"laptop  shows  {words}")
        self.assertNotRegex(host.text(), "(?m)^came ")
        admit.say("y")
        admit.ends(0)
        self.came(host, laptop, "10.77.0.2")

    def test_a_no_at_either_screen_keeps_it_out(self):
        desk, laptop = self.lan()
        host = self.host(desk)
        run = self.join(laptop, terminal=True)
        run.waits_for("this screen")
        run.say("n")
        self.assertIn("the words were not the same", run.ends(130))
        run = self.join(laptop, terminal=True)
        run.waits_for("this screen")
        run.say("y")
        host.waits_for("wants to join and shows", 2)
        admit = Process(self, desk, POTLUCK, "admit", terminal=True)
        admit.waits_for("laptop  shows")
        admit.say("n")
        self.assertIn("said no", run.ends(REFUSED))
        self.assertNotRegex(host.text(), "(?m)^came ")

    def test_without_a_token_and_without_a_person_it_ends_in_one_line(self):
        desk, laptop = self.lan()
        self.host(desk)
        said = self.once(laptop, "join", code=USAGE)[1].strip().splitlines()[-1]
        self.assertIn("nobody here to compare six words; join with a token", said)

    def listen(self, machine, port):
        """Takes calls on a machine, and keeps what is said to it."""
        heard, ready = bytearray(), threading.Event()

        def serve():
            fd = os.open(f"/var/run/netns/{machine.namespace}", os.O_RDONLY)
            os.setns(fd) if hasattr(os, "setns") else setns(fd)
            os.close(fd)
            server = socket.create_server(("0.0.0.0", port))
            server.settimeout(0.2)
            ready.set()
            calls = []
            while not self.over:
                with contextlib.suppress(OSError):
                    call, _ = server.accept()
                    call.settimeout(0.2)
                    # A greeting of ZMTP 3.1 with CURVE, as whoever has no key could say as well.
                    call.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + b"\x01" + bytes(31))
                    calls.append(call)
                for call in calls:
                    with contextlib.suppress(OSError):
                        heard.extend(call.recv(65536))
            for each in (*calls, server):
                each.close()

        self.over = False
        thread = threading.Thread(target=serve)
        thread.start()

        def end():
            self.over = True
            thread.join()

        self.addCleanup(end)
        ready.wait(PATIENCE)
        return heard

    def advertise(self, machine, address, key, seen_by):
        """Says that a cluster is there, until a second machine has heard it."""
        Process(self, machine, os.environ["MDNS_PEER"], "advertise", "desk", key, str(PORT))
        wait_until(lambda: address in self.found_by(seen_by), "what the rogue advertises")

    def test_a_rogue_that_advertises_the_clusters_key_hears_nothing_of_worth(self):
        desk, laptop = self.lan()
        rogue = self.on_lan("rogue", 3)
        heard = self.listen(rogue, PORT)
        host = self.host(desk)
        token = self.token(desk, "--address", "10.77.0.99")  # where nobody is, so that mDNS is asked
        self.advertise(rogue, "10.77.0.3", host.key, seen_by=laptop)
        host.process.send_signal(signal.SIGSTOP)  # or it might answer before the rogue is called
        run = self.join(laptop, token)
        wait_until(lambda: heard, "the joiner's call of the rogue")
        host.process.send_signal(signal.SIGCONT)
        run.waits_for("found the coordinator at 10.77.0.1:7117")
        self.came(host, laptop, "10.77.0.2")
        self.assertNotIn(b"laptop", heard)
        self.assertNotIn(b"join", heard)
        self.assertNotIn(bytes.fromhex(self.key(laptop)), heard)
        self.assertLess(len(heard), 2000)  # greetings and handshakes that it cannot answer

    def test_a_rogue_with_a_key_of_its_own_gets_nobody_with_a_token(self):
        desk, laptop = self.lan()
        rogue = self.on_lan("rogue", 3)
        false = self.host(rogue, "desk")
        host = self.host(desk)
        wait_until(lambda: host.key in self.found_by(laptop), "what desk advertises")
        run = self.join(laptop, self.token(desk, "--address", "10.77.0.99"))
        run.waits_for("found the coordinator at 10.77.0.1:7117")
        self.came(host, laptop, "10.77.0.2")
        self.assertEqual(false.text().strip(), f"ready {false.key}")

    def test_two_that_say_they_are_a_cluster_are_named_and_neither_is_joined(self):
        desk, laptop = self.lan()
        rogue = self.on_lan("rogue", 3)
        false, host = self.host(rogue, "desk"), self.host(desk)
        wait_until(lambda: "2 clusters" in self.once_any(laptop, "join"), "both")
        said = self.once_any(laptop, "join")
        for part in (false.key[:16], host.key[:16], "10.77.0.1:7117", "10.77.0.3:7117", "potluck token create"):
            self.assertIn(part, said)

    def once_any(self, machine, *words):
        done = subprocess.run(["ip", "netns", "exec", machine.namespace, POTLUCK, *words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env={**os.environ, **settings(machine)}, check=False)  # fmt: skip
        return done.stderr

    def test_a_rogue_alone_shows_no_words_at_the_real_screen(self):
        desk, laptop = self.lan(avahi=False)
        rogue = self.on_lan("rogue", 3)
        mdns_daemons.start_bus(self, laptop)
        mdns_daemons.start_avahi(self, laptop)
        host, false = self.host(desk), self.host(rogue, "desk")
        run = self.join(laptop, terminal=True)
        run.waits_for("this screen")
        waiting = Process(self, desk, POTLUCK, "admit")
        self.assertIn("no machine waits", waiting.ends(1))  # so the person says no
        run.say("n")
        run.ends(130)
        self.assertNotRegex(false.text(), "(?m)^came ")
        self.assertNotIn("laptop", host.text())

    def found_by(self, machine):
        peer = os.environ["MDNS_PEER"]
        return subprocess.run(mdns_daemons.inside(machine, peer, "find", "1"), capture_output=True, text=True, check=True).stdout

    def test_it_follows_a_coordinator_that_moves_to_another_address(self):
        desk, laptop = self.lan()
        host = self.host(desk)
        run = self.join(laptop, self.token(desk))
        self.came(host, laptop, "10.77.0.2")
        wait_until(lambda: host.key in self.found_by(laptop), "what desk advertises")
        desk.ip("address", "delete", "10.77.0.1/24", "dev", "lan0")
        desk.ip("address", "add", "10.77.0.9/24", "dev", "lan0")
        run.waits_for("the coordinator is away; looking for it")
        run.waits_for("found the coordinator at 10.77.0.9:7117")
        host.say("part laptop layers 0:3")
        run.waits_for("laptop: layers 0:3")

    def test_it_finds_a_second_address_of_its_token(self):
        desk, laptop = self.lan(avahi=False)
        desk.ip("address", "add", "10.77.0.5/24", "dev", "lan0")
        host = self.host(desk)
        run = self.join(laptop, self.token(desk, "--address", "10.77.0.9", "--address", "10.77.0.1", "--address",
                                           "10.77.0.5"))  # fmt: skip
        self.came(host, laptop, "10.77.0.2")
        desk.ip("address", "delete", "10.77.0.1/24", "dev", "lan0")
        desk.ip("address", "add", "10.77.0.9/24", "dev", "lan0")
        run.waits_for("found the coordinator at 10.77.0.9:7117")

    def workers_on(self, machine):
        pids = subprocess.run(["ip", "netns", "pids", machine.namespace], capture_output=True, text=True, check=True).stdout
        lines = (pathlib.Path(f"/proc/{pid}/cmdline") for pid in pids.split())
        return [line for line in lines if line.exists() and b"worker" in line.read_bytes()]

    def test_after_a_reboot_it_comes_back_by_its_key(self):
        desk, laptop = self.lan()
        host = self.host(desk)
        run = self.join(laptop, self.token(desk, "--hosts", "1"))
        first = self.came(host, laptop, "10.77.0.2")
        run.process.kill()  # and everything that it started goes
        wait_until(lambda: not self.workers_on(laptop), "its workers' end")
        self.join(laptop)
        self.assertNotEqual(self.came(host, laptop, "10.77.0.2", 2), first)

    def test_a_coordinator_that_starts_anew_hears_of_it_again(self):
        desk, laptop = self.lan(avahi=False)
        host = self.host(desk)
        run = self.join(laptop, self.token(desk))
        port = self.came(host, laptop, "10.77.0.2")
        host.end()
        run.waits_for("the coordinator is away; looking for it")
        self.assertEqual(self.came(self.host(desk), laptop, "10.77.0.2"), port)

    def test_one_that_is_shut_out_never_comes_back(self):
        desk, laptop, host, run = self.with_a_part("0:3")
        self.once(desk, "token", "revoke", "laptop")
        self.assertIn("shut it out", run.ends(REFUSED))
        host.waits_for("^forget laptop$")
        for words in ((), (self.token(desk),)):
            self.assertIn("shut this machine out", self.join(laptop, *words).ends(REFUSED))

    def test_it_leaves_when_the_ring_can_do_without_it(self):
        _, laptop, host, run = self.with_a_part("0:3")
        leave = Process(self, laptop, POTLUCK, "leave")
        host.waits_for("^forget laptop$")
        self.assertIsNone(run.process.poll())
        self.assertIsNone(leave.process.poll())
        host.say("part laptop")
        run.ends(0)
        leave.ends(0)
        self.assertEqual(self.workers_on(laptop), [])

    def test_flags_that_are_wrong_are_told_before_anybody_is_asked(self):
        desk, laptop = self.lan(avahi=False)
        token = self.token(desk)  # nobody answers there
        for words, said in ((("--device", "warp:0"), "warp:0"), (("--memory", "much"), "much"),
                            (("--token-file", "/nowhere"), "token"), (("--token-file", "/dev/null"), "is empty"),
                            (("--name", ""), "--name: it is empty"), (("",), "TOKEN: it is empty")):  # fmt: skip
            text = self.join(laptop, *words, *([] if words[0] in ("--token-file", "") else [token])).ends(USAGE)
            self.assertIn(said, text)
            self.assertNotIn("coordinator", text)

    def test_a_guest_is_drained_by_the_name_of_its_machine_and_takes_no_name_of_the_clusters(self):
        desk, laptop = self.lan(avahi=False)
        up = Process(self, desk, "env", f"POTLUCK_TIMED={SLOW_DEVICE}", TIMED, "up", "--foreground", "--join", "-m",
                     TIMED_MODEL, "--stages", "1", "-t", "1", "-c", "512")  # fmt: skip
        up.waits_for("join it:")
        self.ask(desk)  # so that it is known how slow the ring is
        run = Process(self, laptop, "env", f"POTLUCK_TIMED={FAST_DEVICE}", TIMED, "join", "--name", "stage 1", "-t", "1",
                      self.token(desk))  # fmt: skip
        run.waits_for(r"stage 1-2: layers \d+:\d+")
        guest = next(w for w in self.status(desk)["workers"] if w["name"] == "stage 1-2")
        self.assertEqual(guest["host"], "stage 1-2")
        self.assertIn('"stage 1-2" is drained', self.once(desk, "drain", "stage 1-2")[0])
        run.waits_for(r"stage 1-2: waits", 2)  # the first time was when it came
        self.assertIsNone(run.process.poll())
        self.assertNotIn("stage 1-2", [w["name"] for w in self.status(desk)["workers"]])
        run.waits_for(r"stage 1-2: waits \(drained\)")
        self.assertIn({"name": "stage 1-2", "host": "stage 1-2", "why": "drained"}, self.status(desk)["beside"])
        self.assertIn("not in the ring: stage 1-2 on stage 1-2 (drained)", self.once(desk, "status")[0])
        self.assertIn('"stage 1-2" was not started from here, so its log is on its own machine; look there',
                      self.once(desk, "logs", "stage 1-2", code=USAGE)[1])  # fmt: skip
        self.once(desk, "drain", "stage 1-2", "--end")
        run.waits_for(r"stage 1-2: layers \d+:\d+", 2)

    def test_one_that_is_kept_hears_why_and_leaves_when_it_may(self):
        _, laptop, host, run = self.with_a_part("3:6")
        host.say("why laptop laptop cannot leave: nothing else fits")
        leave = Process(self, laptop, POTLUCK, "leave")
        leave.waits_for("^laptop cannot leave: nothing else fits$")
        run.waits_for("laptop cannot leave: nothing else fits")
        host.say("part laptop")
        run.ends(0)
        leave.ends(0)
        self.assertEqual(run.text().count("cannot leave"), 1)

    def test_it_joins_once_and_leaves_once(self):
        desk, laptop = self.lan(avahi=False)
        host = self.host(desk)
        self.assertIn("has joined no cluster now", self.once(laptop, "leave", code=USAGE)[1])
        self.join(laptop, self.token(desk))
        self.came(host, laptop, "10.77.0.2")
        said = self.once(laptop, "join", code=USAGE)[1]
        self.assertRegex(said, r"has joined a cluster already \(process \d+\); potluck leave ends that")

    def test_a_coordinator_that_is_not_there_is_one_line(self):
        desk, laptop = self.lan(avahi=False)
        said = self.join(laptop, self.token(desk)).ends(REFUSED).strip().splitlines()[-1]
        self.assertIn("coordinator does not answer", said)
        self.assertIn("10.77.0.1:7117", said)
        self.assertIn("potluck up", said)


def setns(fd):
    """Python has os.setns from 3.12 on."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).setns(fd, 0):
        raise OSError(ctypes.get_errno(), "setns")


if __name__ == "__main__":
    if not namespaces.can_be_made():
        print(namespaces.WHY)
        sys.exit(namespaces.SKIPPED)
    if not mdns_daemons.are_there():
        print(mdns_daemons.WHY)
        sys.exit(namespaces.SKIPPED)
    unittest.main()
