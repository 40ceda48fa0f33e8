"""The faults that are planted in device code, by kind: what each looks for, and what it makes of it.

A mutant replaces the tokens [first, last) of a function by `text`; its name says before and after, and is the same
wherever the function moves.
"""
import dataclasses
import re

from device_code import PRECEDENCE


@dataclasses.dataclass
class Mutant:
    kind: str
    first: int
    last: int
    text: str
    what: str  # a few words for its name
    is_statement: bool = False


# What holds an integer; only of these a quotient has a remainder.
INTEGERS = set("""i j k r s n m t c e g h w at id row rows first last begin end key keys tile tiles part parts word pair
    pairs step slot slots block blocks output column columns index count query queries head heads capacity position
    run half shift exponent lane thread warp block_x block_y place group matrix panel panels source of_expert experts
    expert row_bytes number size used kv_heads rest to from""".split())
NEAR = 40  # letters of what stays the same that a name shows on each side
FLAT = re.compile(r"\s+")
SWAPPED = {"/": "%", "%": "/"}
BOUNDS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
PLACES = {"thread": "lane()", "lane": "thread()", "warp": "lane()", "block_x": "block_y()", "block_y": "block_x()"}
WAVES = {"lane": "(thread() % 64)", "warp": "(thread() / 64)"}
ROUNDINGS = {"round_to_even": "mutants::toward_zero", "float_to_f16": "mutants::f16_toward_zero",
             "float_to_bf16": "mutants::bf16_toward_zero", "f16_of": "mutants::f16_toward_zero"}
REDUCTIONS = {"warp_sum", "warp_max", "warp_min", "tile_sum"}


def flat(text):
    return FLAT.sub(" ", text).strip()


def context(code, first, last):
    """The operand, argument or index around tokens [first, last), for a name."""
    begin, end = first, last
    while code.tokens[begin - 1].text not in ("(", "[", "{", "}", ",", ";", "return", "GPU_UNROLL"):
        before = code.tokens[begin - 1].match
        begin = before if 0 <= before < begin - 1 else begin - 1
    while code.tokens[end].text not in (")", "]", "}", ",", ";", "{"):
        end = code.tokens[end].match + 1 if code.tokens[end].match > end else end + 1
    return begin, end


def becomes(before, after):
    """Says what changes, without what is far from it."""
    before, after = flat(before), flat(after)
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    rest = 0
    while rest < min(len(before), len(after)) - same and before[-1 - rest] == after[-1 - rest]:
        rest += 1
    cut, end = before.rfind(" ", 0, max(0, same - NEAR)) + 1, before.find(" ", len(before) - max(0, rest - NEAR))
    head = "… " if cut > 0 and same > NEAR else ""
    cut = cut if head else 0
    tail = len(before) - end if end >= 0 and rest > NEAR else 0
    dots = " …" if tail else ""
    return f"{head}{before[cut:len(before) - tail]}{dots} becomes {head}{after[cut:len(after) - tail]}{dots}"


def replaced(code, kind, first, last, text):
    """A mutant that is named by what it makes of its surroundings."""
    begin, end = context(code, first, last)
    before = code.text[code.tokens[begin].begin:code.tokens[first].begin]
    after = code.text[code.tokens[last - 1].end:code.tokens[end - 1].end]
    return Mutant(kind, first, last, text, becomes(code.span(begin, end), before + text + after))


def whole(code, kind, first, last, text):
    return Mutant(kind, first, last, text, becomes(code.span(first, last), text))


def of_statements(code, function):
    for first, last in code.statements(function):
        text = flat(code.span(first, last))
        kind = "barrier" if text in ("barrier()", "warp_sync()") else \
            "copies" if text.startswith(("wait_copies", "commit_copies")) else "omission"
        yield Mutant(kind, first, last, "void()", f"{text} removed", is_statement=True)
        if text.startswith("wait_copies"):
            more = re.sub(r"<(.*)>", lambda pending: f"<{pending[1]} + 1>", text)
            yield Mutant("copies", first, last, more, f"{text} becomes {more}", is_statement=True)


