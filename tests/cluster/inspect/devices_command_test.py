"""What `potluck devices` says on this machine, whether it has a card or not."""
import json
import subprocess
import unittest

from rings import PATIENCE, POTLUCK


def devices(*flags):
    done = subprocess.run([POTLUCK, "devices", *flags], capture_output=True, text=True, timeout=2 * PATIENCE, check=True)
    return done.stdout


class Devices(unittest.TestCase):
    def test_each_has_a_line_and_each_kind_is_named(self):
        listed = json.loads(devices("--json"))["devices"]
        lines = devices().splitlines()
        self.assertEqual([line.split()[0].rstrip(":") for line in lines], [each["device"] for each in listed])
        self.assertEqual([each["device"].split(":")[0] for each in listed if each["device"].endswith(("cpu", "cuda", "hip", ":0"))],
                         ["cpu", "cuda", "hip"])

    def test_the_cpu_is_there_with_its_memory(self):
        cpu = json.loads(devices("--json"))["devices"][0]
        self.assertTrue(cpu["usable"])
        self.assertIn(cpu["instructions"], ("amx", "avx512", "avx2", "portable"))
        self.assertLess(0, cpu["bytes_free"])
        self.assertLess(cpu["bytes_free"], cpu["bytes_total"])

    def test_what_cannot_be_used_says_why(self):
        for each in json.loads(devices("--json"))["devices"]:
            with self.subTest(device=each["device"]):
                self.assertEqual(each["usable"], "problem" not in each)
                self.assertTrue(each.get("problem", "usable"))


if __name__ == "__main__":
    unittest.main()
