"""Models of another kind than a price: a classifier judged by its log loss, and a ranking judged by its AUC."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plotly.utils import PlotlyJSONEncoder

import jobs
from dashboard.live.models import ModelReader
from dashboard.pages import live_error_view, models, models_view
from dashboard.ui import model_charts
from lakehouse.cli import main
from lakehouse.contract.models import Better, Metric, Model
from lakehouse.errors import DataError, RefusedError, UnavailableError
from lakehouse.models import comparison, gate, manifests
from lakehouse.models.gate import LiveMetrics
from lakehouse.models.live import LiveModel
from lakehouse.models.manifests import Headline, Manifest
from lakehouse.models.publishing import Candidate, publish
from lakehouse.models.registry import Registry

METRICS = (Metric("log_loss", "Log loss", ".4f", "0 would be perfect"), Metric("auc", "AUC", ".1%"))
RISK = Model(
    "made", "risk", "Risk of delay", METRICS, "log_loss", Better.LOWER, "jobs/made/train.py", 0.01, "flights", "days"
)
RANK = replace(RISK, name="rank", title="Ranking", headline="auc", better=Better.HIGHER)
SCHEMA = """
from lakehouse.contract import standard_tables
from lakehouse.contract.domain import Domain
from tests.lakehouse.models.test_other_models import RANK, RISK

