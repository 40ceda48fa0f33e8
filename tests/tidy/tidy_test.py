"""Plants one of each fault in a small tree and sees tidy and rooms name it."""
import pathlib
import tempfile

import rooms
import tidy

OPENING = "// Adds two numbers and gives the sum.\n"
FAULTS = {
    "kernels/up.cc": ('#include "shard/stage.h"\n', "not below it"),
    "shard/zmq_here.cc": ("#include <zmq.hpp>\n", "lives in transport/zmq"),
    "topology/long.cc": ("// x\n" * 501, "at most 500"),
    "topology/wide.cc": ("// " + "x" * 100 + "\n", "at most 100"),
    "topology/big.cc": ("void f() {\n" + "  g();\n" * 60 + "}\n", "f is a function of 62 lines"),
    "shard/clock.cc": ("auto t = std::chrono::steady_clock::now();\n", "a system clock"),
    "shard/many.cc": ("void f(int a, int b, int c, std::map<int, int> d, int e, int g,\n       int h) {}\n",
                      "f has 7 parameters"),
    "shard/field.cc": ("struct Pipe {\n  virtual void send() = 0;\n  int sent_ = 0;\n};\n", "Pipe is an interface and has a field"),
    "shard/body.cc": ("class Pipe {\n  virtual void send() = 0;\n  virtual bool idle() const { return true; }\n};\n",
                      "Pipe::idle belongs to an interface"),
    "shard/no_page.cc": ("// The sums are those of shard/SUMS.md §2.\n", "there is no page shard/SUMS.md"),
    "shard/no_section.cc": ("int x;  // as of shard/PAGE.md §2.7\n", "PAGE.md has no section 2.7"),
    "shard/which_page.cc": ("int x;  // §2.1 says so\n", "of which page"),
    "shard/of.cc": ("int x;  // Of the pass.\n", 'begins with "Of"'),
    "shard/what.cc": ("\n// What a pass\n// needs.\nint x;\n", 'begins with "What"'),
    "shard/word.cc": ("void widen_rows();\n", "write: dequantize"),
    "shard/message.cc": ('const char* kText = "key a stands twice";\n', "write: appears twice"),
}


def tree_of(files):
    folder = tempfile.TemporaryDirectory()
    root = pathlib.Path(folder.name)
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return folder, root


def findings_of(path, text, built=True):
    name = pathlib.Path(path).name if built else "other.cc"
    files = {path: text, str(pathlib.Path(path).parent / "CMakeLists.txt"): f"add_library(x {name})\n",
             "shard/PAGE.md": "# Page\n\n### 2.1 Sums\n"}
    folder, root = tree_of(files)
    with folder:
        return list(tidy.check_tree(root))


def homes_of(header, sources):
    """What is said of a header's names when the sources are these."""
    cmake = "add_library(x " + " ".join(pathlib.Path(path).name for path in sources) + ")\n"
    folder, root = tree_of({"shard/sum.h": header, "shard/CMakeLists.txt": cmake,
                            **{path: OPENING + text for path, text in sources.items()}})
    with folder:
        return list(tidy.check_tree(root))


def rooms_of(files, casts=""):
    folder, root = tree_of({"shard/x.cc": f"void f(int x) {{\n{casts}}}\n" + "\n" * 100, **files})
    with folder:
        texts = rooms.read_tree(root)
        return [*rooms.check_arrows(rooms.arrows_of(texts)), *rooms.show_code(texts)]


def one(findings, expected):
    assert len(findings) == 1 and expected in findings[0], (expected, findings)


for fault_path, (fault_text, said) in FAULTS.items():
    one(findings_of(fault_path, OPENING + fault_text), said)
one(findings_of("shard/dead.cc", OPENING, built=False), "not built")
one(findings_of("kernels/gpu/dead.cu", OPENING, built=False), "not built")
GLOBBED = {"kernels/gpu/sum.cu": OPENING, "kernels/gpu/CMakeLists.txt": "file(GLOB kernels *.cu)\n"}
with tree_of(GLOBBED)[0] as globbed:
    assert list(tidy.check_tree(pathlib.Path(globbed))) == []
