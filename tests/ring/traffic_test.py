"""What a denoising step moves: hops of the canvas' activations, and next to nothing else."""
import unittest

from rings import answer

HIDDEN, CANVAS, STAGES = 2816, 256, 4
REAL_HOP = "synthetic:nano?layers=4&hidden=2816&canvas=256&vocab=512&seed=1"


class Traffic(unittest.TestCase):
    def test_a_step_is_one_hop_of_the_canvas_over_each_boundary(self):
        links = answer("--stages", str(STAGES), "-n", "256", "--steps", "2", model=REAL_HOP)["links_a_step"]
        hop = HIDDEN * CANVAS * 2
        self.assertEqual([link["payload_bytes"] for link in links[1:-1]], [hop] * (STAGES + 1))
        self.assertEqual((links[0]["from"], links[-1]["to"]), ("coordinator", "coordinator"))
        rest = sum(link["payload_bytes"] + link["header_bytes"] for link in links) - (STAGES + 1) * hop
        print(f"a step of {STAGES} stages: {STAGES + 1} hops of {hop} bytes, and {rest} bytes of everything else")
        self.assertLessEqual(rest, 8 * 1024)


if __name__ == "__main__":
    unittest.main()
