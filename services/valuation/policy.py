"""The policy table: every factor, limit and rule between the booster's output and a value.

A table is a JSON file of lines (code, value, source) that never changes under its version.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from ml.residual_value.model import canonical
from services.valuation.model import Factor, Grade, GradeRule

FACTOR_SCALE = Decimal("0.000001")
MONTHS_PER_YEAR = 12


class PolicyRefused(Exception):
    """A policy file that cannot be read."""


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """One line: its name, its value as written, and where it comes from."""

    code: str
    value: str
    source: str


class PolicyTable:
    """One version's lines, by code."""

    def __init__(self, version: str, lines: list[PolicyLine]) -> None:
        self.version = version
        self.lines = tuple(lines)
        self.sha256 = hashlib.sha256(
            canonical([[line.code, line.value, line.source] for line in lines]).encode()
        ).hexdigest()
        self._by_code = {line.code: line for line in lines}
        self.classes = sorted(
            code.removeprefix("CLASS.") for code in self._by_code if code.startswith("CLASS.")
        )
        self._makes = frozenset(self._by_code["KNOWN_MAKES"].value.split(","))
        self._rates = {
            int(code.removeprefix("USD_CNY.")): line
            for code, line in self._by_code.items()
            if code.startswith("USD_CNY.")
        }
        # What is asked again and again: codes by prefix, and the rise of prices by months.
        self._codes: dict[str, list[str]] = {}
        self._inflation: dict[int, Factor] = {}

    def has(self, code: str) -> bool:
        """Whether the table has a line: earlier versions have fewer."""
        return code in self._by_code

    def source(self, code: str) -> str:
        """Return where a line comes from."""
        return self._by_code[code].source

    def codes(self, prefix: str) -> list[str]:
        """Return what follows a prefix in the codes that begin with it, up to the next dot."""
        if prefix not in self._codes:
            found = {
                code.removeprefix(prefix).partition(".")[0]
                for code in self._by_code
                if code.startswith(prefix)
            }
            self._codes[prefix] = sorted(found)
        return self._codes[prefix]

    def number(self, code: str) -> Decimal:
        """Return a line's value as a number.

        Raises:
            KeyError: The table has no such line; a defect.
        """
        return Decimal(self._by_code[code].value)

    def factor(self, code: str) -> Factor:
        """Return a line as a factor."""
        line = self._by_code[code]
        return Factor(code, Decimal(line.value), line.source)

    def product_group(self, equipment_class: str) -> str:
        """Return the training data's product group of a listed class, "" where it has none."""
        return self._by_code[f"CLASS.{equipment_class}"].value

    def knows_make(self, make: str) -> bool:
        """Whether a model name of this make may be looked up in the training data."""
        return " ".join(make.upper().split()) in self._makes

    def usd_cny(self, on: date) -> Factor:
        """Return the exchange rate of a day's year, or of the nearest one in the table."""
        year = min(max(on.year, min(self._rates)), max(self._rates))
        line = self._rates[year]
        return Factor(line.code, Decimal(line.value), line.source)

    def inflation(self, on: date, *, since: date) -> Factor:
        """Return the rise of prices in the whole months from the window's end to a day."""
        months = max(0, (on.year - since.year) * MONTHS_PER_YEAR + on.month - since.month)
        if months not in self._inflation:
            self._inflation[months] = self._inflated(months)
        return self._inflation[months]

    def _inflated(self, months: int) -> Factor:
        line = self._by_code["INFLATION_PER_YEAR"]
        value = (1 + Decimal(line.value)) ** (Decimal(months) / MONTHS_PER_YEAR)
        return Factor("INFLATION", value.quantize(FACTOR_SCALE), f"{months} months; {line.source}")

    def rule(self, code: str, description: str) -> GradeRule:
        """Return a rule of the grade with its figures in words."""
        return GradeRule(code, Grade(self._by_code[f"GRADE.{code}"].value), description)


def read_policy(path: Path) -> PolicyTable:
    """Return the policy table of a file.

    Raises:
        PolicyRefused: The file cannot be read as one.
    """
    try:
        content = json.loads(path.read_text())
        return PolicyTable(content["version"], [PolicyLine(**line) for line in content["lines"]])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PolicyRefused(f"{path} is not a policy table: {error!r}") from error


def read_policies(folder: Path) -> dict[str, PolicyTable]:
    """Return every policy table of a folder, by version.

    Raises:
        PolicyRefused: A file cannot be read as one.
    """
    return {table.version: table for table in map(read_policy, sorted(folder.glob("*.json")))}
