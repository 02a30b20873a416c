"""A domain's model, as its schema.py declares it: metrics, direction, gate, and what its predictions compare with."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from lakehouse.contract.tables import Table
from lakehouse.errors import LakeError

FORM = r"^,?\.\d[fge%]$"  # a format that Python and d3 both read


class Better(StrEnum):
    """Which of two values of a metric is the better one."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True)
class Metric:
    """A metric on the hold-out. `form` formats it: a pattern that Python and d3 both read, as .1%, .3f or ,.0f.

    `note` explains its value on the page. The Models page shows a metric unless `shown` is False.
    """

    name: str
    title: str
    form: str = ".3f"
    note: str = ""
    shown: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch(FORM, self.form):
            raise LakeError(
                f"The format of the metric {self.name} is {self.form!r}; a format is as .1%, .3f or ,.0f.",
                "Correct `form` of this Metric in the domain's schema.py.",
            )

    @property
    def is_share(self) -> bool:
        """Whether its values are fractions, shown in percent."""
        return self.form.endswith("%")


@dataclass(frozen=True)
class LiveCheck:
    """How predictions are compared with what happened: tables, their columns, and the error of one prediction.

    `predictions` has a row per model_version and `key`; the first row of `outcomes` with that key counts, for the
    version that was live at its `at`. `only` limits the outcomes to rows with this value in this column. The live
    error is the mean of `error(predicted, actual)` and is of the headline's kind. `unit` and `event` say what is
    counted, as in "3 houses sold"; `about` and `empty` are sentences for the page.
    """

    predictions: Table
    predicted: str
    outcomes: Table
    actual: str
    at: str
    error: Callable[[float, float], float]
    key: str = "id"
    only: tuple[str, str] | None = None
    unit: str = "prediction"
    event: str = "settled"
    about: str = "The predictions of each version against what happened since."
    empty: str = "Nothing that was predicted has happened yet."


@dataclass(frozen=True)
class Model:
    """A model of a domain; its versions lie in var/models/<domain>/<name>/.

    - `metrics`: on the hold-out; `headline` names the one that decides, `better` is its direction
    - `tolerance`: how much worse (relative) than the live version's a new headline may be
    - `rows`, `entities`: what it learns from, and what its hold-out keeps apart, as nouns: sales of houses
    - `train`: the job that trains it; `needs`: what that takes, for a sentence
    - `live`: how its predictions are compared with what happened since
    - `was_alone`: its versions may lie in var/models/<domain>/, where those of a domain's only model once lay
    """

    domain: str
    name: str
    title: str
    metrics: tuple[Metric, ...]
    headline: str
    better: Better
    train: str
    tolerance: float = 0.02
    rows: str = "rows"
    entities: str = "rows"
    needs: str = "more data"
    live: LiveCheck | None = None
    was_alone: bool = False

    @property
    def full_name(self) -> str:
        """<domain>.<name>."""
        return f"{self.domain}.{self.name}"

    @property
    def metric(self) -> Metric:
        """The headline metric."""
        return next(metric for metric in self.metrics if metric.name == self.headline)

    @property
    def shown(self) -> tuple[Metric, ...]:
        """The metrics that the page shows, the headline first."""
        return (self.metric, *(each for each in self.metrics if each.shown and each.name != self.headline))

    @property
    def forms(self) -> dict[str, str]:
        """The format of each metric, by name."""
        return {metric.name: metric.form for metric in self.metrics}

    @property
    def missing(self) -> str:
        """The sentence for a model without a version: how to train one."""
        return f"There is no model yet; it takes {self.needs}. Train one: `./spark-submit.sh {self.train}`"