one(findings_of("shard/silent.cc", "int x;\n"), "does not open with a sentence")
one(findings_of("shard/short.cc", "// Sums.\nint x;\n"), "does not open with a sentence")
one(findings_of("shard/README.md", "As `shard/SUMS.md` says.\n"), "there is no page shard/SUMS.md")
one(findings_of("shard/README.md", "Begin with `shard/sum.cc`.\n"), "there is no shard/sum.cc")
assert findings_of("shard/fine.cc", OPENING + '#include "kernels/noise/philox.h"\n// shard/PAGE.md §2.1\nint x;\n') == []
assert findings_of("kernels/loop.cc", OPENING + "void f(int a, int b, int c, int d, int e, int g, int h) {}\n") == []

DECLARED = "int sum(int a, int b);\nclass Sum {\n  void add(int a);\n  std::function<void(int)> told;\n};\n"
DEFINED = "int sum(int a, int b) { return a + b; }\nvoid Sum::add(int a) {}\n"
one(homes_of("int sum(int a, int b);\n", {"shard/total.cc": DEFINED}), "sum is defined neither in sum.cc nor in sum/")
one(homes_of(DECLARED, {"shard/sum.cc": "int sum(int a, int b) { return a + b; }\n", "shard/total.cc": "void Sum::add(int a) {}\n"}),
    "Sum::add is defined neither")
assert homes_of(DECLARED, {"shard/sum.cc": DEFINED}) == []
assert homes_of(DECLARED, {"shard/sum/adds.cc": DEFINED}) == []

TOGETHER = "set_target_properties(x PROPERTIES UNITY_BUILD ${POTLUCK_TOGETHER})\nadd_library(x STATIC a.cc b.cc)\n"
HELPER = "int sum(int a, int b);\n\nnamespace {\n\nint half(int a) {\n  return a / 2;\n}\n\n}  // namespace\n"


def together_of(a, b, cmake=TOGETHER):
    """What is said of two sources that are compiled as one, and a header that has half()."""
    folder, root = tree_of({"shard/CMakeLists.txt": cmake, "shard/half.h": "inline int half(int a) { return a; }\n",
                            "shard/a.cc": OPENING + a, "shard/b.cc": OPENING + b})
    with folder:
        return list(tidy.check_tree(root))


one(together_of(HELPER, HELPER), "shard/a.cc: half is in shard/b.cc too")
one(together_of(HELPER, '#include "shard/half.h"\n'), "shard/a.cc: half hides that of shard/half.h")
assert together_of(HELPER, HELPER, "add_library(x STATIC a.cc b.cc)\n") == []
assert together_of(HELPER, "") == []

CROWD = {f"shard/unit{i}.h": "" for i in range(26)}
with tree_of(CROWD)[0] as crowd:
    one(list(tidy.check_tree(pathlib.Path(crowd))), "shard: 26 units, at most 25")

LOW, HIGH = "topology/base/low.h", "topology/model/high.h"
assert rooms_of({HIGH: f'#include "{LOW}"\n'}) == []
one(rooms_of({LOW: f'#include "{HIGH}"\n'}), "base → model runs up (")
one(rooms_of({LOW: f'#include "{HIGH}"\n', HIGH: f'#include "{LOW}"\n'}), "runs up, and the other way as well")
one(rooms_of({"topology/attic/old.h": f'#include "{LOW}"\n'}), "topology/attic has no place in ORDER")
one(rooms_of({}, casts="  static_cast<int>(x);  // static_cast<int>(y)\n" * 2), "casts in 1,000 lines")
ROOMS = [room for room in rooms.ORDER["kernels"]]
PAIRS = [(a, b) for i, a in enumerate(ROOMS) for b in ROOMS[:i]][:16]
one(rooms_of({f"kernels/{a}/x{i}.h": f'#include "kernels/{b}/y.h"\n' for i, (a, b) in enumerate(PAIRS)}),
    "kernels: 16 arrows between rooms, at most 15")
print(f"{len(FAULTS) + 19} planted faults named")
