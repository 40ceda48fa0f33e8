"""Plants one of each fault in a small tree and sees tidy name it."""
import pathlib
import tempfile

import tidy

FAULTS = {
    "kernels/up.cc": ('#include "shard/stage.h"\n', "not below it"),
    "shard/zmq_here.cc": ("#include <zmq.hpp>\n", "lives in transport/zmq"),
    "topology/long.cc": ("// x\n" * 501, "at most 500"),
    "topology/wide.cc": ("// " + "x" * 100 + "\n", "at most 100"),
    "topology/big.cc": ("void f() {\n" + "  g();\n" * 80 + "}\n", "a function of 82 lines"),
    "shard/clock.cc": ("auto t = std::chrono::steady_clock::now();\n", "a system clock"),
}


def findings_of(path, text, built=True):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text(text)
        name = pathlib.Path(path).name if built else "other.cc"
        (root / path).parent.joinpath("CMakeLists.txt").write_text(f"add_library(x {name})\n")
        return list(tidy.check_tree(root))


for fault_path, (fault_text, expected) in FAULTS.items():
    found = findings_of(fault_path, fault_text)
    assert len(found) == 1 and expected in found[0], (fault_path, found)
assert "not built" in findings_of("shard/dead.cc", "int x;\n", built=False)[0]
assert findings_of("shard/fine.cc", '#include "kernels/noise/philox.h"\nint x;\n') == []
print(f"{len(FAULTS) + 1} planted faults named")
