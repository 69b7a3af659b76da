"""The page beside a balanced data set: one HTML file that needs nothing else, no network and no script.

Law: whatever the records hold, it is text on the page: every value is escaped, and only the charts and the data URIs,
which this package makes itself, are markup.
"""

from __future__ import annotations

from pathlib import Path

from evenscore.errors import DataError
from evenscore.report import charts, words
from evenscore.report.environment import render
from evenscore.report.figures import galleries
from evenscore.report.records import BalanceReport


def balance_page(report: BalanceReport) -> str:
    """The page as HTML text."""
    return render(
        "page.html",
        report=report,
        summary=words.summary(report),
        doubts=words.doubts(report),
        limits=words.LIMITS,
        galleries=galleries(report.classes),
        size_chart=charts.size_chart(report.classes),
        agreement_chart=charts.agreement_chart(report.classes),
        most_rows=charts.MOST_ROWS,
        most_lowest=charts.LOWEST,
        loss_chart=charts.loss_chart(report.loss_curve),
        curves=[
            (i % charts.STYLES, name)
            for i, name in enumerate(report.loss_curve)
            if charts.smooth(report.loss_curve[name])
        ],
        game_charts=_game_charts(report),
        measured=sum(each.agreement is not None for each in report.classes),
        noted=any(each.note for each in report.classes),
        totals={key: report.total(key) for key in ("real", "kept", "made", "wanted", "candidates")}
        | {key: report.total(key) for key in ("copies", "mislabelled")},
    )


def write_page(path: str | Path, report: BalanceReport) -> None:
    """Write the page to ``path``.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        Path(path).write_text(balance_page(report), encoding="utf-8", newline="\n")
    except OSError as error:
        raise DataError(
            f"the page {str(path)!r} cannot be written ({error.strerror}): free space or choose another place"
        ) from error


def _game_charts(report: BalanceReport) -> list[tuple[str, str]]:
    """Name and chart of each quantity of the game that was followed: scales differ, so each has a chart of its own."""
    charted = {name: charts.loss_chart({name: curve}, name) for name, curve in report.game_curves.items()}
    return [(name, chart) for name, chart in charted.items() if chart]
