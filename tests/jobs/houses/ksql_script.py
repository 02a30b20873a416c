"""Reads the KSQL that houses.ksql is written in, a subset in the order of ksqlDB's grammar, as plain data."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

_TOKEN = re.compile(
    r"(?P<space>\s+|--[^\n]*)|(?P<string>'(?:[^']|'')*')|(?P<quoted>`[^`]+`)"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z_]\w*)|(?P<symbol><=|>=|[-+*/(),;=<>])"
)
_UNITS = {"DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND"}
# A keyword that ends the expression before it, unless it stands in brackets.
_CLAUSES = {"FROM", "WINDOW", "WHERE", "GROUP", "EMIT", "LIMIT", "AS"}
QUERY = "--?"  # marks the lines of an example query among the comments


class KsqlSyntaxError(ValueError):
    """The text is no KSQL of this subset."""


@dataclass
class Window:
    """A window clause; `advance` is None for a tumbling window."""

    kind: str
    size: timedelta
    advance: timedelta | None = None
    retention: timedelta | None = None
    grace: timedelta | None = None


@dataclass
class Query:
    """A SELECT: output name to expression in their order, source, window, conditions joined by AND, key and EMIT."""

    select: dict[str, str]
    source: str
    window: Window | None = None
    where: list[str] = field(default_factory=list)
    group_by: str = ""
    emit: str = ""


@dataclass
class Statement:
    """A statement (SET, STREAM or TABLE) with the comment above it; columns are name to type as written."""

    kind: str
    name: str
    about: str
    columns: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    query: Query | None = None


def parse(text: str) -> list[Statement]:
    """The script's statements."""
    reader = _Reader(text)
    statements = []
    while not reader.at_end():
        statements.append(_statement(reader, reader.comment_above()))
    return statements


def queries(text: str) -> list[Query]:
    """The example queries among the comments."""
    lines = (line.strip().removeprefix(QUERY) for line in text.splitlines() if line.strip().startswith(QUERY))
    reader = _Reader("\n".join(lines))
    found = []
    while not reader.at_end():
        found.append(_query(reader))
        reader.take(";")
    return found


