# pyright: standard, reportMissingImports=false
# Copied from core/specs/formula.py by sdk/tools/copy_core.py: change it there.
"""The formula of a multi grader: numbers, the names of its graders, + - * / ^, brackets and a few functions.

A parser of its own and never `eval`: the text comes from anybody. `^` binds tightest and to the right, a sign binds
less than it, as in mathematics: -a ^ 2 is -(a ^ 2).
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

LONGEST = 1000  # characters
DEEPEST = 50  # brackets, signs and powers inside one another
TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([^\W\d]\w*)|([-+*/^(),]))")
# With the number of values that each takes; null: any.
FUNCTIONS: dict[str, tuple[Callable[..., float], int | None]] = {
    "min": (lambda *values: min(values), None),
    "max": (lambda *values: max(values), None),
    "abs": (math.fabs, 1),
    "floor": (math.floor, 1),
    "ceil": (math.ceil, 1),
    "exp": (math.exp, 1),
    "sqrt": (math.sqrt, 1),
    "log": (math.log, 1),
}
OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def negated(value: float) -> float:
    return -value


class FormulaError(ValueError):
    """The formula is none, or has no value for these rewards."""


@dataclass(frozen=True)
class Name:
    """A grader's reward."""

    text: str


@dataclass(frozen=True)
class Apply:
    """A function or an operator, of the last so many values."""

    function: Callable[..., float]
    count: int


# In postfix order, so that no formula's tree can be too deep to evaluate.
Formula = list[float | Name | Apply]


def parse(text: str) -> Formula:
    """The formula as steps.

    Raises:
        FormulaError: it is none; the message names the character.
    """
    if len(text) > LONGEST:
        raise FormulaError(f"at most {LONGEST} characters are allowed; given {len(text)}")
    parser = _Parser(text)
    parser.sum(0)
    if parser.kind:
        raise parser.wrong("an operator or the end")
    return parser.steps


def check(text: str, *, known: Collection[str]) -> None:
    """Raises FormulaError where the formula is none, or names what is not known."""
    for step in parse(text):
        if isinstance(step, Name) and step.text not in known:
            raise FormulaError(f"names {step.text!r}, which is no grader of it; there are {', '.join(known)}")


def evaluate(formula: Formula, values: Mapping[str, float]) -> float:
    """The formula's value, a finite number.

    Raises:
        FormulaError: it has none, as 1 / 0 has.
    """
    stack: list[float] = []
    try:
        for step in formula:
            if isinstance(step, Apply):
                below = stack[-step.count :]
                stack[-step.count :] = [step.function(*below)]
            else:
                stack.append(values[step.text] if isinstance(step, Name) else step)
        value = float(stack.pop())
    except (ArithmeticError, ValueError) as error:
        raise FormulaError(f"has no value for {_shown(values)}: {error}") from None
    if not math.isfinite(value):
        raise FormulaError(f"has no finite value for {_shown(values)}")
    return value


def weights(formula: Formula) -> dict[str, float]:
    """What each name of a weighted sum is multiplied by, whatever else is added; 0 for what cancels out.

    Raises:
        FormulaError: it is no weighted sum.
    """
    stack: list[dict[str, float]] = []  # weights by names, and under "" what is multiplied by none
    for step in formula:
        if isinstance(step, Apply):
            below = stack[-step.count :]
            stack[-step.count :] = [_combined(step.function, below)]
        else:
            stack.append({step.text: 1.0} if isinstance(step, Name) else {"": step})
    return {name: weight for name, weight in stack.pop().items() if name}


def _combined(function: Callable[..., float], sums: list[dict[str, float]]) -> dict[str, float]:
    numbers = [found.get("", 0.0) for found in sums if not any(found)]
    if len(numbers) == len(sums):
        return {"": evaluate([*numbers, Apply(function, len(numbers))], {})}
    if function in (operator.add, operator.sub, negated):
        names = dict.fromkeys(name for found in sums for name in found)
        return {name: function(*(found.get(name, 0.0) for found in sums)) for name in names}
    if function is operator.mul and numbers:
        [of_names] = [found for found in sums if any(found)]
        return {name: weight * numbers[0] for name, weight in of_names.items()}
    if function is operator.truediv and not any(sums[1]):
        divisor = Apply(operator.truediv, 2)
        return {name: evaluate([weight, *numbers, divisor], {}) for name, weight in sums[0].items()}
    raise FormulaError("is no weighted sum of its graders")


def _shown(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())


class _Parser:
    """One token ahead: `kind` is number, name, sign or nothing at the end, `token` its text."""

    def __init__(self, text: str) -> None:
        self.text, self.end = text.rstrip(), 0
        self.steps: Formula = []
        self.advance()

    def advance(self) -> None:
        self.start = self.end
        if self.end == len(self.text):
            self.kind = self.token = ""
            return
        found = TOKEN.match(self.text, self.end)
        if found is None:
            raise self.wrong("a number, a name, an operator or a bracket")
        self.end = found.end()
        self.kind = ("number", "name", "sign")[(found.lastindex or 1) - 1]
        self.token = found[found.lastindex or 1]

    def wrong(self, expected: str) -> FormulaError:
        rest = self.text[self.start :].lstrip()
        given = f"given {rest[:20]!r}" if rest else "it ends"
        return FormulaError(f"character {len(self.text) - len(rest) + 1}: {expected} was expected, but {given}")

    def take(self, token: str) -> None:
        if self.token != token:
            raise self.wrong(repr(token))
        self.advance()

    def sum(self, depth: int) -> None:
        self.chain("+-", self.product, depth)

    def product(self, depth: int) -> None:
        self.chain("*/", self.signed, depth)

    def chain(self, signs: str, operand: Callable[[int], None], depth: int) -> None:
        operand(depth)
        while self.kind == "sign" and self.token in signs:
            sign = self.token
            self.advance()
            operand(depth)
            self.steps.append(Apply(OPERATORS[sign], 2))

    def signed(self, depth: int) -> None:
        if depth > DEEPEST:
            raise FormulaError(f"nested deeper than {DEEPEST} levels")
        if self.kind == "sign" and self.token in "+-":
            sign = self.token
            self.advance()
            self.signed(depth + 1)
            if sign == "-":
                self.steps.append(Apply(negated, 1))
        else:
            self.power(depth)

    def power(self, depth: int) -> None:
        self.atom(depth)
        if self.token == "^":
            self.advance()
            self.signed(depth + 1)
            self.steps.append(Apply(math.pow, 2))

    def atom(self, depth: int) -> None:
        kind, token = self.kind, self.token
        if kind not in ("number", "name") and token != "(":
            raise self.wrong("a number, a name or '('")
        self.advance()
        if kind == "number":
            self.steps.append(float(token))
        elif kind == "name" and self.token == "(":
            self.call(token, depth)
        elif kind == "name":
            self.steps.append(Name(token))
        else:
            self.sum(depth + 1)
            self.take(")")

    def call(self, name: str, depth: int) -> None:
        if name not in FUNCTIONS:
            raise FormulaError(f"there is no function {name!r}; there are {', '.join(FUNCTIONS)}")
        self.take("(")
        self.sum(depth + 1)
        count = 1
        while self.token == ",":
            self.advance()
            self.sum(depth + 1)
            count += 1
        self.take(")")
        function, most = FUNCTIONS[name]
        if most and count > most:
            raise FormulaError(f"{name} takes one value; given {count}")
        self.steps.append(Apply(function, count))
