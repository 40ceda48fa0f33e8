"""Style as a test: floors, homes of third-party headers, budgets, shapes, names, words, every source built.

Usage: tidy.py ROOT. Prints a line for each finding, with what to do instead; exit code 1 if any.
"""
import pathlib
import re
import sys

import cpp
import shape
import together
import words

FLOOR = {"topology": 1, "kernels": 2, "transport": 3, "backends": 3, "coordinator": 4, "shard": 4,
         "cluster": 5}
# Where headers from outside may be included: a prefix of the path, by header pattern.
HOMES = {
    r"zmq": ["transport/zmq"],
    r"sodium": ["transport/proof"],
    r"avahi-": ["transport/mdns"],
    r"systemd/": ["cluster/cli/sleep_lock", "tests/cluster/cli/fake_logind"],
    r"(mpi|nccl)\.h": ["transport/mpi", "transport/nccl"],
    r"(capnp|kj)/|protocol\.capnp\.h": ["transport/wire", "tests/transport/wire"],
    r"yaml-cpp/": ["topology/plan/plan_yaml"],
    r"(cuda|hip)[_a-z]*\.h": ["kernels/gpu", "backends/gpu", "transport/nccl"],
    r"CLI/|spdlog/|histedit\.h|editline/": ["cluster/", "tests/cluster/"],
    r"nlohmann/": ["topology/", "transport/control", "coordinator/http", "coordinator/control",
                    "coordinator/membership", "cluster/", "tests/"],
    r"httplib\.h": ["coordinator/http"],
    r"hwloc": ["backends/cpu/cpu_layout_hwloc"],
    r"curl/": ["topology/hub/http"],
    r"openssl/": ["topology/hub/checksum"],
    r"xxhash\.h": ["topology/model/fingerprint"],
}
FILE_LINES_MAX = 500
COLUMNS_MAX = 100
CLOCK = re.compile(r"(steady|system|high_resolution)_clock::now|\bclock_gettime\b|\bgettimeofday\b")
CLOCK_HOMES = ("topology/base/clock.h", "topology/base/wall_clock.h", "transport/", "tests/")
CODE = (".h", ".cc", ".cu")
PAGES = (".py", ".md", ".txt", ".capnp")  # name other pages, and are not C++


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


def check_built(root, sources):
    """Every source is listed in the CMakeLists.txt of its folder or of one above, or taken by a glob: "*.cu" of its own
    folder, or "*/*.cu" of the one above."""
    for path in sources:
        own, suffix = (root / path).parent, pathlib.Path(path).suffix
        globs = [(own, f" *{suffix}"), (own.parent, f" */*{suffix}")]
        if any((folder / "CMakeLists.txt").exists() and glob in (folder / "CMakeLists.txt").read_text()
               for folder, glob in globs):
            continue
        lists = [root / folder / "CMakeLists.txt" for folder in pathlib.Path(path).parents]
        text = "".join(each.read_text() for each in lists if each.exists())
        if not re.search(rf"(^|[\s/]){re.escape(pathlib.Path(path).name)}\b", text, re.M):
            yield f"{path}: not built; add it to a CMakeLists.txt, or delete it"


def check_code(root, path, text, source):
    yield from check_lines(path, text.splitlines())
    yield from shape.check_functions(path, source)
    yield from shape.check_interfaces(path, source)
    yield from words.check_words(path, text)
    yield from words.check_fragments(path, source)
    if not path.endswith(".h"):
        yield from words.check_opening(path, text)
    for comment in source.comments:
        yield from words.check_pages(root, path, comment.line, comment.text)


def is_there(root, name):
    """In the tree, without its suffix or with it, or a home that nothing has moved into yet."""
    planned = any(name.rstrip("/") in homes for homes in HOMES.values())
    return planned or (root / name).exists() or bool(list(root.glob(name + ".*")))


def check_named_pages(root, path):
    """Pages, scripts and lists name only pages that are there, and pages only files that are."""
    for number, line in enumerate((root / path).read_text().splitlines(), 1):
        for name in words.PAGE.findall(line):
            if not words.find_page(root, path, name):
                yield f"{path}:{number}: there is no page {name}; name it by its path from the root"
        for name in words.PATH.findall(line) if path.endswith(".md") else ():
            if not name.endswith(".md") and not is_there(root, name):
                yield f"{path}:{number}: there is no {name}; pages are about what is in the tree"


def files_under(root, suffixes):
    for folder in list(FLOOR) + ["tests"]:
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root).as_posix()
            if path.suffix in suffixes and path.is_file() and not relative.startswith(("tests/tidy/", "tests/fuzz/corpus/")):
                yield relative


def check_tree(root):
    texts = {path: (root / path).read_text() for path in files_under(root, CODE)}
    sources = {path: cpp.read(text) for path, text in texts.items()}
    for path, text in texts.items():
        yield from check_code(root, path, text, sources[path])
    yield from shape.check_homes(sources)
    yield from shape.check_folders(texts)
    yield from together.check_together(root, texts, sources)
    yield from check_built(root, [path for path in texts if not path.endswith(".h")])
    pages = [page.name for page in root.glob("*.md")]
    for path in [*pages, *files_under(root, PAGES)]:
        yield from check_named_pages(root, path)


def main(root):
    findings = list(check_tree(pathlib.Path(root)))
    for finding in findings:
        print(finding)
    print(f"tidy: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
