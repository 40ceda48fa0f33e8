"""`potluck pull` from a hub on this machine that redirects, cuts and lies, and partial copies that serve their layers."""
import json
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import unittest

import model_files
import namespaces
from hub import COMMIT, Hub
from relays import CutRelay
from rings import POTLUCK, SOURCE, Running, plan_text, potluck, wait_until

DEMO = SOURCE / "cluster/demo/sudoku6.gguf"  # 6 layers of some 500 kB
NANO = SOURCE / "tests/golden/nano"  # a checkpoint
REPOSITORY = "owner/some-GGUF"
CHECKPOINT = "owner/tiny"
PLACES = 20  # of interruptions
ANSWER = 33_000  # bytes of a peer's answer
HELLO = 2_000  # bytes of a link that is made anew, and of the list of files
SLACK = 1.02  # bytes that may move, by those of the model or stage


class Pulls(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)
        self.env = {"HF_HOME": str(self.home), "no_proxy": "*"}
        self.data = DEMO.read_bytes()

    def open(self, files=None, repository=REPOSITORY, **options):
        hub = Hub(repository, files or {"m-Q8_0.gguf": self.data}, **options)
        hub.__enter__()
        self.addCleanup(hub.__exit__)
        self.env["HF_ENDPOINT"] = hub.url
        return hub

    def pull(self, *flags, model="hf:" + REPOSITORY, code=0, **env):
        """(path, what was said)"""
        out, err = potluck("pull", model, *flags, code=code, env={**self.env, **env})
        return out.strip(), err

    def run_on_disk(self, folder, size, script):
        """A shell's script for which the folder is an empty disk of this size."""
        if not namespaces.mounts_can_be_made():
            self.skipTest(namespaces.WHY_NO_MOUNTS)
        script = f"mount -t tmpfs -o size={size} tmpfs {folder} && {script}"
        return subprocess.run(["unshare", "-m", "sh", "-c", script], env={**os.environ, **self.env},
                              capture_output=True, text=True, check=False)  # fmt: skip

    def kill_when(self, hub, at, *flags):
        """Kills a pull once the hub has sent so many bytes and the pull has had time for them."""
        hub.holding.clear()
        hub.hold_at = at
        with Running("pull", "hf:" + REPOSITORY, *flags, env=self.env) as run:
            wait_until(lambda: hub.holding.is_set() or run.process.poll() is not None, "the hub's last byte")
            self.assertIsNone(run.process.poll(), run.stderr())
            wait_until(lambda: self.idle(run.process.pid), "the pull to have taken what came")
        hub.hold_at = None

    @staticmethod
    def idle(pid):
        """Whether all threads of a process wait, twice in a row, and nothing is on its way to them."""
        try:
            states = {stat.read_text().rsplit(")", 1)[1].split()[0]
                      for _ in range(2) for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")}
        except (FileNotFoundError, ProcessLookupError):  # of a thread that ended meanwhile
            return False
        inodes = {os.readlink(link) for link in pathlib.Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
        sockets = [line.split() for line in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
        ours = {line[1]: line[4] for line in sockets if f"socket:[{line[9]}]" in inodes}
        unread = [queues.split(":")[1] for queues in ours.values()]
        unsent = [line[4].split(":")[0] for line in sockets if line[2] in ours]  # by whoever sends to us
        return states == {"S"} and bool(ours) and set(unread + unsent) == {"00000000"}

    def stage_bytes(self, *layers, head=False):
        """Of the header and the tensors of these layers."""
        model = model_files.GgufFile.read(DEMO)
        owned = [name for name in model.tensors
                 if (name.split(".")[1] in map(str, layers) if name.startswith("blk.") else head or name.startswith("rope"))]
        return len(self.data) - sum(len(t.data) for t in model.tensors.values()) + sum(
            len(model.tensors[name].data) for name in owned)

    def folder(self, name=REPOSITORY):
        return self.home / "hub" / ("models--" + name.replace("/", "--"))

    def left(self):
        """Files that say that a download is not done."""
        return [path.name for path in (self.home / "hub").rglob("*.incomplete")]


class Whole(Pulls):
    def test_a_model_is_put_where_other_programs_look_for_it(self):
        hub = self.open(token="hf_secret")
        path, said = self.pull(HF_TOKEN="hf_secret")
        link = self.folder() / "snapshots" / COMMIT / "m-Q8_0.gguf"
        self.assertEqual(path, str(link))
        self.assertTrue(link.is_symlink())
        self.assertEqual(os.readlink(link), "../../blobs/" + hub.checksum("m-Q8_0.gguf"))
        self.assertEqual(link.read_bytes(), self.data)
        self.assertEqual((self.folder() / "refs/main").read_text(), COMMIT)
        self.assertEqual(hub.sent, len(self.data))
        self.assertIn("potluck run -m hf:" + REPOSITORY, said)
        potluck("inspect", "-m", "hf:" + REPOSITORY, env=self.env)
        self.assertEqual({token for server, token in hub.tokens if server == "store"}, {None})
        self.assertEqual({token for server, token in hub.tokens if server == "hub"}, {"Bearer hf_secret"})
        self.pull(HF_TOKEN="hf_secret")
        self.assertEqual(hub.sent, len(self.data))  # nothing moves twice

    def test_the_token_that_was_logged_in_with_is_used(self):
        self.open(token="hf_secret")
        (self.home / "token").write_text("hf_secret\n")
        self.pull()

    def test_a_line_that_is_cut_at_twenty_places_goes_on(self):
        hub = self.open()
        hub.cuts = [len(self.data) * (i + 1) // (PLACES + 1) for i in range(PLACES)]
        path, _ = self.pull()
        self.assertEqual((pathlib.Path(path).read_bytes(), hub.cuts), (self.data, []))
        self.assertEqual(hub.sent, len(self.data))

    def test_a_pull_that_is_killed_at_twenty_places_goes_on(self):
        hub = self.open()
        for i in range(PLACES):
            self.kill_when(hub, len(self.data) * (i + 1) // (PLACES + 1))
            self.assertEqual(len(self.left()), 1)
        path, _ = self.pull()
        self.assertEqual(pathlib.Path(path).read_bytes(), self.data)
        print(f"whole, killed at {PLACES} places: {hub.sent / len(self.data):.4f} of its bytes moved")
        self.assertLessEqual(hub.sent, SLACK * len(self.data))

    def test_an_interrupt_keeps_what_came(self):
        hub = self.open()
        hub.hold_at = 1_000_000
        with Running("pull", "hf:" + REPOSITORY, env=self.env) as run:
            wait_until(hub.holding.is_set, "the hub's last byte")
            run.process.send_signal(signal.SIGINT)
            self.assertEqual(run.wait(), 130)
            self.assertIn("the same command goes on from here", run.stderr())
        hub.hold_at = None
        self.pull()
        self.assertLessEqual(hub.sent, SLACK * len(self.data))

    def test_a_byte_that_changed_on_the_way_is_found(self):
        hub = self.open()

        def lie(handler, name, begin, end):
            data = bytearray(self.data)
            data[2_000_000] ^= 1
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
            handler.send_header("Content-Length", str(end - begin))
            handler.end_headers()
            handler.wfile.write(data[begin:end])
            return True

        hub.lie = lie
        said = self.pull(code=3)[1]
        self.assertIn("a byte changed on the way or on this disk; give the same command again", said)
        self.assertEqual((self.left(), list((self.folder() / "blobs").iterdir())), ([], []))
        hub.lie = None
        self.assertEqual(pathlib.Path(self.pull()[0]).read_bytes(), self.data)

    def test_a_byte_that_changed_on_the_disk_before_the_end_is_found(self):
        hub = self.open()
        self.kill_when(hub, 1_000_000)
        with open(self.folder() / "blobs" / self.left()[0], "r+b") as file:
            file.seek(500_000)
            byte = file.read(1)[0]
            file.seek(500_000)
            file.write(bytes([byte ^ 1]))
        self.assertIn("has the checksum", self.pull(code=3)[1])
        self.pull()

    def test_a_split_model_comes_whole_and_what_lies_beside_it_stays(self):
        names = ["Q8_0/m-Q8_0-00001-of-00002.gguf", "Q8_0/m-Q8_0-00002-of-00002.gguf"]
        beside = ["mtp-m-Q8_0.gguf", "mmproj-F16.gguf", "imatrix.gguf", "README.md"]
        hub = self.open({name: self.data[:100_000] + name.encode() for name in names + beside})
        hub.page = 2
        self.pull(code=2)  # two halves of nothing are no model
        self.assertEqual({name for name, _ in hub.ranges}, set(names))

    def test_a_checkpoint_comes_with_its_small_files(self):
        files = {path.name: path.read_bytes() for path in NANO.iterdir() if path.suffix in (".json", ".safetensors")}
        self.open({**files, "README.md": b"read me"}, CHECKPOINT)
        path, _ = self.pull(model="hf:" + CHECKPOINT)
        self.assertEqual({each.name for each in pathlib.Path(path).iterdir()},
                         {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"})

    def test_a_quantisation_that_is_not_there_comes_with_those_that_are(self):
        self.open({"m-Q8_0.gguf": b"", "m-Q4_0.gguf": b"", "mmproj-F16.gguf": b""})
        said = self.pull(model="hf:" + REPOSITORY + ":Q6_K", code=2)[1]
        self.assertIn("(it has m-Q4_0.gguf, m-Q8_0.gguf, mmproj-F16.gguf is a vision projector)", said)

    def test_a_disk_that_is_too_small_is_seen_before_the_first_byte(self):
        hub = self.open()
        run = self.run_on_disk(self.home, "1m", f"exec {POTLUCK} pull hf:{REPOSITORY}")
        self.assertEqual(run.returncode, 3, run.stderr)
        self.assertRegex(run.stderr, r"needs 3.42 MB, its disk has 1.05 MB free; make room there")
        self.assertEqual(hub.sent, 0)


class Lies(Pulls):
    """Each is one clear line, and nothing is left that would pass for a model."""

    def refused(self, code, *parts):
        said = self.pull(code=code)[1]
        line = said.splitlines()[-1]
        print(line)
        for part in parts:
            self.assertIn(part, line)
        self.assertEqual(list(self.home.rglob("*.gguf")), [])
        return said

    @staticmethod
    def body(status, headers, data):
        def lie(handler, *_):
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            for _ in range(200):
                handler.wfile.write(data)
            handler.close_connection = True
            return True

        return lie

    def test_a_web_page(self):
        hub = self.open()
        hub.lie = self.body(200, {"Content-Type": "text/html; charset=utf-8", "Connection": "close"}, b"<html>")
        self.refused(2, hub.store_url, "answers with a web page; is a login page or a proxy in between?")

    def test_another_range(self):
        hub = self.open()
        hub.lie = self.body(206, {"Content-Range": f"bytes 5-9/{len(self.data)}", "Connection": "close"}, b"x")
        self.refused(2, "sends \"bytes 5-9/3417376\" where \"bytes 0-3417375/…\" was asked for")

    def test_the_whole_file_where_the_rest_was_asked_for(self):
        hub = self.open()
        self.kill_when(hub, 100_000)
        hub.lie = self.body(200, {"Connection": "close"}, b"x" * 1000)
        self.refused(2, "sends the whole file where a part was asked for (status 200)")

    def test_an_answer_without_end(self):
        hub = self.open()
        size = len(self.data)
        hub.lie = self.body(206, {"Content-Range": f"bytes 0-{size - 1}/{size}", "Connection": "close"}, bytes(1 << 20))
        self.refused(2, "sends more than the 3417376 bytes that were asked for")

    def test_answers_without_a_byte(self):
        hub = self.open()
        hub.lie = lambda handler, name, begin, end: self.body(
            206, {"Content-Range": f"bytes {begin}-{end - 1}/{len(self.data)}", "Content-Length": "0"}, b"")(handler)
        self.refused(3, "m-Q8_0.gguf: the answer is too short, 6 times in a row; what has arrived is kept")

    def test_too_many_requests(self):
        hub = self.open()
        hub.refusals = [(429, {"Retry-After": "1"}), (503, {})]
        self.assertIn("too many requests (status 429); trying again in 1 s", self.pull()[1])
        hub.refusals = [(429, {"Retry-After": "7200"})]
        said = self.pull(code=3)[1]
        self.assertIn("too many requests (status 429), and it wants no new try for 7200 s", said)

    def test_a_repository_that_is_not_for_us(self):
        self.open(token="hf_secret")
        self.refused(2, "(status 401); accept its terms in a browser and set HF_TOKEN, or mend the name")

    def test_a_repository_that_is_not_there(self):
        self.open(repository="owner/other")
        self.refused(2, "has no hf:owner/some-GGUF (status 404)")

    def test_a_hub_that_is_not_there(self):
        self.env["HF_ENDPOINT"] = "http://127.0.0.1:1"
        said = self.refused(3, "Couldn't connect to server, 6 times in a row")
        self.assertEqual(said.count("Couldn't connect to server; trying again in "), 5, said)

    def test_settings_that_are_none(self):
        self.env["HF_ENDPOINT"] = "huggingface.co"
        self.refused(2, "HF_ENDPOINT is huggingface.co, which is no address; set it to one like https://huggingface.co")
        self.open()
        self.env["HF_TOKEN"] = "hf_x\r\nHost: elsewhere"
        self.refused(2, "HF_TOKEN holds a space or a line break; set it to the token alone")

    def test_a_list_that_is_none(self):
        hub = self.open()
        hub.entry = lambda name: {"type": "file", "path": name, "size": 5, "oid": "nothing"}
        self.refused(2, "has the checksum \"nothing\"")
        hub.entry = lambda name: {"type": "file", "path": "../../m-Q8_0.gguf", "size": 5, "oid": "a" * 40}
        self.refused(2, "leads out of the repository")
        hub.entry = lambda name: {"type": "file", "path": name, "size": -5, "oid": "a" * 40}
        self.refused(2, "\"size\" is -5, not a number of bytes")

    def test_redirects_in_a_circle(self):
        hub = self.open()
        hub.lie = lambda handler, name, *_: hub.reply(handler, 302, Location=handler.path) or True
        self.refused(2, "redirects more than 8 times")


class Partial(Pulls):
    @staticmethod
    def disk_bytes(path):
        return os.stat(path).st_blocks * 512

    def test_a_partial_copy_has_its_layers_and_takes_their_room(self):
        hub = self.open()
        path, _ = self.pull("--layers", "2:4")
        stage = self.stage_bytes(2, 3)
        print(f"layers 2:4: {hub.sent} bytes moved for {stage}, {hub.sent / stage:.4f}")
        self.assertLessEqual(hub.sent, SLACK * stage)
        self.assertLessEqual(self.disk_bytes(path), 1.1 * stage)  # whole blocks of the disk
        self.assertEqual(os.stat(path).st_size, len(self.data))
        text = potluck("inspect", "-m", "hf:" + REPOSITORY, env=self.env)[0]
        self.assertIn("partial: layers 2:4 of 6\n", text)
        self.assertEqual(list(self.folder().glob("snapshots/*")), [])

    def test_models_lie_where_other_programs_look_for_them(self):
        self.open()
        home = str(self.home / "home")
        for variables, folder in (({"XDG_CACHE_HOME": str(self.home / "caches")}, "caches/huggingface/hub"),
                                  ({"XDG_CACHE_HOME": "caches"}, "home/.cache/huggingface/hub"),
                                  ({"XDG_CACHE_HOME": "", "HF_HUB_CACHE": ""}, "home/.cache/huggingface/hub"),
                                  ({"XDG_CACHE_HOME": "/nowhere", "HF_HUB_CACHE": str(self.home / "hub")}, "hub")):
            with self.subTest(variables=variables):
                path, _ = self.pull(**{"HF_HOME": "", "HOME": home, **variables})
                self.assertTrue(path.startswith(f"{self.home}/{folder}/models--"), path)

    def test_a_copy_that_grows_fetches_what_is_new(self):
        hub = self.open()
        self.pull("--layers", "2:4")
        first = hub.sent
        path, said = self.pull("--layers", "1:4", "--head")
        self.assertIn("partial: layers 1:4 of 6 and the head", said)
        self.assertLessEqual(hub.sent, SLACK * self.stage_bytes(1, 2, 3, head=True))
        self.assertGreater(hub.sent, first)
        self.pull("--layers", "0:6", "--head")
        self.assertEqual(pathlib.Path(path).read_bytes(), self.data)

    def test_a_line_that_is_cut_at_twenty_places_goes_on(self):
        hub = self.open()
        stage = self.stage_bytes(3, 4, 5)
        hub.cuts = [stage * (i + 1) // (PLACES + 1) for i in range(PLACES)]
        self.pull("--layers", "3:6")
        print(f"layers 3:6, cut at {PLACES} places: {hub.sent / stage:.4f} of their bytes moved")
        self.assertEqual(hub.cuts, [])
        self.assertLessEqual(hub.sent, SLACK * stage)

    def test_a_pull_that_is_killed_at_twenty_places_goes_on(self):
        hub = self.open()
        stage = self.stage_bytes(3, 4, 5)
        for i in range(PLACES):
            self.kill_when(hub, stage * (i + 1) // (PLACES + 1), "--layers", "3:6")
        path, _ = self.pull("--layers", "3:6")
        print(f"layers 3:6, killed at {PLACES} places: {hub.sent / stage:.4f} of their bytes moved")
        self.assertLessEqual(hub.sent, SLACK * stage)
        self.pull("--layers", "0:6", "--head")
        self.assertEqual(pathlib.Path(path).read_bytes(), self.data)

    def test_a_byte_that_changed_on_the_disk_is_found_and_fetched_anew(self):
        hub = self.open()
        path, _ = self.pull("--layers", "5:6")
        first = hub.sent
        place = len(self.data) - 60_000  # within the last layer
        with open(path, "r+b") as file:
            file.seek(place)
            file.write(bytes([self.data[place] ^ 4]))
        said = self.pull("--layers", "5:6")[1]
        self.assertIn("1 piece has changed on this disk since it came; fetching anew", said)
        self.assertLess(hub.sent - first, 100_000)
        with open(path, "rb") as file:
            file.seek(place)
            self.assertEqual(file.read(1)[0], self.data[place])

    def test_a_byte_that_changed_on_the_disk_is_found_by_whoever_loads_it(self):
        self.open()
        path, _ = self.pull("--layers", "0:6", "--head")
        place = len(self.data) - 60_000
        for at in (place, 40):  # of a layer, and of the header
            copy = bytearray(self.data)
            copy[at] ^= 4
            pathlib.Path(path).write_bytes(copy)
            said = potluck("run", "-m", path, "-p", "x", "--raw", code=3)[1]
            self.assertRegex(said, rf"{path}: bytes \d+ to \d+ have changed on this disk since they came; fetch them anew by the "
                                   rf"potluck pull that they came with, or remove the file and {path}.partial")  # fmt: skip
        self.pull("--layers", "0:6", "--head")
        potluck("inspect", "-m", path)

    def test_a_tensor_that_is_not_there_is_named(self):
        self.open()
        self.pull("--layers", "2:6", "--head")
        said = potluck("run", "-m", "hf:" + REPOSITORY, "-p", "x", "--raw", code=2, env=self.env)[1]
        self.assertRegex(said, r"tensor blk\.\d\.\S+ is not in this partial copy; fetch its layer too with "
                               r"potluck pull --layers")

    def test_workers_with_their_layers_alone_answer_as_one_with_all(self):
        self.open()
        near, _ = self.pull("--layers", "0:2", "--head", "--to", str(self.home / "near"))
        far, _ = self.pull("--layers", "2:6", "--to", str(self.home / "far"))
        question = ["-p", "123456", "--raw", "--json", "-s", "7", "-n", "64"]
        whole = json.loads(potluck("run", "-m", str(DEMO), *question)[0])
        with Running("worker", "-m", far, "--listen", "tcp://127.0.0.1:*") as worker:
            plan = self.home / "plan.yaml"
            plan.write_text(plan_text(None, (None, "0:2"), (worker.wait_for_endpoint(), "2:6")))
            parts = json.loads(potluck("run", "-m", near, "--plan", str(plan), *question)[0])
        self.assertEqual(parts["ids"], whole["ids"])

    def test_a_disk_that_is_too_small_for_the_model_takes_its_layers(self):
        hub = self.open()
        small = self.home / "small"
        small.mkdir()
        # The disk lives as long as the shell: the second pull says whether the first one's copy is there.
        run = self.run_on_disk(small, "2m", f"{POTLUCK} pull hf:{REPOSITORY} --layers 2:4 --to {small} && "
                                            f"exec {POTLUCK} pull hf:{REPOSITORY} --layers 0:6 --to {small}")  # fmt: skip
        self.assertIn("partial: layers 2:4 of 6", run.stderr)
        self.assertEqual(run.returncode, 3, run.stderr)
        self.assertRegex(run.stderr, r"small needs 2.06 MB, its disk has [0-9.]+ [MK]B free; make room there")
        self.assertLessEqual(hub.sent, SLACK * self.stage_bytes(2, 3))

    def test_layers_that_are_none(self):
        self.open()
        for layers, said in {"4": "is no range of layers; give a half-open range like 4:9", "5:3": "is no range",
                             "x:3": "is no range", "2:7": "the model has layers 0:6, not 2:7"}.items():
            self.assertIn(said, self.pull("--layers", layers, code=2)[1])

    def test_a_list_that_is_damaged_is_refused_with_its_line(self):
        self.open()
        path = pathlib.Path(self.pull("--layers", "2:3")[0])
        listed = path.with_name(path.name + ".partial")
        text = listed.read_text()
        for wrong, said in {
            text.replace("size 3417376", "size 3417377"): "has 3417376 bytes, its list is for 3417377",
            text.replace("potluck-partial 1", "potluck-partial 2"): ".partial:1: is not \"potluck-partial 1\"",
            text + "piece 3417000 4000 00\n": "the piece reaches past the file's 3417376 bytes",
            text + "piece 5 5 00\n": "the piece overlaps another",
            text + "piece five 5 00\n": "\"five\" is no number",
            text + "drop 5 5\n": "there is no such piece to drop",
        }.items():
            listed.write_text(wrong)
            self.assertIn(said, potluck("inspect", "-m", str(path), code=2)[1])
        listed.write_text(text + "piece 3417000 4")  # its end never came
        potluck("inspect", "-m", str(path))

    def test_a_copy_of_another_file_is_left_alone(self):
        self.open()
        self.pull("--layers", "2:3", "--to", str(self.home / "here"))
        other = bytearray(self.data)
        other[-1] ^= 1
        self.open({"m-Q8_0.gguf": bytes(other)})
        said = self.pull("--layers", "2:3", "--to", str(self.home / "here"), code=2)[1]
        self.assertIn("is a partial copy of sha256:", said)
        (self.home / "m-Q8_0.gguf").write_bytes(self.data)
        said = self.pull("--layers", "2:3", "--to", str(self.home), code=2)[1]
        self.assertIn("is there already, and no partial copy; name another folder with --to", said)

    def test_a_checkpoint_is_copied_by_layers_too(self):
        files = {path.name: path.read_bytes() for path in NANO.iterdir() if path.suffix in (".json", ".safetensors")}
        hub = self.open(files, CHECKPOINT)
        path, said = self.pull("--layers", "1:3", model="hf:" + CHECKPOINT)
        self.assertIn("partial: layers 1:3 of 5", said)
        size = struct.unpack("<Q", files["model.safetensors"][:8])[0]
        entries = json.loads(files["model.safetensors"][8:8 + size])
        stage = 8 + size + len(files["config.json"]) + len(files["generation_config.json"]) + sum(
            entry["data_offsets"][1] - entry["data_offsets"][0] for name, entry in entries.items()
            if ".layers.1." in name or ".layers.2." in name)
        print(f"checkpoint's layers 1:3: {hub.sent / stage:.4f} of their bytes moved")
        self.assertLessEqual(hub.sent, SLACK * stage)
        self.assertIn("partial: layers 1:3 of 5", potluck("inspect", "-m", path)[0])

    def test_layers_are_copied_from_a_file_that_is_mounted_here(self):
        said = self.pull("--layers", "2:4", "--to", str(self.home / "here"), model=str(DEMO))[1]
        self.assertIn("partial: layers 2:4 of 6", said)
        copy = str(self.home / "here/sudoku6.gguf")
        self.pull("--layers", "2:3", "--to", str(self.home / "there"), model=copy)
        said = self.pull("--layers", "4:5", "--to", str(self.home / "there"), model=copy, code=2)[1]
        self.assertIn("are not in this copy; copy from one that has the layers", said)


class FromPeers(Pulls):
    """Layers from another machine that shares its model, over a line that cuts, changes and counts what passes."""

    def setUp(self):
        super().setUp()
        there = self.home / "there"
        self.there = {"XDG_CONFIG_HOME": str(there)}
        self.here = {"XDG_CONFIG_HOME": str(self.home / "config")}
        self.key = potluck("key", env=self.here)[0].split()[0]
        self.their_key = potluck("key", env=self.there)[0].split()[0]

    def share(self, model, *flags):
        run = Running("share", "-m", str(model), "--listen", "tcp://127.0.0.1:*", *flags, env=self.there)
        run.__enter__()
        self.addCleanup(run.__exit__)
        relay = CutRelay(run.wait_for_endpoint())
        self.addCleanup(relay.__exit__)
        return relay

    def fetch(self, relay, *flags, code=0):
        return potluck("pull", relay.endpoint, "--key", self.their_key, "--to", str(self.home / "copy"), *flags,
                       env=self.here, code=code)

    def test_a_stage_comes_from_a_peer(self):
        relay = self.share(DEMO, "--allow", self.key)
        path, said = self.fetch(relay, "--layers", "1:5")
        stage = self.stage_bytes(1, 2, 3, 4)
        print(f"layers 1:5 of a peer: {relay.moved / stage:.4f} of their bytes moved")
        self.assertLessEqual(relay.moved, SLACK * stage)
        self.assertIn("partial: layers 1:5 of 6", said)
        self.fetch(relay, "--layers", "0:6", "--head")
        self.assertEqual(pathlib.Path(path.strip()).read_bytes(), self.data)

    def test_a_line_that_is_cut_at_twenty_places_goes_on(self):
        relay = self.share(DEMO, "--allow", self.key)
        stage = self.stage_bytes(1, 2, 3, 4)
        relay.cuts = [stage * (i + 1) // (PLACES + 1) for i in range(PLACES)]
        path, _ = self.fetch(relay, "--layers", "1:5")
        print(f"layers 1:5 of a peer, cut at {PLACES} places: {relay.moved / stage:.4f} of their bytes moved")
        self.assertEqual(relay.cuts, [])
        self.assertLessEqual(relay.moved, SLACK * stage + PLACES * ANSWER)  # one that is cut is lost
        self.fetch(relay, "--layers", "0:6", "--head")
        self.assertEqual(pathlib.Path(path.strip()).read_bytes(), self.data)

    def test_a_pull_that_is_killed_at_twenty_places_goes_on(self):
        relay = self.share(DEMO, "--allow", self.key)
        stage = self.stage_bytes(1, 2, 3, 4)
        for i in range(PLACES):
            relay.hold_at = stage * (i + 1) // (PLACES + 1)
            with Running("pull", relay.endpoint, "--key", self.their_key, "--to", str(self.home / "copy"), "--layers", "1:5",
                         env=self.here) as run:  # fmt: skip
                wait_until(lambda: relay.holding.is_set() or run.process.poll() is not None, "the peer's last byte")
                self.assertIsNone(run.process.poll(), run.stderr())
                wait_until(lambda: self.idle(run.process.pid), "the pull to have taken what came")
            relay.hold_at = None
            relay.holding.clear()
        path, _ = self.fetch(relay, "--layers", "1:5")
        print(f"layers 1:5 of a peer, killed at {PLACES} places: {relay.moved / stage:.4f} of their bytes moved")
        self.assertLessEqual(relay.moved, SLACK * stage + PLACES * (ANSWER + HELLO))
        self.fetch(relay, "--layers", "0:6", "--head")
        self.assertEqual(pathlib.Path(path.strip()).read_bytes(), self.data)

    def test_a_byte_that_changes_on_the_way_is_fetched_anew(self):
        relay = self.share(DEMO, "--allow", self.key)
        relay.flip_at = 700_000
        path, _ = self.fetch(relay, "--layers", "0:6", "--head")
        self.assertIsNone(relay.flip_at)
        self.assertEqual(pathlib.Path(path.strip()).read_bytes(), self.data)

    def test_a_machine_that_was_not_let_in_gets_nothing(self):
        relay = self.share(DEMO)
        said = self.fetch(relay, "--layers", "1:2", code=3)[1]
        print(said)
        self.assertLess(relay.moved, 2000)

    def test_a_partial_copy_is_shared_as_far_as_it_goes(self):
        first = self.share(DEMO, "--allow", self.key)
        copy = self.fetch(first, "--layers", "1:3")[0].strip()
        relay = self.share(copy, "--allow", self.key)
        arguments = ("pull", relay.endpoint, "--key", self.their_key, "--to", str(self.home / "third"))
        potluck(*arguments, "--layers", "2:3", env=self.here)
        said = potluck(*arguments, "--layers", "2:4", env=self.here, code=2)[1]
        self.assertIn("are not in this copy; copy from one that has the layers", said)


if __name__ == "__main__":
    unittest.main()
