"""Reports that a person reads: records in, one self-contained HTML page and one data card out."""

from __future__ import annotations

from evenscore.report.card import balance_card, write_card
from evenscore.report.page import balance_page, write_page
from evenscore.report.quality import QualityReport
from evenscore.report.quality_view import quality_page
from evenscore.report.records import BalanceReport, ClassReport

__all__ = [
    "BalanceReport",
    "ClassReport",
    "QualityReport",
    "balance_card",
    "balance_page",
    "quality_page",
    "write_card",
    "write_page",
]