def is_one_lane(code, first, last):
    """Of several lanes that have the same value any may store it."""
    return re.fullmatch(r"(lane|thread|warp)\(\) [=!]= 0", flat(code.span(first, last)))


def is_choice(code, first, last):
    """a > b ? a : b, where equal ones are the same."""
    after = code.tokens[last]
    if after.text != "?":
        return False
    compared = re.split(r" [<>]=? ", flat(code.span(first, last)))
    second = code.operand_after(last, PRECEDENCE[":"])
    end = code.operand_after(second, PRECEDENCE[":"])
    chosen = [flat(code.span(last + 1, second)), flat(code.span(second + 1, end))]
    return sorted(compared) == sorted(chosen)


def of_conditions(code, function):
    for i in range(function.first, function.last):
        token = code.tokens[i]
        if i in code.constant:
            continue
        if token.text == "if" and code.tokens[i + 1].text == "(":
            first, last = i + 2, code.tokens[i + 1].match
            condition = flat(code.span(first, last))
            if not is_one_lane(code, first, last):
                yield Mutant("guard", first, last, "true", f"if ({condition}) always")
            yield Mutant("guard", first, last, "false", f"if ({condition}) never")
        if token.text == "?" and code.is_binary(i):
            first = code.operand_before(i, PRECEDENCE["?"])
            second = code.operand_after(i, PRECEDENCE[":"])
            end = code.operand_after(second, PRECEDENCE[":"])
            yield replaced(code, "guard", first, end, code.span(i + 1, second))
            yield replaced(code, "guard", first, end, code.span(second + 1, end))
        if token.text in ("&&", "||") and code.is_binary(i):
            first = code.operand_before(i, PRECEDENCE[token.text])
            last = code.operand_after(i, PRECEDENCE[token.text])
            yield whole(code, "guard", first, last, code.span(first, i))
            yield whole(code, "guard", first, last, code.span(i + 1, last))


def is_unrolled(code, i):
    """In the head of a loop over registers: past their end lies nothing that a test could see."""
    opening = code.enclosing(i)
    return code.tokens[opening - 1].text == "for" and code.tokens[opening - 2].text == "GPU_UNROLL"


def is_integer(code, first, last):
    """All of an operand's names say it."""
    if code.tokens[first].text == "(" and code.tokens[last].text in (";", ",", ")"):
        return False
    names = [token.text for token in code.tokens[first:last] if token.kind == "name"]
    numbers = [token.text for token in code.tokens[first:last] if token.kind == "number"]
    if any(re.search(r"[.pe]|f$", number) and not number.startswith("0x") for number in numbers):
        return False
    known = [name in INTEGERS or re.fullmatch(r"a|b|chunk|k[A-Z]\w*", name) for name in names]
    return bool(names or numbers) and all(known)


def of_operators(code, function):
    for i in range(function.first, function.last):
        text = code.tokens[i].text
        if i in code.constant or text not in PRECEDENCE or not code.is_binary(i) or text in ("?", ":", "&&", "||"):
            continue
        first, last = code.operand_before(i, PRECEDENCE[text]), code.operand_after(i, PRECEDENCE[text])
        left, right = code.span(first, i), code.span(i + 1, last)
        if text in BOUNDS:
            if is_one_lane(code, first, last) or is_choice(code, first, last):
                continue
            if text == "<":
                yield whole(code, "bound", first, last, f"{left} + 1 < {right}")
            if not is_unrolled(code, i):
                yield whole(code, "bound", first, last, f"{left} {BOUNDS[text]} {right}")
        elif text in SWAPPED and is_integer(code, first, i) and is_integer(code, i + 1, last):
            yield replaced(code, "swap", first, last, f"{left} {SWAPPED[text]} {right}")
        else:
            yield replaced(code, "scale" if text in "*/" else "offset", first, last, left)