class _Reader:
    """The tokens of a text and the place reached; words in capitals, strings and names without their quotes."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.tokens: list[tuple[str, str, int]] = []
        place = 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise KsqlSyntaxError(f"line {text.count(chr(10), 0, place) + 1}: unknown character {text[place]!r}")
            if match.lastgroup != "space":
                self.tokens.append((str(match.lastgroup), match[0], place))
            place = match.end()
        self.tokens.append(("end", "", len(text)))

    def at_end(self) -> bool:
        return self.tokens[self.at][0] == "end"

    def peek(self, ahead: int = 0) -> str:
        kind, value, _ = self.tokens[min(self.at + ahead, len(self.tokens) - 1)]
        return value.upper() if kind == "word" else value

    def next(self) -> str:
        if self.at_end():
            raise self.wrong("more")
        self.at += 1
        return self.peek(-1)

    def accept(self, *words: str) -> bool:
        """Step over these words when they come next."""
        if any(self.peek(n) != word for n, word in enumerate(words)):
            return False
        self.at += len(words)
        return True

    def take(self, *words: str) -> None:
        """Step over these words, which must come next."""
        if not self.accept(*words):
            raise self.wrong(" ".join(words))

    def name(self) -> str:
        if self.tokens[self.at][0] not in ("word", "quoted"):
            raise self.wrong("a name")
        return self.next().strip("`")

    def literal(self) -> str:
        if self.tokens[self.at][0] not in ("string", "number"):
            raise self.wrong("a literal")
        text = self.next()
        return text[1:-1].replace("''", "'") if text.startswith("'") else text

    def duration(self) -> timedelta:
        number, unit = self.next(), self.next().removesuffix("S")
        if not number.isdigit() or unit not in _UNITS:
            raise self.wrong("a duration")
        return timedelta(**{f"{unit.lower()}s": int(number)})

    def expression(self) -> str:
        """Tokens up to a comma, a clause or the closing bracket that is not its own, joined by single spaces."""
        start, depth = self.at, 0
        while not (self.at_end() or self.peek() == ";"):
            word = self.peek()
            if depth == 0 and (word in {",", ")"} or word in _CLAUSES):
                break
            depth += {"(": 1, ")": -1}.get(word, 0)
            self.at += 1
        if start == self.at or depth:
            raise self.wrong("an expression")
        return " ".join(self.peek(place - self.at).strip("`") for place in range(start, self.at))

    def comment_above(self) -> str:
        above = re.search(r"(?:^--.*\n)*\Z", self.text[: self.tokens[self.at][2]].rstrip() + "\n", re.MULTILINE)
        return " ".join(line.removeprefix("--").strip() for line in above[0].splitlines()) if above else ""

    def wrong(self, wanted: str) -> KsqlSyntaxError:
        line = self.text.count("\n", 0, self.tokens[self.at][2]) + 1
        return KsqlSyntaxError(f"line {line}: {wanted} expected, got {self.peek() or 'the end'}")


def _statement(reader: _Reader, about: str) -> Statement:
    if reader.accept("SET"):
        statement = Statement("SET", reader.literal(), about)
        reader.take("=")
        statement.properties["value"] = reader.literal()
    else:
        reader.take("CREATE")
        kind = reader.next()
        reader.take("IF", "NOT", "EXISTS")
        statement = Statement(kind, reader.name(), about)
        if reader.accept("("):
            statement.columns = _listed(reader, _column)
            reader.take(")")
        reader.take("WITH", "(")
        statement.properties = _listed(reader, _property)
        reader.take(")")
        if not statement.columns:
            reader.take("AS")
            statement.query = _query(reader)
    reader.take(";")
    return statement


def _listed(reader: _Reader, entry: Callable[[_Reader], tuple[str, str]]) -> dict[str, str]:
    entries = dict([entry(reader)])
    while reader.accept(","):
        entries.update([entry(reader)])
    return entries


def _column(reader: _Reader) -> tuple[str, str]:
    name, kind = reader.name(), reader.name()
    return name, f"{kind} KEY" if reader.accept("KEY") else kind


def _property(reader: _Reader) -> tuple[str, str]:
    name = reader.name()
    reader.take("=")
    return name, reader.literal()


def _item(reader: _Reader) -> tuple[str, str]:
    expression = reader.expression()
    return reader.name() if reader.accept("AS") else expression, expression


def _query(reader: _Reader) -> Query:
    reader.take("SELECT")
    select = _listed(reader, _item)
    reader.take("FROM")
    query = Query(select, reader.name())
    if reader.accept("WINDOW"):
        query.window = _window(reader)
    if reader.accept("WHERE"):
        query.where = _conditions(reader.expression())
    if reader.accept("GROUP", "BY"):
        query.group_by = reader.expression()
    if reader.accept("EMIT"):
        query.emit = reader.next()
    if reader.accept("LIMIT"):
        reader.next()
    return query


def _window(reader: _Reader) -> Window:
    kind = reader.next()
    reader.take("(", "SIZE")
    window = Window(kind, reader.duration())
    if kind == "HOPPING":
        reader.take(",", "ADVANCE", "BY")
        window.advance = reader.duration()
    if reader.accept(",", "RETENTION"):
        window.retention = reader.duration()
    if reader.accept(",", "GRACE", "PERIOD"):
        window.grace = reader.duration()
    reader.take(")")
    return window


def _conditions(expression: str) -> list[str]:
    """The parts that AND joins outside brackets; the AND of a BETWEEN joins none."""
    parts, depth, between = [""], 0, False
    for word in re.findall(r"'(?:[^']|'')*'|\S+", expression):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == "AND" and depth == 0 and not between:
            parts.append("")
            continue
        if depth == 0:
            between = word == "BETWEEN" or (between and word != "AND")
        parts[-1] = f"{parts[-1]} {word}".strip()
    return parts
