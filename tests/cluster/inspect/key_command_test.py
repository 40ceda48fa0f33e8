"""potluck key: one pair of keys a machine, its secret one nobody else's to read."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from rings import POTLUCK, potluck

USAGE, BROKEN = 2, 3
WORKER = ("worker", "-m", "synthetic:nano?layers=4&seed=3", "--listen", "tcp://127.0.0.1:*")


class KeyCommand(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.settings = pathlib.Path(folder.name, "deep/settings")
        self.env = {"XDG_CONFIG_HOME": str(self.settings)}
        self.file = self.settings / "potluck/key"

    def key(self, *arguments, code=0):
        return potluck("key", *arguments, code=code, env=self.env)

    def refused(self, code, parts, *arguments):
        said = potluck(*arguments, code=code, env=self.env)[1]
        self.assertEqual(said.count("\n"), 1, said)
        for part in parts:
            self.assertIn(part, said)

    def test_the_first_call_makes_it_and_the_next_shows_the_same(self):
        first, said = self.key()
        self.assertRegex(first, r"\A[0-9a-f]{64}\n\Z")
        self.assertIn(str(self.file), said)
        self.assertEqual(self.key(), (first, ""))
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.file.parent.stat().st_mode & 0o777, 0o700)
        self.assertNotIn(first.strip(), self.file.read_text())
        self.assertEqual([each.name for each in self.file.parent.iterdir()], ["key"])

    def test_json_says_where_it_lies_and_whether_it_is_new(self):
        for made in (True, False):
            found = json.loads(self.key("--json")[0])
            self.assertEqual((found["file"], found["made"]), (str(self.file), made))
            self.assertEqual(found["key"], self.key()[0].strip())

    def test_a_new_one_replaces_the_old_by_force_alone(self):
        first = self.key("--new")[0]
        self.refused(USAGE, ["holds a key already", "--new --force"], "key", "--new")
        self.refused(USAGE, ["--force goes with --new"], "key", "--force")
        self.assertEqual(self.key()[0], first)
        second = self.key("--new", "--force")[0]
        self.assertNotEqual(second, first)
        self.assertEqual(self.key()[0], second)

    def test_who_starts_at_once_gets_the_same(self):
        env = {**os.environ, **self.env}
        runs = [subprocess.Popen([POTLUCK, "key"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
                for _ in range(8)]  # fmt: skip
        self.assertEqual(len({run.communicate()[0] for run in runs}), 1)

    def test_a_file_that_others_can_read_is_refused(self):
        self.key()
        for mode in (0o644, 0o640, 0o604, 0o660):
            self.file.chmod(mode)
            for arguments in (("key",), WORKER):
                self.refused(USAGE, ["can be read by others", "chmod 600"], *arguments)

    def test_a_damaged_file_is_refused_and_kept(self):
        whole = (self.key(), self.file.read_text())[1]
        secret = re.search(r"^[0-9a-f]{64}$", whole, re.M)[0]
        for text in ("", "\n", secret[1:] + "\n", secret + "0\n", secret.upper() + "\n", f"{secret}\n{secret}\n",
                     "x" * 100_000, "\0" * 64):  # fmt: skip
            self.file.write_text(text)
            for arguments in (("key",), WORKER):
                self.refused(USAGE, [f"{self.file} is damaged", "--new --force"], *arguments)
            self.assertEqual(self.file.read_text(), text)
        self.file.write_text(whole)
        self.key()

    def test_what_is_no_file_is_refused(self):
        self.file.parent.mkdir(parents=True)
        os.mkfifo(self.file, 0o600)
        self.refused(USAGE, ["is no file"], "key")
        self.file.unlink()
        self.file.mkdir()
        self.refused(USAGE, ["is no file"], "key")

    def test_a_folder_that_cannot_be_is_named(self):
        self.settings.parent.mkdir(parents=True)
        self.settings.write_text("a file")
        self.refused(BROKEN, [str(self.settings), "XDG_CONFIG_HOME"], "key")
        none = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CONFIG_HOME")}
        done = subprocess.run([POTLUCK, "key"], env=none, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (BROKEN, 1))
        self.assertIn("no place for this machine's key", done.stderr)

    def test_keys_that_are_none_are_refused_where_they_are_given(self):
        for key in ("", "abc", "Z" * 64, "0" * 63, "0" * 65):
            self.refused(USAGE, [f"--allow {key} is no key", "64 digits"], *WORKER, "--allow", key)
        self.refused(USAGE, ["--allow is for locked links"], *WORKER, "--allow", "0" * 64, "--insecure-plaintext")


if __name__ == "__main__":
    unittest.main()