def of_numbers(code, function):
    for i in range(function.first, function.last):
        token = code.tokens[i]
        if token.kind != "number" or i in code.constant:
            continue
        digits = re.fullmatch(r"(\d+(?:\.\d+)?)(\w*)", token.text)
        if not digits or token.text.startswith("0x"):
            continue
        number, suffix = float(digits[1]), digits[2]
        if code.tokens[i - 1].text == "==" and code.tokens[i - 2].text == ")":  # which lane does it
            continue
        is_float = "." in digits[1]
        other = {0: 1, 1: 2, 32: 64, 64: 32}.get(number, number / 2)
        text = f"{float(other)}{suffix}" if is_float else f"{int(other)}{suffix}"
        statement = flat(code.span(code.start_of_statement(i), i))
        kind = "wave" if number in (32, 64) else "shuffle" if re.search(r"\b(mask|step)\b", statement) else \
            "reset" if number == 0 and code.tokens[i - 1].text == "=" else "number"
        yield replaced(code, kind, i, i + 1, text)


def of_sizes(code, function):
    for i in range(function.first, function.last):
        name = code.tokens[i].text
        if i in code.constant or not re.fullmatch(r"k(?!Type\b|Least\b)[A-Z]\w*", name) or is_unrolled(code, i):
            continue
        # A quotient of sizes need not change, nor does the smaller of a size and what is less; what has members is none.
        if code.tokens[i + 1].text not in ("[", "<", "::", "==", "/", "%", "?", ".") and code.tokens[i - 1].text != "==":
            yield replaced(code, "size", i, i + 1, f"({name} + 1)")


def of_calls(code, function):
    for i in range(function.first, function.last):
        token = code.tokens[i]
        if token.kind != "name" or i in code.constant or code.tokens[i + 1].text != "(":
            continue
        # A block has whole warps, so that a thread and its lane leave the same rest.
        rest = code.tokens[i + 4].text if code.tokens[i + 3].text == "%" else ""
        if token.text in PLACES and not (rest.isdigit() and 32 % int(rest) == 0):
            kind = "block" if token.text.startswith("block") else "wave"
            yield replaced(code, kind, i, i + 3, PLACES[token.text])
        if token.text in WAVES:
            yield replaced(code, "wave", i, i + 3, WAVES[token.text])
        if token.text in ROUNDINGS:
            yield replaced(code, "rounding", i, i + 1, ROUNDINGS[token.text])
        end = code.tokens[i + 1].match + 1
        if token.text in REDUCTIONS and token.text != "tile_sum":
            yield replaced(code, "shuffle", i, end, code.span(i + 1, end))
        if token.text == "fma":
            third = code.operand_before(end - 1, 0)
            yield replaced(code, "reset", third, end - 1, "0")


def elements(code, opening):
    """The elements of a list: [first, last) of each."""
    first, i = opening + 1, opening + 1
    while i < code.tokens[opening].match:
        if code.tokens[i].text == ",":
            yield first, i
            first = i + 1
        i = code.tokens[i].match + 1 if code.tokens[i].match > i else i + 1
    yield first, i


def of_words(code, function):
    """A word that a matrix unit takes, or an element of another list, stands where its neighbour belongs."""
    for opening in range(function.first, function.last):
        if opening not in code.lists or opening in code.constant:
            continue
        spans = list(elements(code, opening))
        for (first, end), (second, last) in zip(spans, spans[1:]):
            alike = [re.match(r"[a-z]*", code.span(*span))[0] for span in ((first, end), (second, last))]
            if alike[0] and alike[0] == alike[1] and code.span(first, end) != code.span(second, last):
                yield replaced(code, "swap", second, last, code.span(first, end))
                yield replaced(code, "swap", first, end, code.span(second, last))


def all_of(code, function):
    for operator in (of_statements, of_conditions, of_operators, of_numbers, of_sizes, of_calls, of_words):
        yield from operator(code, function)
