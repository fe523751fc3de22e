"""The training set of a TrainingJob as a user writes it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from framework.api.fields import Day, Duration, DurationOrZero, exactly_one
from framework.api.meta import Name, Strict
from framework.api.tasks import MOST_CLASSES, Task
from framework.api.written import Text

Weight = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class FeatureRef(Strict):
    """Columns of a FeatureView, joined as of the spine's event time."""

    view: Name = Field(description="The FeatureView; it is joined by its entities")
    columns: tuple[str, ...] | Literal["all"] = Field(
        "all", description="Which columns become inputs; all: every one but its entities and its times"
    )
    keys: dict[str, str] = Field(
        default_factory=dict,
        description="An entity of the view: the column of the training set that has it under another name",
    )
    prefix: Text | None = Field(None, description="Goes before the names of its columns, to tell them from others")
    maxAge: DurationOrZero | None = Field(None, description="Older rows count as missing; default: however old")
    delay: DurationOrZero | None = Field(
        None, description="How long after its event time a row becomes available; never joined before"
    )


class Window(Strict):
    """Half-open [from, to) in event time, or the last so-much before the newest spine row that has a label."""

    from_: Day | None = Field(None, alias="from", description="The first day, in UTC")
    to: Day | None = Field(None, description="The day after the last one, in UTC")
    last: Duration | None = Field(
        None, description="Instead of from and to: so far back from the newest row whose label is known"
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.last is not None and (self.from_ or self.to):
            raise ValueError("last excludes from and to")
        if self.last is None and (self.from_ is None or self.to is None):
            raise ValueError("give from and to, or last")
        if self.from_ and self.to and self.from_ >= self.to:
            raise ValueError("from must be before to")
        return self


class Fractions(Strict):
    """Shares of the rows; together they are 1."""

    train: Share = Field(description="Share of the rows that are learned from")
    validation: Share = Field(description="Share that the search and early stopping choose by")
    test: Share = Field(description="Share that the model is judged on, and never sees before")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(self.train + self.validation + self.test - 1.0) > 1e-9:
            raise ValueError("train, validation and test must add up to 1")
        return self


class SplitAt(Strict):
    """Dates that start the validation and the test part."""

    validation: Day = Field(description="The first day of the validation part, in UTC")
    test: Day = Field(description="The first day of the test part, in UTC")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.validation >= self.test:
            raise ValueError("validation must be before test")
        return self


class Split(Strict):
    """Which rows train, which choose and which judge."""

    by: Literal["time", "random", "stratified", "group"] = Field(
        "time",
        description="time: later rows judge; random; stratified: random, with the label's shares kept; "
        "group: whole groups, so that none is in two parts",
    )
    fractions: Fractions | None = Field(None, description="How large the parts are; exactly one of fractions and at")
    at: SplitAt | None = Field(None, description="For by: time, calendar dates instead of fractions")
    group: str | None = Field(None, description="For by: group, the column whose values stay together")
    stratify: bool = Field(
        False, description="For by: group, the parts have the label's shares as nearly as whole groups allow"
    )
    gap: DurationOrZero | None = Field(
        None,
        description="For by: time, how long before the next part rows are in none: as long as it takes until a label "
        "is known",
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        exactly_one(self, "fractions", "at")
        for name in ("at", "gap"):
            if getattr(self, name) is not None and self.by != "time":
                raise ValueError(f"{name} needs by: time")
        if (self.by == "group") != (self.group is not None):
            raise ValueError("group names the column for by: group, and only for it")
        if self.stratify and self.by != "group":
            raise ValueError("stratify needs by: group; by: stratified keeps shares without groups")
        return self

    @property
    def keeps_shares(self) -> str | None:
        """What of it keeps the shares of the label's classes, None where nothing does."""
        return "by: stratified" if self.by == "stratified" else "stratify" if self.stratify else None


class Dataset(Strict):
    """Rows of a spine, and for each what other views knew at that moment and not a second later."""

    spine: Name = Field(description="FeatureView with the entity rows, the event time and the label")
    columns: tuple[str, ...] = Field((), description="Columns of the spine itself that are features")
    features: tuple[FeatureRef, ...] = Field((), description="Columns of other views, joined as of the event time")
    label: str = Field(description="The spine's column to learn")
    task: Task | None = Field(
        None,
        description="What is learned of the label; default: binary for Boolean and for 0 and 1, multiclass for Strings "
        f"and for whole numbers of at most {MOST_CLASSES} values, regression for all other numbers",
    )
    quantiles: tuple[Share, ...] = Field((), description="For task: quantile, which ones are answered, rising")
    query: str | None = Field(None, description="For task: ranking, the column whose values are the lists to rank")
    weight: str | None = Field(None, description="A column that says how much a row counts in training: 0 or more")
    classWeights: Literal["balanced"] | dict[str, Weight] | None = Field(
        None, description="How much the rows of a class count; balanced: every class as much as any other"
    )
    refresh: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0, description="Raised to train again on the data of its day, by hand or by retrain; equal rows train nothing"
    )
    loading: Literal["auto", "memory", "stream"] = Field(
        "auto",
        description="How a worker has its rows: memory: all of its share; stream: a batch at a time, from files; auto: "
        "stream where they would not fit resources.memoryPerWorker, memory otherwise",
    )
    labelDelay: Duration | None = Field(
        None,
        description="How long after its event time a label is final: rows that are younger than that beside the newest "
        "of the spine are left out, and with split.by: time so are those so close before the next part",
    )
    window: Window | None = Field(None, description="Which event times count; default: all")
    split: Split = Field(description="Which rows train, which choose and which judge")

    @model_validator(mode="after")
    def _of_the_task(self) -> Self:
        if (self.task is Task.QUANTILE) != bool(self.quantiles):
            raise ValueError("quantiles says which ones for task: quantile, and only for it")
        if list(self.quantiles) != sorted(set(self.quantiles)):
            raise ValueError("quantiles must rise, each once")
        if (self.task is Task.RANKING) != (self.query is not None):
            raise ValueError("query names the column of the lists for task: ranking, and only for it")
        if self.classWeights is not None and self.task not in (None, Task.BINARY, Task.MULTICLASS):
            raise ValueError(f"classWeights is for classes, and the task is {self.task}")
        shares = self.split.keeps_shares
        if shares is not None and self.task not in (None, Task.BINARY, Task.MULTICLASS):
            raise ValueError(f"split.{shares} keeps shares of classes, and the task is {self.task}")
        return self
