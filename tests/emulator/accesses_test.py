"""Holds what the kernels touch, as the emulator counts it, to accesses.txt: a step of small models, whose tensors are of
many types, and for one of them with exact products too. --write writes the file anew."""
import os
import pathlib
import subprocess
import sys
import tempfile

POTLUCK = os.environ["POTLUCK"]  # whose kernels are counted
HERE = pathlib.Path(__file__).resolve().parent
GOLDEN, TABLE = HERE.parent / "golden", HERE / "accesses.txt"
RUNS = ((GOLDEN / "nano/model-bf16.gguf", "exact"), (GOLDEN / "nano/model-bf16.gguf", "fast"),
        (GOLDEN / "kquant/model-Q4_K_M.gguf", "fast"), (HERE.parents[1] / "cluster/demo/sudoku6.gguf", "fast"))  # fmt: skip
SLACK = 0.02  # of a limit: what is allocated where differs a little

HEADER = """# Of each kernel: sectors of 32 bytes of global memory that its warps touch, and waves of shared memory that they take,
# each beside the fewest possible for the same bytes; "others" may take so many. tests/emulator/accesses_test.py compares,
# and writes the file anew.
"""
OTHERS = "others"


def counted(model, precision):
    """Kernel → (sectors a least sector, waves a least wave)."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "accesses"
        command = [POTLUCK, "run", "-m", model, "-p", "1 2 3 4", "--raw", "-n", "16", "--steps", "1", "-s", "1", "--device",
                   "emulated:cuda", "--precision", precision]  # fmt: skip
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=os.environ | {"POTLUCK_ACCESSES": str(file)})  # fmt: skip
        assert done.returncode == 0, done.stderr
        rows = [line.split() for line in file.read_text().splitlines()]
    return {name: (int(sectors) / max(int(least), 1), int(waves) / max(int(waves_least), 1))
            for name, _, sectors, least, _, waves, waves_least in rows}  # fmt: skip


def worst():
    """Kernel → the greatest of each over the runs."""
    found = {}
    for run in RUNS:
        for kernel, ratios in counted(*run).items():
            found[kernel] = tuple(map(max, found.get(kernel, (0, 0)), ratios))
    return found


def main(*flags):
    found = worst()
    limits = {kernel: (float(global_), float(shared)) for kernel, global_, shared in
              (line.split() for line in TABLE.read_text().splitlines() if not line.startswith("#"))}  # fmt: skip
    if "--write" in flags:
        rows = sorted(found.items()) + [(OTHERS, limits[OTHERS])]
        TABLE.write_text(HEADER + "".join(f"{kernel} {global_:.2f} {shared:.2f}\n" for kernel, (global_, shared) in rows))
        return 0
    findings = [f"{kernel} is in accesses.txt, but no run has it" for kernel in sorted(limits.keys() - found.keys() - {OTHERS})]
    for kernel in sorted(found):
        most = limits.get(kernel, limits[OTHERS])
        for what, ours, allowed in zip(("sectors of global memory", "waves of shared memory"), found[kernel], most):
            if ours > allowed * (1 + SLACK):
                findings.append(f"{kernel} takes {ours:.2f} times the fewest {what}, and may take {allowed:.2f} times")
    print("\n".join(findings + [f"compared {len(found)} kernels: {len(findings)} findings"]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
