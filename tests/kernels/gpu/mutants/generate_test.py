"""The generator of mutants on a small kernel: what it finds, what it leaves alone, and what it writes."""
import pathlib
import tempfile
import unittest

import generate
import operators
from device_code import DeviceCode

KERNEL = """// A block adds up.
#include "kernels/gpu/device/gpu.h"

GPU_DEVICE float half_of(float x) {
  return x * 0.5f;
}

GPU_DEVICE float point_of(int i) {
  return kTable.points[i];
}

GPU_KERNEL(add_up, AddUp, 64) {
  GPU_SHARED(float, part, [64 / 32]);
  float values[2] = {}, sum = 0;
  if (thread() < a.n) sum = a.x[thread()];
  if (lane() == 0) part[warp()] = warp_sum(sum);
  barrier();
  for (int i = 0; i < a.n; ++i) values[i % 2] += as<const float>(a.x)[i];
  const int most = a.n > 2 ? a.n : 2;
  a.out[block_x()] = half_of(part[0] + part[1] - most);
}
"""


def names(text):
    code = DeviceCode(text)
    return [f"{function.name}: {mutant.what}" for function in code.functions
            for mutant in operators.all_of(code, function)]


class Mutants(unittest.TestCase):
    def test_each_kind_of_fault_is_found(self):
        found = names(KERNEL)
        for name in ("barrier() removed", "if (thread() < a.n) never", "i < a.n becomes i <= a.n",
                     "i < a.n becomes i + 1 < a.n", "i % 2 becomes i / 2", "warp() becomes (thread() / 64)",
                     "part[warp()] = warp_sum(sum) removed", "thread() becomes lane()",
                     "block_x() becomes block_y()", "part[0] + part[1] - most becomes part[0] + part[1]"):
            self.assertIn(f"add_up: {name}", found)
        self.assertIn("half_of: x * 0.5f becomes x", found)

    def test_what_a_compiler_must_know_and_what_cannot_matter_is_left_alone(self):
        found = "\n".join(names(KERNEL))
        self.assertNotIn("64 /", found)  # an extent
        self.assertNotIn("lane() == 0) always", found)  # all lanes have the sum
        self.assertNotIn("a.n >= 2", found)  # the greater of two that are the same
        self.assertNotIn("values[1]", found)
        self.assertNotIn("kTable", found)  # no size

    def test_only_one_place_changes_for_a_mutant_and_lines_stay(self):
        with tempfile.TemporaryDirectory() as folder:
            root, out = pathlib.Path(folder) / "source", pathlib.Path(folder) / "out"
            path = "kernels/gpu/exact/add_up.cu"
            (root / path).parent.mkdir(parents=True)
            (root / path).write_text(KERNEL)
            source = generate.Source(root, path)
            mutants = [mutant for _, mutant, _ in generate.name_mutants(source)]
            generate.write_copy(source, list(enumerate(mutants)), root, out)
            copy = (out / path).read_text()
        for number in range(len(mutants)):
            self.assertEqual(copy.count(f"is({number}) ?"), 1)
        self.assertEqual(copy.split("\n", 2)[2].count("\n"), KERNEL.count("\n"))
        self.assertEqual(copy.count("("), copy.count(")"))

    def test_a_name_stays_when_the_function_moves(self):
        moved = KERNEL.replace("GPU_KERNEL", "GPU_DEVICE int three() {\n  return 1 + 2;\n}\n\nGPU_KERNEL")
        self.assertLess(set(names(KERNEL)), set(names(moved)))

    def test_what_a_template_calls_is_found_in_every_file_that_its_kernel_includes(self):
        includes = '#include "kernels/gpu/fast/around.h"\n'
        files = {"around.h": "template <typename Value>\nGPU_DEVICE int around(Value x) {\n  return inner(x) + 1;\n}\n",
                 "one.h": includes + "GPU_DEVICE int inner(int x) {\n  return x + 1;\n}\n",
                 "two.h": includes + "GPU_DEVICE int inner(float x) {\n  return x * 2;\n}\n",
                 "both.cu": '#include "kernels/gpu/fast/one.h"\n#include "kernels/gpu/fast/two.h"\n'
                            "GPU_KERNEL(both, Both, 64) {\n  a.out[0] = around(1) + around(1.0f);\n}\n"}  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            root, sources = pathlib.Path(folder), {}
            for name, text in files.items():
                path = f"kernels/gpu/fast/{name}"
                generate.write(root / path, text)
                sources[path] = generate.Source(root, path)
            reached = generate.find_kernels(sources)
        for name in files:
            path = f"kernels/gpu/fast/{name}"
            self.assertEqual([reached[path, each.first] for each in sources[path].functions], [{"both"}], name)


if __name__ == "__main__":
    unittest.main()
