"""Style as a test: floors, homes of third-party headers, budgets, every source built.

Usage: tidy.py ROOT. Prints a line for each finding, with what to do instead; exit code 1 if any.
"""
import pathlib
import re
import sys

FLOOR = {"topology": 1, "kernels": 2, "transport": 3, "backends": 3, "coordinator": 4, "shard": 4,
         "cluster": 5}
# Where headers from outside may be included: a prefix of the path, by header pattern.
HOMES = {
    r"zmq": ["transport/zmq"],
    r"(mpi|nccl)\.h": ["transport/mpi", "transport/nccl"],
    r"(capnp|kj)/|protocol\.capnp\.h": ["transport/wire", "tests/transport/wire"],
    r"yaml-cpp/": ["topology/plan/plan_yaml"],
    r"(cuda|hip)[_a-z]*\.h": ["kernels/gpu", "backends/gpu_backend", "transport/nccl"],
    r"CLI/|spdlog/|histedit\.h|editline/": ["cluster/", "tests/cluster/"],
    r"nlohmann/": ["topology/", "coordinator/http_api", "cluster/", "tests/"],
    r"httplib\.h": ["coordinator/http_api"],
    r"xxhash\.h": ["topology/model/fingerprint"],
}
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
CLOCK = re.compile(r"(steady|system|high_resolution)_clock::now|\bclock_gettime\b|\bgettimeofday\b")
CLOCK_HOMES = ("topology/base/clock.h", "transport/", "tests/")


def folder_of(path):
    return path.split("/")[0]


def check_floor(path, line_number, target):
    """An include of a folder that is not below is a wrong arrow."""
    own, other = folder_of(path), folder_of(target)
    if own == other or own == "tests" or other not in FLOOR or own not in FLOOR:
        return None
    if FLOOR[other] < FLOOR[own]:
        return None
    return (f"{path}:{line_number}: {own} includes {target}, which is not below it; move what is "
            f"shared to a lower floor")


def check_home(path, line_number, header):
    for pattern, homes in HOMES.items():
        if re.match(pattern, header) and not any(path.startswith(home) for home in homes):
            return f"{path}:{line_number}: <{header}> lives in {', '.join(homes)} alone; call that instead"
    return None


def check_lines(path, lines):
    if len(lines) > FILE_LINES_MAX:
        yield f"{path}: {len(lines)} lines, at most {FILE_LINES_MAX}; split it by what it does"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield f"{path}:{number}: {len(line)} columns, at most {COLUMNS_MAX}; run clang-format"
        include = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if include:
            finding = check_floor(path, number, include[2]) or check_home(path, number, include[2])
            if finding:
                yield finding
        if CLOCK.search(line) and not path.startswith(CLOCK_HOMES):
            yield f"{path}:{number}: a system clock; use topology/base/clock.h"


def check_functions(path, lines):
    """A body opens with a line that ends in '{' at column 0 or in a class, and closes at its indent."""
    for first, line in enumerate(lines):
        if not re.match(r"^( {0,2})\S.*\) ?(const|override|noexcept| )*\{$", line):
            continue
        indent = len(line) - len(line.lstrip())
        for last in range(first + 1, len(lines)):
            if lines[last].startswith(" " * indent + "}"):
                break
        length = last - first + 1
        if length > FUNCTION_LINES_MAX:
            yield (f"{path}:{first + 1}: a function of {length} lines, at most {FUNCTION_LINES_MAX}; "
                   f"name its parts")


def check_built(root, sources):
    """Every source is listed in the CMakeLists.txt of its folder or of one above."""
    for path in sources:
        lists = [root / folder / "CMakeLists.txt" for folder in pathlib.Path(path).parents]
        text = "".join(each.read_text() for each in lists if each.exists())
        if not re.search(rf"(^|[\s/]){re.escape(pathlib.Path(path).name)}\b", text, re.M):
            yield f"{path}: not built; add it to a CMakeLists.txt, or delete it"


def check_tree(root):
    folders = list(FLOOR) + ["tests"]
    files = [p for f in folders for p in sorted((root / f).rglob("*")) if p.suffix in (".h", ".cc", ".cu")]
    paths = [p.relative_to(root).as_posix() for p in files]
    for path in paths:
        lines = (root / path).read_text().splitlines()
        yield from check_lines(path, lines)
        yield from check_functions(path, lines)
    yield from check_built(root, [p for p in paths if not p.endswith(".h")])


def main(root):
    findings = list(check_tree(pathlib.Path(root)))
    for finding in findings:
        print(finding)
    print(f"tidy: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
