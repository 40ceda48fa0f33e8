"""Comments are English sentences about what is in the tree."""
import functools
import pathlib
import re

# Words that say too little, or something else than the field does, and what to write.
AVOID = {
    r"widen\w*": "dequantize, or convert",
    r"carv(e|es|ed|ing)": "split, or take from",
    r"soften\w*": "softmax",
    r"far bytes?|passing bytes?": "say which bytes, and where they are",
    r"stands? twice": "appears twice",
    r"metadata ask(s)?( for)?|ask(s)? for nothing": "the metadata says",
    r"\d+ can be": "must be 1 to 4",
    r"is no command": "unknown command",
}
AVOIDED = [(re.compile(rf"(?<![a-zA-Z])({pattern})(?![a-zA-Z])", re.I), instead) for pattern, instead in AVOID.items()]
FRAGMENT = re.compile(r"(Of|What)\b")
PAGE = re.compile(r"(?<![\w/}*-])\w[\w./-]*\.md\b")
PATH = re.compile(r"`((?:topology|kernels|backends|transport|shard|coordinator|cluster|tests)/[\w./-]*)`")
SECTION = re.compile(r"§\s*(\d+(?:\.\d+)*)")


def check_words(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, instead in AVOIDED:
            found = pattern.search(line.replace("_", " "))
            if found:
                yield f"{path}:{number}: \"{found[1]}\"; write: {instead}"


def check_fragments(path, source):
    for comment in source.comments:
        found = FRAGMENT.match(comment.text)
        if found:
            yield (f"{path}:{comment.line}: the comment begins with \"{found[1]}\"; write a sentence with subject and "
                   f"verb")


def check_opening(path, text):
    """The first line of a source says what it does; a sentence has more than two words, and a full stop."""
    first = re.match(r"(//[^\n]*\n)+", text)
    said = re.sub(r"^// ?", "", first[0], flags=re.M).strip() if first else ""
    if len(said.split()) < 3 or not re.search(r"\.(\s|$|\))", said):
        yield f"{path}:1: the source does not open with a sentence that says what it does"


@functools.cache
def sections(page):
    return set(re.findall(r"^#+ (\d+(?:\.\d+)*)\b", page.read_text(), re.M))


def find_page(root, path, name):
    for folder in (root, root / pathlib.PurePosixPath(path).parent):
        if (folder / name).is_file():
            return folder / name
    return None


def check_pages(root, path, line, text):
    """Each page that a comment names is in the tree, and has the sections that it cites."""
    page = None
    for match in re.finditer(rf"{PAGE.pattern}|{SECTION.pattern}", text):
        if match[0].endswith(".md"):
            page = find_page(root, path, match[0])
            if not page:
                yield f"{path}:{line}: there is no page {match[0]}; name it by its path from the root"
                return
        elif not page:
            yield f"{path}:{line}: {match[0]} of which page? Write shard/MODEL.md {match[0]}"
        elif match[1] not in sections(page):
            yield f"{path}:{line}: {page.name} has no section {match[1]}"
