"""`sidestream dashboards check`: every panel's and every alert's SQL runs against a database, as Grafana would send it.

Each panel runs twice: over the dashboard's own time range, where it must have something to show (unless it says what
being empty means), and over thirty days, where queries choose coarser roll-ups. A panel of a repeated row runs once
for each value of its variable and must have something to show for at least one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sidestream_dashboards.contract import has_content, panel_problems, rule_problems
from sidestream_dashboards.generate import generate
from sidestream_dashboards.loaded import LoadedDashboard, LoadedPanel, LoadedRule, load
from sidestream_dashboards.macros import Choice, MacroError, Window
from sidestream_dashboards.queries import LONG_RANGE_S, own_window, panel_sqls, variable_choices, window
from sidestream_dashboards.static import FORMATS, Problem, static_problems
from sidestream_store.read.panels import Answer, PanelReader, PanelSqlError, open_panel_reader


@dataclass(slots=True)
class Report:
    """What was checked, what is wrong, which panels are rightly empty, and the slowest query."""

    panels: int = 0
    alerts: int = 0
    failed: list[Problem] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; a panel that may be empty and is so isn't wrong."""
        return not self.failed

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "panels": self.panels,
            "alerts": self.alerts,
            "failed": [{"where": problem.where, "what": problem.what} for problem in self.failed],
            "profiles": self.profiles,
            "empty": self.empty,
            "slowest_ms": round(self.slowest_s * 1000, 1),
            "slowest": self.slowest,
        }


def check(
    dsn: str, *, files: Mapping[str, str] | None = None, filled: bool = True, now_at: datetime | None = None
) -> Report:
    """Everything wrong with the dashboards and alert rules, without and against the database.

    `files` are the generated files (default: those of this code); `filled` false lets every panel be empty.
    TransientError when the database is away, ConfigurationError when it isn't Sidestream's or a file isn't JSON.
    """
    loaded = load(generate() if files is None else files)
    report = Report(failed=static_problems(loaded), alerts=len(loaded.rules))
    with open_panel_reader(dsn) as reader:
        report.profiles.append(reader.profile)
        run = _Run(reader, report, filled, now_at or datetime.now(UTC))
        for board in loaded.dashboards:
            run.board(board)
        for rule in loaded.rules:
            run.rule(rule)
    return report


@dataclass(frozen=True, slots=True)
class _Run:
    reader: PanelReader
    report: Report
    filled: bool
    now_at: datetime

    def board(self, board: LoadedDashboard) -> None:
        panels = list(board.panels())
        self.report.panels += len(panels)
        try:
            own = own_window(board, self.now_at)
            choices = variable_choices(self.reader, board, own)
        except (PanelSqlError, MacroError) as error:
            self._failed(board.name, f"its panels can't be asked: {error}")
            return
        for panel in panels:
            if panel.json.get("type") in FORMATS:
                self._panel(panel, own, choices)

    def rule(self, rule: LoadedRule) -> None:
        try:
            problems = rule_problems(rule, self._answer(rule.where, rule.sql))
        except PanelSqlError as error:
            problems = [f"its SQL fails: {error}"]
        self._failed(rule.where, *problems)

    def _panel(self, panel: LoadedPanel, own: Window, choices: Mapping[str, Choice]) -> None:
        problems: list[str] = []
        try:
            answers = [self._answer(panel.where, sql) for sql in panel_sqls(panel, own, choices)]
            long = window(LONG_RANGE_S, self.now_at)
            more = [self._answer(panel.where, sql) for sql in panel_sqls(panel, long, choices)]
        except (PanelSqlError, MacroError) as error:
            self._failed(panel.where, f"its SQL fails: {error}")
            return
        for answer in (*answers, *more):
            problems += panel_problems(panel, answer)
        if not problems and not any(has_content(panel, answer) for answer in answers):
            if "noValue" in panel.defaults:
                self.report.empty.append(panel.where)
            elif self.filled:
                problems.append("it has nothing to show, and does not say what that would mean")
        self._failed(panel.where, *dict.fromkeys(problems))

    def _answer(self, where: str, sql: str) -> Answer:
        answer = self.reader.run(sql)
        if answer.elapsed_s > self.report.slowest_s:
            self.report.slowest_s, self.report.slowest = answer.elapsed_s, where
        return answer

    def _failed(self, where: str, *problems: str) -> None:
        self.report.failed += [Problem(where, what) for what in problems]
