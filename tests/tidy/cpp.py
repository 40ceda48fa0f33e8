"""C++ as tidy needs it: comments apart from code, and the declarations and functions of a file.

This is no parser. It knows the shape that clang-format gives this repository, and braces.
"""
import re
from dataclasses import dataclass, field

LITERAL = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
RAW = re.compile(r'R"(\w*)\((.*?)\)\1"', re.S)


@dataclass
class Comment:
    line: int
    text: str  # of // lines that follow each other, joined by spaces
    trailing: bool = False  # behind code


@dataclass
class Function:
    name: str  # "f", "Class::f"
    parameters: list
    first: int  # line of its head
    last: int  # line of its closing brace, or of its semicolon
    defined: bool
    head: str = ""


@dataclass
class Class:
    name: str
    line: int
    methods: list = field(default_factory=list)
    fields: list = field(default_factory=list)  # (line, text)

    def pure(self):
        return any(re.search(r"=\s*0$", m.head) for m in self.methods)


@dataclass
class Source:
    comments: list
    literals: list  # (line, text)
    functions: list
    classes: list


def blank(text):
    """The text with comments and literals as spaces, and both apart."""
    comments, literals = [], []

    def cover(match):
        piece = match[0]
        line = text.count("\n", 0, match.start()) + 1
        if piece.startswith("//"):
            before = text[text.rfind("\n", 0, match.start()) + 1:match.start()]
            comments.append(Comment(line, piece[2:].strip(), bool(before.strip())))
        elif piece.startswith("/*"):
            comments.append(Comment(line, " ".join(piece[2:-2].split())))
        else:
            literals.append((line, piece[1:-1]))
            return '"' + re.sub(r"[^\n]", " ", piece[1:-1]) + '"'
        return re.sub(r"[^\n]", " ", piece)

    raw_free = RAW.sub(lambda m: '""' + re.sub(r"[^\n]", " ", m[0][2:]), text)
    return LITERAL.sub(cover, raw_free), joined(comments), literals


def joined(comments):
    """Comments of several lines as one; lines that go on behind code belong to what is there."""
    blocks, ends = [], []
    for comment in comments:
        if blocks and ends[-1] + 1 == comment.line and not comment.trailing:
            blocks[-1].text += " " + comment.text
            ends[-1] = comment.line
        else:
            blocks.append(Comment(comment.line, comment.text, comment.trailing))
            ends.append(comment.line)
    return blocks


def split_top(text, separator=","):
    """Splits where no bracket is open."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "([{<") - (char in ")]}")
        depth -= char == ">" and text[at - 1:at] != "-"
        if char == separator and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part and part != "void"]


def closing(text, opening):
    depth = 0
    for at in range(opening, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at
    return len(text)


DECORATION = re.compile(r"\[\[.*?\]\]|__attribute__\s*\(\(.*?\)\)|alignas\s*\(.*?\)|\b(public|private|protected)\s*:|"
                        r"\bPOTLUCK_\w+(\s*\(.*?\))?|\bextern\s+\"\s*\"", re.S)
KEYWORDS = {"if", "for", "while", "switch", "return", "sizeof", "decltype", "static_assert", "catch", "noexcept",
            "explicit", "requires", "CHECK", "defined"}


def without_template_arguments(head):
    """`std::function<void(int)> f` has no parameters, and `a < b` is no template."""
    shorter = None
    while shorter != head:
        head, shorter = re.sub(r"(?<=[\w:])\s?<[^<>;{}]*>", "", head.replace("->", "  ")), head
    return head


def signature(head):
    """(name, parameters) of a function's head, or None."""
    head = DECORATION.sub(lambda m: " " * len(m[0]), head)
    head = without_template_arguments(head)
    named = re.search(r"((?:\w+::)*(?:operator\s*(?:\(\)|[^\s(]+|\s\w+)|~?\w+))\s*\((?!\s*\*)", head)
    if not named or re.search(r"(^|[^=!<>])=(?!=)", head[:named.start()].replace("operator=", "")):
        return None
    name = re.sub(r"\s+", "", named[1])
    if name in KEYWORDS or re.match(r"\s*(using|typedef|friend|#)", head):
        return None
    opening = named.end() - 1
    if not head[:named.start()].strip() and "::" not in name and head[opening + 1:].strip() == "":
        return None
    return name, split_top(head[opening + 1:closing(head, opening)])


