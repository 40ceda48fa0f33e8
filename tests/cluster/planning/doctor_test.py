"""doctor on this machine alone: what it has, how fast it is, and what stands in the way."""
import json
import os
import tempfile
import unittest

from rings import NANO, potluck


class Doctor(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.env = {"XDG_CACHE_HOME": folder.name}

    def report(self, *words, code=0):
        return json.loads(potluck("doctor", "--json", *words, code=code, env=self.env)[0])

    def test_a_machine_says_what_it_has_and_how_fast_it_is(self):
        report = self.report("-m", NANO)
        self.assertEqual([device["device"] for device in report["devices"]], ["cpu"])
        for part in ("sliding_layer_ms", "full_layer_ms", "head_ms", "message_ms"):
            self.assertGreater(report["devices"][0]["speed"][part], 0, part)
        self.assertEqual(report["devices"][0]["carries"][NANO], {"beside_head": 5, "layers": 5, "of": 5})
        self.assertRegex(report["key"], "^[0-9a-f]{64}$")
        self.assertGreaterEqual(report["cpu"]["cores"], 1)
        self.assertGreater(report["disk"]["bytes_free"], 0)
        text = potluck("doctor", "-m", NANO, env=self.env)[0]
        for word in ("memory ", "disk ", "key ", f"all of {NANO} (5 layers and the head)", "a sliding layer"):
            self.assertIn(word, text)

    def test_what_was_measured_is_known_the_next_time_unless_it_shall_be_fresh(self):
        first = self.report("-m", NANO)["devices"][0]
        again = self.report("-m", NANO)["devices"][0]
        self.assertNotIn("measured_on", first)
        self.assertIn("measured_on", again)
        self.assertEqual(again["speed"], first["speed"])
        self.assertNotIn("measured_on", self.report("-m", NANO, "--fresh")["devices"][0])
        self.assertNotIn("measured_on", self.report("-m", NANO, "-t", "1")["devices"][0])

    def test_a_model_that_is_not_there_is_a_problem_with_its_fix(self):
        report = self.report("-m", "hf:nobody/nothing:Q4_K_M", code=1)
        self.assertFalse(report["model"]["there"])
        self.assertEqual([each["severity"] for each in report["findings"]], ["problem"])
        self.assertIn("nobody/nothing", report["findings"][0]["what"] + report["findings"][0]["fix"])
        text = potluck("doctor", "-m", os.devnull + "/none.gguf", code=1, env=self.env)[0]
        self.assertIn("problem: the model is not here", text)
        self.assertIn("  fix: ", text)


if __name__ == "__main__":
    unittest.main()
