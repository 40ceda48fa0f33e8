"""A ring of timed devices takes as long as it is told to, and its messages are as large as real ones."""
import json
import unittest

from rings import SLOWNESS, potluck

# The released model's canvas, hidden size and layers, so that hops are real; all else is small.
MODEL = ("synthetic:released?heads=2&kv_heads=1&full_kv_heads=1&head_dim=32&full_head_dim=64&intermediate=64"
         "&expert_intermediate=32&experts=4&experts_used=1&vocab=512")  # fmt: skip
# So slow that what is not told, as what a sanitizer adds, is the smaller part.
SPEEDS = {name: ms * SLOWNESS for name, ms in {"sliding": 2, "full": 4, "head": 20, "message": 1}.items()}
STEPS = 4


def ring(*arguments, code=0, **speeds):
    env = {"POTLUCK_TIMED": ",".join(f"{name}={value}" for name, value in speeds.items())}
    out, err = potluck("run", "-m", MODEL, "-p", "hello", "--raw", "--json", "-n", "256", "--steps", str(STEPS), "-c",
                       "512", *arguments, env=env, code=code)  # fmt: skip
    return json.loads(out) if code == 0 else err


class Timed(unittest.TestCase):
    def test_a_step_takes_the_time_of_its_layers_head_and_messages(self):
        expected = 25 * SPEEDS["sliding"] + 5 * SPEEDS["full"] + SPEEDS["head"] + 4 * SPEEDS["message"]
        found = ring("--stages", "3", **SPEEDS)
        self.assertEqual(found["steps"], [STEPS])
        self.assertGreaterEqual(min(found["step_ms"]), expected)
        slower = ring("--stages", "3", **{name: 3 * value for name, value in SPEEDS.items()})
        self.assertGreaterEqual(min(slower["step_ms"]), 3 * expected)
        self.assertGreater(min(slower["step_ms"]), 1.5 * min(found["step_ms"]))
        print(f"told {expected} ms a step, took {found['step_ms']}; told {3 * expected}, took {slower['step_ms']}")

    def test_each_link_carries_a_whole_canvas(self):
        links = ring("--stages", "2", **SPEEDS)["links_a_step"]
        self.assertEqual([link["payload_bytes"] for link in links], [256 * 4, *[256 * 2816 * 2] * 3, 256 * 12])

    def test_a_wrong_speed_is_refused(self):
        self.assertIn("a timed device has \"slidng=2\"", ring("--stages", "2", code=2, slidng=2))


if __name__ == "__main__":
    unittest.main(verbosity=2)
