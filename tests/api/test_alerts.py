"""docs/alerts.example.yml: rules about figures that there are, each with a section for who is paged."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from core.db import session_scope
from core.workers import repository as workers

DURATION = re.compile(r"\d+[smhd]")


@pytest.fixture
def rules(repository_root: Path) -> list[dict[str, Any]]:
    document = yaml.safe_load((repository_root / "docs" / "alerts.example.yml").read_text())
    assert set(document) == {"groups"}
    (group,) = document["groups"]
    assert set(group) == {"name", "rules"}
    return group["rules"]


@pytest.fixture
def scraped(http: httpx.Client, operator_key: str, engine: Any) -> dict[str, set[frozenset[tuple[str, str]]]]:
    """The labels of each series, by name, of a deployment in which little has happened."""
    with session_scope(engine) as session:
        report: dict[str, Any] = {"slots": 1, "devices": [], "current_attempts": [], "disk": (2, 1)}
        workers.report(session, worker_id="train@a", queue="train", **report)
    assert http.get("/v1/files").status_code == 200
    text = http.get("/metrics", headers={"authorization": f"Bearer {operator_key}"}).text
    found: dict[str, set[frozenset[tuple[str, str]]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).add(frozenset(sample.labels.items()))
    return found


def test_rules_have_the_form_of_prometheus(rules: list[dict[str, Any]]) -> None:
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert (
            {"alert", "expr", "labels", "annotations"} <= set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        )
        assert re.fullmatch(r"Tunesmith[A-Za-z]+", rule["alert"])
        assert DURATION.fullmatch(rule.get("for", "1m"))
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "runbook"}
        assert all(
            rule["expr"].count(opening) == rule["expr"].count(closing) for opening, closing in ("()", "[]", "{}")
        )


def test_rules_speak_of_figures_and_values_that_there_are(
    rules: list[dict[str, Any]], scraped: dict[str, set[frozenset[tuple[str, str]]]]
) -> None:
    for rule in rules:
        named = re.findall(r"(tunesmith_\w+)(?:\{([^}]*)\})?", rule["expr"])
        assert named, rule["alert"]
        for name, selector in named:
            assert name in scraped, (rule["alert"], name)
            for label, operator, value in re.findall(r'(\w+)(=~|=|!~|!=)"([^"]*)"', selector):
                values = {dict(labels).get(label) for labels in scraped[name]}
                assert None not in values, (rule["alert"], label)
                if label not in ("status", "route"):  # those depend on the requests that there were
                    wanted = value.split("|") if operator == "=~" else [value]
                    assert set(wanted) <= values, (rule["alert"], value)


def test_every_alert_has_its_section_and_every_section_its_alert(
    rules: list[dict[str, Any]], repository_root: Path
) -> None:
    text = (repository_root / "docs" / "operations.md").read_text()
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [name for name in sections if name.startswith("Tunesmith")] == [rule["alert"] for rule in rules]
    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        body = text.partition(f"\n## {rule['alert']}\n")[2].partition("\n## ")[0]
        assert len(body.split()) > 30, rule["alert"]
    anchors = {re.sub(r"[^\w -]", "", name).lower().replace(" ", "-") for name in sections}
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= anchors


def test_every_figure_is_described(scraped: dict[str, set[frozenset[tuple[str, str]]]], repository_root: Path) -> None:
    text = (repository_root / "docs" / "monitoring.md").read_text()
    described = set(re.findall(r"`(tunesmith_\w+)`", text))
    plain = {re.sub(r"_(bucket|count|sum)$", "", name) for name in scraped if not name.endswith("_created")}
    assert plain == described
