"""Reads device code as clang-format leaves it: tokens, brackets, functions, statements and the operands of operators."""
import dataclasses
import re

TOKEN = re.compile(r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<macro>^[ \t]*\#(?:[^\n\\]|\\.)*(?:\\\n[^\n]*)*)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<number>0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?\w*|\d[\d.]*(?:[eE][+-]?\d+)?\w*|\.\d+\w*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<mark><<=|>>=|->|::|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||\+=|-=|\*=|/=|%=|&=|\|=|\^=|[^\s\w])
""", re.X | re.M | re.S)
# Of binary operators; more binds tighter.
PRECEDENCE = {"*": 13, "/": 13, "%": 13, "+": 12, "-": 12, "<<": 11, ">>": 11, "<": 9, "<=": 9, ">": 9, ">=": 9,
              "==": 8, "!=": 8, "&": 7, "^": 6, "|": 5, "&&": 4, "||": 3, "?": 2, ":": 2}
ASSIGNMENTS = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
SEPARATORS = {",", ";", "return", "else", "GPU_UNROLL"} | ASSIGNMENTS
CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}
KEYWORDS = {"if", "for", "while", "do", "return", "const", "constexpr", "using", "switch", "case", "default", "break",
            "continue", "static_assert", "else", "struct", "template", "auto"}
TYPES = {"float", "double", "int", "bool", "char", "void", "uint8_t", "int8_t", "uint16_t", "int16_t", "uint32_t",
         "int32_t", "uint64_t", "int64_t"}


@dataclasses.dataclass
class Token:
    kind: str
    text: str
    begin: int
    end: int
    match: int = -1  # the index of the bracket that opens or closes with this one


@dataclasses.dataclass
class Function:
    name: str
    is_kernel: bool
    first: int  # the tokens of its body, braces included: half-open
    last: int


class DeviceCode:
    """A source, and what is where in it; tokens go by their index."""

    def __init__(self, text):
        self.text = text
        self.tokens = [Token(m.lastgroup, m[0], m.start(), m.end()) for m in TOKEN.finditer(text)
                       if m.lastgroup not in ("comment", "macro")]
        self._split_shifts()
        self._match_brackets()
        self.lists = set()
        for i in range(len(self.tokens)):
            if self._opens_list(i):
                self.lists.add(i)
        self.functions = list(self._find_functions())
        self.constant = self._find_constants()

    def kernels_of_macros(self):
        """Kernels that a macro defines for each of its uses: (name, the names that it calls)."""
        for macro in TOKEN.finditer(self.text):
            head = re.match(r"\s*#define (\w+)\(\w+\)", macro[0]) if macro.lastgroup == "macro" else None
            if not head:
                continue
            uses = re.findall(rf"^{head[1]}\((\w+)\)", self.text, re.M)
            for kernel in re.finditer(r"GPU_KERNEL\w*\((\w+)##\w+,.*?\{(.*?)\}", macro[0], re.S):
                for use in uses:
                    yield kernel[1] + use, re.findall(r"(\w+)\(", kernel[2])

    def _spaced(self, i):
        """A binary operator has a space on each side; an argument list of a template has none."""
        token = self.tokens[i]
        return self.text[token.begin - 1].isspace() and self.text[token.end].isspace()

    def is_binary(self, i):
        return self.tokens[i].text in PRECEDENCE and self._spaced(i)

    def _split_shifts(self):
        """Two lists of template arguments may end together."""
        tokens = []
        for token in self.tokens:
            if token.text == ">>" and not self.text[token.begin - 1].isspace():
                middle = token.begin + 1
                tokens += [Token("mark", ">", token.begin, middle), Token("mark", ">", middle, token.end)]
            else:
                tokens.append(token)
        self.tokens = tokens

    def _match_brackets(self):
        open_ones = []
        for i, token in enumerate(self.tokens):
            before = self.tokens[i - 1] if i else None
            opens_template = (token.text == "<" and before and before.kind == "name" and
                              (before.end == token.begin or before.text == "template"))
            if token.text in "([{" or opens_template:
                open_ones.append(i)
            elif token.text in ")]}" or (token.text == ">" and open_ones and self.tokens[open_ones[-1]].text == "<"):
                opening = open_ones.pop()
                if CLOSING[self.tokens[opening].text] != token.text:
                    raise ValueError(f"brackets do not match near: {self.text[self.tokens[opening].begin:token.end]}")
                self.tokens[opening].match, token.match = i, opening

    def _opens_list(self, i):
        """A list of values; other braces hold statements."""
        before = self.tokens[i - 1]
        if self.tokens[i].text != "{":
            return False
        return (before.kind == "name" and before.text not in ("else", "do") or
                before.text in ("=", "(", ",", ">", "]") or i - 1 in self.lists)

    def _is_block_mark(self, i):
        """A brace that begins or ends statements."""
        token = self.tokens[i]
        return token.text == "{" and i not in self.lists or token.text == "}" and token.match not in self.lists

    def _find_functions(self):
        for i, token in enumerate(self.tokens):
            is_kernel = token.text.startswith("GPU_KERNEL")
            if not is_kernel and token.text != "GPU_DEVICE":
                continue
            parameters = next(j for j in range(i, len(self.tokens)) if self.tokens[j].text == "(")
            body = self.tokens[parameters].match + 1
            if self.tokens[body].text == "{":
                name = self.tokens[parameters + 1 if is_kernel else parameters - 1].text
                yield Function(name, is_kernel, body, self.tokens[body].match + 1)

    def _find_constants(self):
        """Tokens of which the compiler must know the value: arguments of templates, extents, constexpr."""
        constant = set()
        for i, token in enumerate(self.tokens):
            if token.text == "<" and token.match > i:
                constant.update(range(i, token.match))
            if token.text == "[" and self._is_declarator(i):
                constant.update(range(i, token.match))
            if token.text in ("constexpr", "static_assert", "using", "case", "GPU_SHARED"):
                after_if = token.text == "constexpr" and self.tokens[i - 1].text == "if"
                end = self.tokens[i + 1].match if after_if else self.end_of_statement(i)
                constant.update(range(i, end + 1))
                if after_if and self.span(i + 1, end + 1) == "(kHasMma)":
                    constant.update(self._without_matrix_units(end + 1))
        return constant

    def _without_matrix_units(self, block):
        """What follows the block at `block` as its else: emulated cards have matrix units, and no code for others."""
        after = self.tokens[block].match + 1
        return range(after, self.tokens[after + 1].match) if self.tokens[after].text == "else" else ()

    def _is_declarator(self, i):
        """float x[4], (&x)[4], and the second extent of either, and what is declared with it."""
        before = self.tokens[i - 1]
        if before.text == "]":
            return self._is_declarator(before.match)
        if before.text == ")":
            return self.tokens[before.match + 1].text == "&"
        if before.kind != "name":
            return before.text == ","  # of GPU_SHARED
        first = self.tokens[i - 2]
        if first.text == ",":
            start = self.start_of_statement(i)
            return self._is_declaration(start) and self._depth_free(start, i)
        return (first.kind == "name" and first.text not in ("return", "else")) or \
            (first.text == ">" and first.match >= 0)

    def _is_declaration(self, i):
        token, after = self.tokens[i], self.tokens[i + 1]
        if token.text == "const" or token.text in TYPES:
            return True
        return token.kind == "name" and after.kind == "name"

    def _depth_free(self, first, last):
        """No bracket is open at `last` that was not at `first`."""
        i = first
        while i < last:
            match = self.tokens[i].match
            if match >= last:
                return False
            i = match + 1 if match > i else i + 1
        return True

    def start_of_statement(self, i):
        while True:
            before = self.tokens[i - 1]
            if before.text in (";", "GPU_UNROLL", "else") or self._is_block_mark(i - 1):
                return i
            i = before.match if 0 <= before.match < i - 1 else i - 1

    def end_of_statement(self, i):
        """The index of the ; or { that ends the head of what begins at i."""
        while self.tokens[i].text not in (";", ":"):
            if self.tokens[i].text == "{" and self.tokens[i - 1].text == ")":
                return i
            i = self.tokens[i].match + 1 if self.tokens[i].match > i else i + 1
        return i

    def span(self, first, last):
        """The text of tokens [first, last)."""
        return self.text[self.tokens[first].begin:self.tokens[last - 1].end]

    def operand_before(self, i, precedence):
        """The first token of the left operand of the operator at i."""
        j = i
        while True:
            token = self.tokens[j - 1]
            if token.text in SEPARATORS or token.text in ("(", "[", "{") or (token.text == "<" and token.match > j - 1):
                return j
            if self.is_binary(j - 1) and PRECEDENCE[token.text] < precedence:
                return j
            j = token.match if 0 <= token.match < j - 1 else j - 1

    def operand_after(self, i, precedence):
        """Past the last token of the right operand of the operator at i."""
        j = i + 1
        while True:
            token = self.tokens[j]
            closes = token.text in (")", "]", "}") or token.text == ">" and 0 <= token.match < j
            if token.text in SEPARATORS or closes:
                return j
            if self.is_binary(j) and PRECEDENCE[token.text] <= precedence:
                return j
            j = token.match + 1 if token.match > j else j + 1

    def statements(self, function):
        """The expressions that are statements: [first, last) without the semicolon."""
        for i in range(function.first + 1, function.last - 1):
            if i in self.constant or not self._begins_statement(i) or self._is_declaration(i):
                continue
            token, after = self.tokens[i], self.tokens[i + 1]
            if token.text in KEYWORDS or token.text in TYPES or token.text.startswith("GPU_"):
                continue
            if token.kind == "name" and after.text in ("*", "&", "::") and not self._spaced(i + 1):
                continue
            if token.kind != "name" and token.text not in ("*", "++", "--"):
                continue
            if token.kind == "name" and after.text == "<" and self.tokens[after.match + 1].kind == "name":
                continue
            end = self.end_of_statement(i)
            if self.tokens[end].text == ";":
                yield i, end

    def _begins_statement(self, i):
        before = self.tokens[i - 1]
        if before.text == ")":
            return self.tokens[before.match - 1].text in ("if", "for", "while", "constexpr")
        in_head = before.text == ";" and self.tokens[self.enclosing(i)].text == "("
        return before.text in (";", "else", "GPU_UNROLL") and not in_head or self._is_block_mark(i - 1)

    def enclosing(self, i):
        """The bracket that i is in."""
        j = i - 1
        while self.tokens[j].match < i:
            token = self.tokens[j]
            j = token.match - 1 if 0 <= token.match < j else j - 1
        return j

    def calls(self, function):
        """The names that a function's body calls."""
        for i in range(function.first, function.last):
            if self.tokens[i].kind != "name":
                continue
            after = self.tokens[i + 1]
            if after.text == "<" and after.match > i:
                after = self.tokens[after.match + 1]
            if after.text == "(":
                yield self.tokens[i].text