DEAD = standard_tables.dead_letters("made", "no event")
DOMAIN = Domain("made", "Made", (), (DEAD,), {}, DEAD, models=(RISK, RANK))
"""
pytestmark = pytest.mark.usefixtures("lake")


def trained(model: Model, log_loss: float, auc: float, release: Callable[[Path], None] | None = None) -> str:
    """The version that a training with these metrics gives."""
    registry = Registry(model)
    live = registry.live()
    before = registry.manifest(live).metrics if live else {}
    candidate = Candidate(
        {"log_loss": log_loss, "auc": auc},
        LiveMetrics(live, {name: value or 0.0 for name, value in before.items()}) if live else None,
        write=lambda folder: (folder / "judged.json").write_text("{}") and None,
        release=release or (lambda folder: (folder / "export.json").write_text(json.dumps([log_loss])) and None),
        record=lambda _version: None,
        began=time.monotonic(),
    )
    return publish(registry, candidate, Manifest(trained_at="2026-05-01T02:15:00+00:00", rows={"distinct": 5000}))


def test_each_model_has_its_own_versions_and_direction() -> None:
    assert [trained(RISK, *each) for each in ((0.5, 0.7), (0.4, 0.6), (0.6, 0.9))] == ["v0001", "v0002", "v0003"]
    assert [trained(RANK, *each) for each in ((0.5, 0.7), (0.4, 0.6), (0.6, 0.9))] == ["v0001", "v0002", "v0003"]
    risk, rank = Registry(RISK), Registry(RANK)
    assert [version.outcome for version in risk.versions()] == ["published", "published", "refused"]
    assert [version.outcome for version in rank.versions()] == ["published", "refused", "published"]
    assert (risk.live(), rank.live()) == ("v0002", "v0003")
    assert manifests.best_version(risk.versions(), RISK) == "v0002"
    assert manifests.best_version(rank.versions(), RANK) == "v0003"
    assert rank.manifest("v0002").headline == Headline("auc", Better.HIGHER)
    assert rank.manifest("v0002").forms == {"log_loss": ".4f", "auc": ".1%"}


@pytest.mark.parametrize(
    ("model", "new", "live", "goes_live", "words"),
    [
        (RISK, 0.403, 0.4, True, "Log loss 0.4030 against 0.4000 of v0003 on the same flights (+0.8%)."),
        (RISK, 0.41, 0.4, False, "more than 1% worse, so v0003 stays."),
        (RANK, 0.71, 0.7, True, "AUC 71.00% against 70.00% of v0003 on the same flights (+1.4%)."),
        (RANK, 0.69, 0.7, False, "(-1.4%): more than 1% worse, so v0003 stays."),
        (RANK, 0.0, 0.0, True, "(+0.0%)"),
        (RISK, 0.1, 0.0, False, "so v0003 stays."),
        (RISK, float("nan"), 0.4, False, "Log loss nan on the hold-out is not a number, so v0003 stays."),
        (RISK, float("inf"), None, False, "is not a number, so none goes live."),
    ],
)
def test_the_gate_knows_the_direction(
    model: Model, new: float, live: float | None, goes_live: bool, words: str
) -> None:
    before = None if live is None else LiveMetrics("v0003", {model.headline: live})
    verdict = gate.judge(model, {model.headline: new}, before)
    assert (verdict.goes_live, words in verdict.reason) == (goes_live, True), verdict.reason


def test_a_release_that_does_not_agree_leaves_no_version() -> None:
    def disagrees(_folder: Path) -> None:
        raise DataError("The two forms differ.")

    with pytest.raises(DataError, match="differ"):
        trained(RISK, 0.5, 0.7, disagrees)
    assert Registry(RISK).names() == []
    trained(RISK, 0.5, 0.7)
    trained(RISK, 0.9, 0.7, disagrees)  # refused, so nothing is released
    assert [version.outcome for version in Registry(RISK).versions()] == ["published", "refused"]


def test_a_rollback_during_a_training_stays() -> None:
    registry = Registry(RISK)
    for log_loss in (0.5, 0.4):
        trained(RISK, log_loss, 0.7)
    with pytest.raises(RefusedError, match=r"v0003 of made\.risk was judged against v0002, but v0001 is live") as found:
        trained(RISK, 0.45 - 0.1, 0.7, lambda _folder: registry.rollback("v0002 is wrong") and None)
    assert "The version is kept. Train again" in str(found.value)
    assert "rollback --domain made --model risk --to v0003 --reason" in str(found.value)
    assert (registry.live(), registry.names()[-1]) == ("v0001", "v0003")
    assert registry.rollback("it is good after all", to="v0003") == registry.live() == "v0003"


def test_a_first_version_does_not_replace_one_that_went_live_meanwhile() -> None:
    with pytest.raises(RefusedError, match=r"v0002 .* was judged against no live version, but v0001 is live"):
        trained(RISK, 0.5, 0.7, lambda _folder: trained(RISK, 0.4, 0.7) and None)
    assert Registry(RISK).live() == "v0001"


def test_the_live_version_is_loaded_once_and_replaced_after_a_switch() -> None:
    loads = []

    def load(registry: Registry, version: str) -> Any:
        loads.append(version)
        return json.loads(registry.content(version, "export.json"))

    live = LiveModel(Registry(RISK), load)
    with pytest.raises(UnavailableError, match=r"no risk model yet; training needs more data\. .*jobs/made/train\.py"):
        live.get()
    trained(RISK, 0.5, 0.7)
    assert (live.get(), live.get(), loads) == ([0.5], [0.5], ["v0001"])
    trained(RISK, 0.4, 0.7)
    assert (live.get(), live.get(), loads) == ([0.4], [0.4], ["v0001", "v0002"])


def test_metrics_are_compared_in_their_formats() -> None:
    trained(RISK, 0.5, 0.7)
    trained(RISK, 0.4, 0.75)
    first, second = (Registry(RISK).manifest(name) for name in ("v0001", "v0002"))
    lines = {line.name: line for line in comparison.compare(first, second, {})}
    assert lines["metrics.log_loss"].shown == "-0.1 (-20.0%)"
    assert lines["metrics.auc"].shown == "+5.00 points (+7.1%)"
    assert comparison.text("metrics.auc", 0.75, RISK.forms) == "75.00%"
    assert not {name for name in lines if name.startswith(("headline", "forms", "model"))}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain with two models beside those of the platform."""
    (tmp_path / "jobs/made").mkdir(parents=True)
    (tmp_path / "jobs/made/__init__.py").write_text("")
    (tmp_path / "jobs/made/schema.py").write_text(SCHEMA)
    monkeypatch.setattr(jobs, "__path__", [*jobs.__path__, str(tmp_path / "jobs")])
    for name in ("jobs.made", "jobs.made.schema"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("made")
def test_the_command_serves_them_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    def lake(*arguments: str) -> str:
        main.app(["models", *arguments], standalone_mode=False)
        return capsys.readouterr().out

    trained(RISK, 0.5, 0.7)
    assert [row["log_loss"] for row in json.loads(lake("list", "--json"))] == [0.5]  # the only one with versions
    trained(RANK, 0.5, 0.7)
    trained(RANK, 0.4, 0.8)
    with pytest.raises(Exception, match=r"made has several models: risk, rank\. Name one: --model NAME\."):
        lake("list")
    with pytest.raises(Exception, match=r"no model 'cost' of made\. Models: made\.risk, made\.rank\."):
        lake("list", "--domain", "made", "--model", "cost")
    listed = lake("list", "--model", "rank").splitlines()
    assert listed[0].split()[2:4] == ["AUC", "LOG_LOSS"]
    assert listed[1].split()[:5] == ["v0002", "published", "live", "best", "80.00%"]
    shown = json.loads(lake("show", "v0002", "--model", "rank", "--json"))
    assert (shown["model"], shown["headline"]) == ("rank", {"metric": "auc", "better": "higher"})
    assert "+10.00 points" in lake("compare", "v0001", "v0002", "--model", "rank")
    assert "v0001 of made.rank is live, v0002 was." in lake("rollback", "--model", "rank", "--reason", "try")


def as_json(part: object) -> str:
    return json.dumps(part, cls=PlotlyJSONEncoder, ensure_ascii=False)


def test_the_models_page_draws_any_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ((0.5, 0.7), (0.4, 0.8), (0.4, 0.5)):
        trained(RANK, *each)
    found = ModelReader(RANK).read()
    kpis = as_json(models_view.kpis(found))
    assert all(text in kpis for text in ("v0002", "Hold-out AUC", "80.0 %", "0.4000", "distinct flights"))
    assert "Live AUC" not in kpis
    table = as_json(models_view.version_table(found))
    assert ('"data-version": "v0003"' in table, '"data-outcome": "refused"' in table) == (True, True)
    rows = models_view.version_frame(found)
    figure = model_charts.versions(rows, RANK.shown[:2], "", "dark", "r")
    assert [(line.name, line.y) for line in figure.data] == [
        ("hold-out AUC", (0.7, 0.8, 0.5)),
        ("hold-out Log loss", (0.5, 0.4, 0.4)),
    ]
    assert live_error_view.state(found).state == "empty"
    monkeypatch.setattr(models.discovery, "models", lambda: [RISK, RANK])
    page = as_json(models.layout("made", "rank"))
    assert ("Ranking: every version" in page, "Score by version" in page) == (True, True)
    assert ('"href": "/models?domain=made"' in page, models.address(RANK)) == (True, "/models?domain=made&model=rank")
    assert "model=cost" in as_json(models.layout("made", "cost"))


def test_a_metric_that_only_the_manifest_knows_is_shown() -> None:
    trained(replace(RISK, metrics=(*METRICS, Metric("brier", "Brier", ".3f"))), 0.5, 0.7)
    assert [metric.name for metric in ModelReader(RISK).read().shown] == ["log_loss", "auc", "brier"]
