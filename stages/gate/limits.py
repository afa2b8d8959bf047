"""What one metric is held to: bounds, a tolerance beside the base, a margin beside baselines."""

from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    ConfigDict,
    Field,
    PlainValidator,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from stages.core.metric_names import greater_is_better
from stages.core.schema import Section
from stages.gate.files import is_finite


class Tolerance(NamedTuple):
    """How far a metric may fall behind another figure; `relative`: in percent of that."""

    amount: float
    relative: bool

    def of(self, other: Decimal) -> Decimal:
        """The distance itself."""
        amount = Decimal(str(self.amount))
        return abs(other) * amount / 100 if self.relative else amount

    def __str__(self) -> str:
        return f"{self.amount:.12g}{'%' if self.relative else ''}"


def _as_written(value: Any, check: ValidatorFunctionWrapHandler) -> float:
    """The number as it was read: a table shows 62, not 62.0."""
    check(value)
    return value


def _parse_tolerance(written: Any) -> Tolerance:
    number, relative = written, False
    if isinstance(written, str) and written.strip().endswith("%"):
        number, relative = float(written.strip()[:-1]), True
    if not is_finite(number) or number < 0:
        raise ValueError("not a number of 0 or more")
    return Tolerance(number, relative)


Number = Annotated[float, WrapValidator(_as_written)]
Distance = Annotated[Tolerance, PlainValidator(_parse_tolerance)]
DISTANCE = 'a number of 0 or more, or "2%"'


class Gate(Section):
    """What one metric is held to: `gates.TASK.METRIC`."""

    model_config = ConfigDict(frozen=True)

    min: Number = None
    max: Number = None
    tolerance: Distance = Field(None, description=DISTANCE)
    # The best of the simple methods in metrics/baselines/TASK.json, and by how much.
    beats: Literal["baseline"] = None
    margin: Distance = Field(None, description=DISTANCE)
    # Of the mean over seeds, which is then held instead of the main run's figure.
    deviations: Number = Field(None, ge=0)
    better: Literal["higher", "lower"] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        bounded = self.min is not None or self.max is not None
        if not bounded and self.tolerance is None and self.beats is None:
            raise ValueError("holds nothing; give one of min, max, tolerance, beats")
        if self.margin is not None and self.beats is None:
            raise ValueError("margin: needs `beats: baseline` beside it")
        if self.beats is not None and self.direction == "neither" and bounded:
            raise ValueError("beats between a min and a max needs `better: higher` or `lower`")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; no value can hold")
        if self.deviations is not None and not bounded and self.beats is None:
            raise ValueError("deviations: needs a min, a max or beats beside it")
        if not bounded and self.better is None and self.beats is None:
            raise ValueError("a tolerance alone needs `better: higher` or `better: lower`")
        if self.better and bounded and not self.worse <= self._beyond_bounds:
            raise ValueError(f"better: {self.better} contradicts the min or max beside it")
        return self

    @property
    def _beyond_bounds(self) -> frozenset[str]:
        sides = (("falling", self.min), ("rising", self.max))
        return frozenset(side for side, bound in sides if bound is not None)

    @property
    def worse(self) -> frozenset[str]:
        """The changes for the worse, of "falling" and "rising"."""
        if self.better is None:
            return self._beyond_bounds
        return frozenset({"falling" if self.better == "higher" else "rising"})

    @property
    def direction(self) -> str:
        """Which values are better, in the words of `better`; `neither` between two bounds."""
        words = {frozenset({"falling"}): "higher", frozenset({"rising"}): "lower"}
        return words.get(self.worse, "neither")

    @property
    def floor(self) -> str:
        """What the value is held to by itself, as a table shows it."""
        held = [(">=", self.min), ("<=", self.max)]
        held = [(sign, str(bound)) for sign, bound in held if bound is not None]
        if self.beats is not None:
            sign, way = (">", "+") if self.direction == "higher" else ("<", "-")
            ahead = self.margin is not None and self.margin.amount
            text = f"baseline {way} {self.margin}" if ahead else "baseline"
            held.append((f"{sign}=" if ahead else sign, text))
        if self.deviations is None:
            return ", ".join(f"{sign} {bound}" for sign, bound in held)
        spread = f"{shown(self.deviations)} std"
        return ", ".join(
            f"mean {'-' if sign[0] == '>' else '+'} {spread} {sign} {bound}" for sign, bound in held
        )

    def directed(self, metric: str) -> "Gate":
        """With a direction, that of the metric's name where nothing else says one."""
        if self.worse:
            return self
        better = "higher" if greater_is_better(metric) else "lower"
        return self.model_copy(update={"better": better})


# Of what is not held to anything.
NO_GATE = Gate.model_construct()


def shown(limit: float | Tolerance | None) -> str:
    """Write a limit as in `params.yaml`, or `none`."""
    if limit is None or isinstance(limit, Tolerance):
        return str(limit).lower()
    return f"{limit:.12g}"
