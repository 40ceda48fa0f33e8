"""Sources that are compiled as one share their unnamed namespaces: a helper of one must not be called by another.

A call finds a name of the unnamed namespace before one that a header declares, and takes whichever overload fits best, so
that a helper named like a function of a header that another source calls would change what that source does.
"""
import functools
import itertools
import re

import cpp

CONSTANT = re.compile(r"^(?:inline |static )*(?:constexpr|const) [^=(){};]*?\b(\w+)(?:\[\w*\])? ?(?:=|\{|\()", re.M)
UNNAMED = re.compile(r"^namespace \{\n.*?^\}  // namespace$", re.M | re.S)


def names(text, source, first=0, last=1 << 30):
    """The functions, classes and constants at namespace scope between two lines."""
    found = {each.name for each in source.functions
             if not re.search("::|^[A-Z_]+$", each.name) and first <= each.first <= last}  # nor a macro
    found |= {each.name for each in source.classes if "::" not in each.name and first <= each.line <= last}
    return found | {match[1] for match in CONSTANT.finditer(text)
                    if first <= text.count("\n", 0, match.start()) + 1 <= last}


def of_source(text, source):
    """The names of its unnamed namespaces, and the others."""
    code = cpp.blank(text)[0]
    unnamed = set()
    for match in UNNAMED.finditer(text):
        first = text.count("\n", 0, match.start()) + 1
        unnamed |= names(code, source, first, first + match[0].count("\n"))
    return unnamed, names(code, source) - unnamed


def included(path, texts, seen=None):
    """The headers of the tree that a source includes, those of headers too."""
    seen = set() if seen is None else seen
    for header in re.findall(r'^#include "([^"]+)"', texts[path], re.M):
        if header in texts and header not in seen:
            seen.add(header)
            included(header, texts, seen)
    return seen


def listed(text):
    """(what it is called, its sources) of what one CMakeLists.txt has compiled as one, or may have."""
    for name, words in re.findall(r"^compile_together\(\s*(\w+)\s+([^)]*)\)", text, re.M):
        yield name, words
    for name, words in re.findall(r"^ *potluck_test\(\s*(\w+)\s+SOURCES\s+(.*?)\sLINKS", text, re.M | re.S):
        yield name, words
    for name in re.findall(r"^set_target_properties\((\w+) PROPERTIES UNITY_BUILD \$\{POTLUCK_TOGETHER\}\)", text, re.M):
        yield from re.findall(rf"^add_library\(({name}) STATIC\s+([^)]*)\)", text, re.M)


def groups(root):
    """(what it is called, paths) of all that is listed in the tree."""
    for cmake in sorted(root.glob("*/**/CMakeLists.txt")):
        if cmake.relative_to(root).parts[0].startswith("build"):
            continue
        for name, words in listed(cmake.read_text()):
            paths = [(cmake.parent / word).resolve() for word in words.split() if word.endswith(".cc")]
            yield name, [path.relative_to(root.resolve()).as_posix() for path in paths if path.exists()]


def check_together(root, texts, sources):
    of = functools.cache(lambda path: of_source(texts[path], sources[path]))
    for name, paths in groups(root):
        headers = {path: included(path, texts) for path in paths}
        for path, other in itertools.permutations(paths, 2):
            for twice in sorted(of(path)[0] & of(other)[0]) if path < other else ():
                yield f"{path}: {twice} is in {other} too, which is compiled with it ({name}); give one another name"
            for header in sorted(headers[other]):
                for hidden in sorted(of(path)[0] & of(header)[1]):
                    yield f"{path}: {hidden} hides that of {header} from {other}, which is compiled with it ({name}); rename it"
