"""Balancing: from an unequal image folder to a balanced one."""

from __future__ import annotations

from evenscore.balancing.job import BalanceConfig, ClassResult, Stage, balance
from evenscore.balancing.plan import ClassPlan, make_plan, read_target

__all__ = ["BalanceConfig", "ClassPlan", "ClassResult", "Stage", "balance", "make_plan", "read_target"]