class Scan:
    """Walks the braces of one file."""

    def __init__(self, code):
        # A preprocessor line, continued ones included, is no statement.
        self.code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m[0]), code, flags=re.M)
        self.functions, self.classes = [], []
        self.scopes = []  # (kind, name)
        self.start = 0  # of the statement

    def line(self, at):
        return self.code.count("\n", 0, at) + 1

    def head_line(self, end):
        text = self.code[self.start:end]
        return self.line(self.start + len(text) - len(text.lstrip()))

    def inside(self):
        return self.scopes[-1][0] if self.scopes else "namespace"

    def qualified(self, name):
        classes = [scope for kind, scope in self.scopes if kind == "class"]
        return "::".join(classes + [name])

    def kind_of_block(self, head):
        if self.inside() not in ("namespace", "class"):
            return "block", ""
        stripped = DECORATION.sub(" ", head).strip()
        if re.search(r"\bnamespace\b", stripped) or (not stripped and self.inside() == "namespace"):
            return "namespace", ""
        record = re.match(r"(?:template\s*<.*>\s*)?(class|struct|union)\s+((?:\w+::)*\w+)[^()]*$", stripped, re.S)
        if record:
            return "class", record[2]
        if signature(head):
            # `Foo() : x_{1} {`: the braces of a member are not the body's.
            initialiser = re.search(r"\)\s*(noexcept\s*)?:[^:]", stripped)
            last = re.search(r"(\w+|\W)$", stripped)
            if initialiser and re.match(r"\w", last[1]) and last[1] not in ("const", "noexcept", "override"):
                return "initialiser", ""
            return "function", ""
        return "block", ""

    def run(self):
        at = 0
        while at < len(self.code):
            char = self.code[at]
            if char == "(":
                at = closing(self.code, at)
            elif char == "{":
                at = self.open(at)
            elif char == "}":
                if self.scopes:
                    self.scopes.pop()
                self.start = at + 1
            elif char == ";":
                self.statement(at)
                self.start = at + 1
            at += 1

    def open(self, at):
        head = self.code[self.start:at]
        kind, name = self.kind_of_block(head)
        if kind in ("namespace", "class"):
            self.scopes.append((kind, name))
            if kind == "class":
                self.classes.append(Class(self.qualified_class(), self.head_line(at)))
            self.start = at + 1
            return at
        end = self.matching(at)
        if kind == "function":
            self.add(head, self.head_line(at), self.line(end), True)
            self.start = end + 1
        return end  # what a block or an initialiser holds is not looked at; its statement goes on

    def qualified_class(self):
        return "::".join(scope for kind, scope in self.scopes if kind == "class")

    def matching(self, opening):
        depth = 0
        for at in range(opening, len(self.code)):
            depth += (self.code[at] == "{") - (self.code[at] == "}")
            if depth == 0:
                return at
        return len(self.code) - 1

    def statement(self, at):
        head = self.code[self.start:at]
        text = DECORATION.sub(" ", head).strip()
        if self.inside() not in ("namespace", "class") or not text:
            return
        if signature(head):
            self.add(head, self.head_line(at), self.line(at), bool(re.search(r"=\s*default$", text)) and "::" in text)
        elif self.inside() == "class" and not re.match(
                r"(using|typedef|friend|struct|class|union|enum|template|static_assert|static constexpr)\b", text):
            for each in self.classes:
                if each.name == self.qualified_class():
                    each.fields.append((self.head_line(at), " ".join(text.split())))

    def add(self, head, first, last, defined):
        name, parameters = signature(head)
        function = Function(self.qualified(name), parameters, first, last, defined,
                            " ".join(DECORATION.sub(" ", head).split()))
        self.functions.append(function)
        for each in self.classes:
            if self.inside() == "class" and each.name == self.qualified_class():
                each.methods.append(function)


def read(text):
    code, comments, literals = blank(text)
    scan = Scan(code)
    scan.run()
    return Source(comments, literals, scan.functions, scan.classes)
