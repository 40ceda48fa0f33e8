"""What a person reads when something is wrong: one line with the name, the value found and the fix, and the right exit code.

Prints the whole table, to be read as a new user would.
"""
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import unittest

from rings import NANO, PATIENCE, POTLUCK, SOURCE, Running, potluck

USAGE, BROKEN = 2, 3
GOLDEN = SOURCE / "tests/golden"
TINY = "synthetic:nano?layers=4&hidden=64&vocab=512&canvas=16&seed=3"
RUN = ("run", "--raw", "-s", "1")
PLAN = "version: 1\ncontext: 256\nhead:\n  start: here\nstages:\n"


class Messages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def refused(self, code, parts, *arguments):
        with self.subTest(arguments=arguments):
            out, err = potluck(*arguments, code=code, cwd=self.folder)
            lines = [line for line in err.splitlines() if re.match(r"potluck( \w+)?: ", line)]
            print(f"{code}  potluck {' '.join(arguments)}".replace(str(self.folder), "…").replace(str(SOURCE), "…"))
            print(f"     {lines[0] if lines else err}".replace(str(self.folder), "…"))
            self.assertEqual(len(lines), 1, err)
            self.assertEqual(err.splitlines()[-1], lines[0])
            self.assertEqual(out, "")
            for part in parts:
                self.assertIn(part, lines[0])

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def plan(self, text):
        return self.file("plan.yaml", (PLAN + text).encode())

    def test_truncated_and_flipped_files(self):
        gguf = pathlib.Path(NANO).read_bytes()
        self.refused(USAGE, ["cut.gguf"], "inspect", "-m", self.file("cut.gguf", gguf[:1000]))
        self.refused(USAGE, ["short.gguf", "bytes"], "inspect", "-m", self.file("short.gguf", gguf[:-5000]))
        self.refused(USAGE, ["magic.gguf"], "inspect", "-m", self.file("magic.gguf", b"GGUX" + gguf[4:]))
        self.refused(USAGE, ["old.gguf", "2"], "inspect", "-m", self.file("old.gguf", b"GGUF\2" + gguf[5:]))
        many = gguf[:8] + struct.pack("<Q", 1 << 40) + gguf[16:]
        self.refused(USAGE, ["many.gguf", str(1 << 40)], "inspect", "-m", self.file("many.gguf", many))
        self.refused(USAGE, ["none.gguf"], "inspect", "-m", str(self.folder / "none.gguf"))

    def safetensors(self, change):
        folder = self.folder / "model"
        shutil.copytree(GOLDEN / "nano", folder, dirs_exist_ok=True)
        path = folder / "model.safetensors"
        data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + size])
        changed = json.dumps(change(header) or header).encode()
        path.write_bytes(struct.pack("<Q", len(changed)) + changed + data[8 + size :])
        return str(folder)

    def test_tensors_missing_misshapen_overlapping(self):
        norm = "model.decoder.norm.weight"
        router = "model.decoder.layers.0.router.proj.weight"
        self.refused(USAGE, [norm], "inspect", "-m", self.safetensors(lambda h: h.pop(norm) and None))
        self.refused(USAGE, [norm], "inspect", "-m", self.safetensors(lambda h: h[norm].update(shape=[63, 1])))
        self.refused(USAGE, [router], "inspect", "-m",
                     self.safetensors(lambda h: h[router].update(data_offsets=h[norm]["data_offsets"])))  # fmt: skip
        self.refused(USAGE, ["F8_E4M3"], "inspect", "-m", self.safetensors(lambda h: h[norm].update(dtype="F8_E4M3")))
        self.refused(USAGE, ["terabytes", "synthetic"], "inspect", "-m", "synthetic:terabytes")

    def test_plans(self):
        run = (*RUN, "-m", TINY, "-p", "hello", "--plan")
        self.refused(USAGE, ["stage 0", "1:4", "0"], *run, self.plan("  - start: here\n    layers: 1:4\n"))
        both = "  - start: here\n    layers: 0:3\n  - start: here\n    layers: 2:4\n"
        self.refused(USAGE, ["stage 1", "2:4", "3"], *run, self.plan(both))
        turned = "  - start: here\n    layers: 2:4\n  - start: here\n    layers: 0:2\n"
        self.refused(USAGE, ["stage 0", "2:4"], *run, self.plan(turned))
        self.refused(USAGE, ["plan.yaml:7", "layer", "layers"], *run, self.plan("  - start: here\n    layer: 0:4\n"))
        self.refused(USAGE, ["plan.yaml:1", "version"], *run, self.file("plan.yaml", b"version: 2\n"))
        self.refused(USAGE, ["nowhere.yaml"], *run, "nowhere.yaml")

    def test_strangers(self):
        worker = Running("worker", "-m", TINY.replace("seed=3", "seed=4"), "--listen", "tcp://127.0.0.1:*")
        self.addCleanup(worker.__exit__)
        endpoint = worker.wait_for_endpoint()
        plan = self.plan(f"  - name: laptop\n    endpoint: {endpoint}\n    layers: 0:4\n")
        self.refused(BROKEN, ["laptop", "layer 0 differs"], *RUN, "-m", TINY, "-p", "hello", "--plan", plan)
        self.refused(BROKEN, ["laptop", "fingerprint"], *RUN, "-m", TINY.replace("hidden=64", "hidden=32"), "-p", "hello",
                     "--plan", plan)  # fmt: skip
        self.refused(BROKEN, [endpoint, "use"], "worker", "-m", TINY, "--listen", endpoint)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        nobody = self.plan(f"  - name: laptop\n    endpoint: tcp://127.0.0.1:{port}\n    layers: 0:4\n")
        self.refused(BROKEN, ["laptop", str(port)], *RUN, "-m", TINY, "-p", "hello", "--plan", nobody)
        self.refused(USAGE, ["every interface", "name the address"], "worker", "-m", TINY, "--listen", "tcp://0.0.0.0:*",
                     "--insecure-plaintext")  # fmt: skip
        self.refused(USAGE, ["udp://x:1"], "worker", "-m", TINY, "--listen", "udp://x:1")

    def test_memory(self):
        tight = self.plan("  - start: here\n    name: pi\n    memory: 100KiB\n    layers: 0:4\n")
        self.refused(BROKEN, ["pi", "weights", "KV"], *RUN, "-m", TINY, "-p", "hello", "--plan", tight)
        huge = "synthetic:released?layers=30&type=bf16"
        self.refused(BROKEN, ["weights", "KV"], *RUN, "-m", huge, "-p", "hello")

    def test_prompts(self):
        run = (*RUN, "-m", TINY)
        self.refused(USAGE, ["empty", "-p"], *run, "-p", "")
        self.refused(USAGE, ["empty"], *run, "-f", self.file("empty.txt", b""))
        self.refused(USAGE, ["context", "256"], *run, "-c", "256", "-p", "x" * 400)
        self.refused(USAGE, ["UTF-8"], *run, "-f", self.file("latin1.txt", b"caf\xe9"))
        self.refused(USAGE, ["UTF-8"], *run, "-f", self.file("cut.txt", b"ok \xe2\x82"))
        self.refused(USAGE, ["nowhere.txt"], *run, "-f", "nowhere.txt")
        self.refused(USAGE, ["empty", "mark.txt"], *run, "-f", self.file("mark.txt", b"\xef\xbb\xbf"))
        self.refused(USAGE, ["/dev/zero has more than", "bytes"], *run, "-f", "/dev/zero")

    def piped(self, data):
        """A pipe's name, as <(…) gives it, with so many bytes to read."""
        out, into = os.pipe()
        os.write(into, data)
        os.close(into)
        self.addCleanup(os.close, out)
        return out, f"/dev/fd/{out}"

    def answer(self, *arguments, stdin=b"", files=()):
        done = subprocess.run([POTLUCK, *RUN, "-m", TINY, "--json", *arguments], input=stdin, pass_fds=files,
                              capture_output=True, timeout=PATIENCE, cwd=self.folder)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["ids"]

    def test_a_byte_order_mark_is_no_part_of_a_prompt(self):
        expected = self.answer("-p", "hello")
        marked = b"\xef\xbb\xbfhello"
        self.assertEqual(self.answer("-f", self.file("marked.txt", marked)), expected)
        self.assertEqual(self.answer(stdin=marked), expected)
        self.assertNotEqual(self.answer("-p", "\ufeffhello"), expected)

    def test_pipes_are_read_where_a_text_is_wanted_and_refused_where_a_model_is(self):
        pipe, name = self.piped(b"hello")
        self.assertEqual(self.answer("-f", name, files=(pipe,)), self.answer("-p", "hello"))
        plan = PLAN + "  - start: here\n    layers: 0:4\n"
        pipe, name = self.piped(plan.encode())
        self.assertEqual(self.answer("-p", "hello", "--plan", name, files=(pipe,)), self.answer("-p", "hello"))
        fifo = self.folder / "model.gguf"
        os.mkfifo(fifo)
        self.refused(USAGE, ["model.gguf is not a regular file", "save it as a file"], *RUN, "-m", str(fifo), "-p", "x")

    def test_stdin_is_not_read_past_its_bound(self):
        with open("/dev/zero", "rb") as zero:
            done = subprocess.run([POTLUCK, *RUN, "-m", TINY], stdin=zero, capture_output=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn(b"stdin has more than 67108864 bytes", done.stderr)

    def test_at_temperature_0_nothing_is_drawn(self):
        # One step from one canvas: the draws differ from the argmax, and the temperatures do not matter to it.
        once = ("-p", "hello", "--steps", "1")
        self.assertEqual(self.answer(*once, "--temp", "0"), self.answer(*once))
        self.assertNotEqual(self.answer("-p", "hello", "--temp", "0"), self.answer("-p", "hello"))
        self.assertEqual(self.answer("-p", "hello", "--temp", "0"), self.answer("-p", "hello", "--temp", "0.0"))

    def test_a_log_is_its_owners_and_holds_prompts_with_v_alone(self):
        for verbose in (False, True):
            log = self.folder / f"{verbose}.log"
            potluck(*RUN, "-m", TINY, "-p", "my secret", "--log-file", str(log), *(["-v"] if verbose else []))
            self.assertEqual(log.stat().st_mode & 0o777, 0o600)
            self.assertIn("prompt of ", log.read_text())
            self.assertEqual("my secret" in log.read_text(), verbose)
        before = log.read_text()
        log.chmod(0o644)
        potluck(*RUN, "-m", TINY, "-p", "more", "--log-file", str(log))
        self.assertTrue(log.read_text().startswith(before))
        self.assertEqual(log.stat().st_mode & 0o777, 0o600)

    def test_a_log_is_not_written_into_what_is_no_log(self):
        for data in (b"dear diary,\n", b"2026", b"\x00" * 40):
            notes = self.file("notes.txt", data)
            self.refused(USAGE, ["notes.txt", "no log of potluck"], *RUN, "-m", TINY, "-p", "x", "--log-file", notes)
            self.assertEqual(pathlib.Path(notes).read_bytes(), data)
        potluck(*RUN, "-m", TINY, "-p", "x", "--log-file", self.file("empty.log", b""))
        potluck(*RUN, "-m", TINY, "-p", "x", "--log-file", "/dev/null")

    def test_what_drives_a_terminal_reaches_none(self):
        sly = "\x1b[2J\u009b2J\u202e\u2028"
        log = self.folder / "sly.log"
        _, said = potluck(*RUN, "-m", TINY, "-p", sly, "-v", "--log-file", str(log))
        _, refusal = potluck("run", "-m", f"no{sly}model", "-p", "x", code=USAGE)
        _, usage = potluck("run", f"--no{sly}", code=USAGE)
        for text in (said, refusal, usage, log.read_text()):
            for mark in "\x1b\u009b\u202e\u2028":
                self.assertNotIn(mark, text)

    def test_numbers_are_refused_alike_by_all_commands(self):
        for arguments, flag, value in (
            (("demo",), "--puzzles", "x"),
            (("demo",), "--puzzles", "-1"),
            (("bench", "demo"), "--puzzles", "0"),
            (("bench", "demo"), "--steps", "256"),
            (("inspect", "-m", TINY), "--stages", "0"),
            (("inspect", "-m", TINY), "--split", "0x2"),
            (("worker", "-m", TINY), "--threads", "0"),
            (("verify", "-m", TINY), "--chunk", "many"),
            (("demo",), "--seed", "010"),
            (("bench", "demo"), "--seed", "-2"),
        ):
            self.refused(USAGE, [f"{flag}: must be ", f", not {value};"], *arguments, flag, value)

    def test_contradictions(self):
        split = ("--stages", "3", "--split", "2,2")
        self.refused(USAGE, ["--stages 3 contradicts --split 2,2"], *RUN, "-m", TINY, "-p", "hello", *split)
        self.refused(USAGE, ["--stages 3 contradicts --split 2,2"], "inspect", "-m", TINY, *split)
        self.refused(USAGE, ["--stages 1 contradicts --split 2,3"], *RUN, "-m", TINY, "-p", "hello", "--stages", "1",
                     "--split", "2,3")  # fmt: skip
        apart = ("--transport", "inproc", "--host", "processes")
        self.refused(USAGE, ["--transport inproc", "--host processes"], *RUN, "-m", TINY, "-p", "hello", *apart)

    def test_far_workers(self):
        for address in ("nowhere", "tcp://nowhere", "ipc:///tmp/x", "host:0"):
            self.refused(USAGE, [f"--worker {address} is not HOST:PORT=KEY"], "demo", "--worker", address)
        self.refused(USAGE, ["--worker 10.0.0.9:7000=abc ends with no key", "64 digits"], "demo", "--worker", "10.0.0.9:7000=abc")

    def test_ids_that_are_none(self):
        values = (("1.5", "1.5"), ("-1", "-1"), ("99999999999", "99999999999"), ("1e2", "100.0"), ('"x"', '"x"'),
                  ("null", "null"), ("512", "512"), ("[8]", "[8]"))  # fmt: skip
        whole = ("", "[1]", '{"ids":3}', '{"id":[3]}', '{"ids":[1', '{"ids":[1e999]}')
        table = [(f'{{"ids":[7,{value}]}}', f"stdin: ids[1] is {said}; ") for value, said in values]
        for text, words in table + [(text, 'give {"ids":[1,2]}') for text in whole]:
            with self.subTest(text=text):
                done = subprocess.run([POTLUCK, "tokenize", "-m", TINY, "--decode"], input=text.encode(),
                                      capture_output=True, timeout=PATIENCE)  # fmt: skip
                self.assertEqual(done.returncode, USAGE)
                self.assertEqual(done.stdout, b"")
                self.assertRegex(done.stderr.decode(), r"\Apotluck: .*\n\Z")
                self.assertIn(words, done.stderr.decode())

    def test_options(self):
        run = (*RUN, "-m", TINY, "-p", "hello")
        self.refused(USAGE, ["/nowhere/log", "--log-file"], *run, "--log-file", "/nowhere/log")
        self.refused(USAGE, [str(self.folder)], *run, "--log-file", str(self.folder))
        self.refused(USAGE, ["--bogus"], *run, "--bogus")
        self.refused(USAGE, ["--stages", "9"], *run, "--stages", "9")
        self.refused(USAGE, ["3", "4"], *run, "--split", "1,2")
        self.refused(USAGE, ["-n", "0"], *run, "-n", "0")
        self.refused(USAGE, ["fpga"], "worker", "-m", TINY, "--device", "fpga", "--listen", "tcp://127.0.0.1:*")
        self.refused(USAGE, ["6Gigs"], "worker", "-m", TINY, "--memory", "6Gigs", "--listen", "tcp://127.0.0.1:*")
        self.refused(USAGE, ["hf:nobody/nothing"], "run", "-m", "hf:nobody/nothing:Q4_K_M", "-p", "hello")


if __name__ == "__main__":
    unittest.main()
