"""From what was stored to what people see: the stats worker, verdicts, reports, plans and simulations."""

from abtest.results import worker
from abtest.results.conclusions import ExperimentResults, MetricResults, ResultService
from abtest.results.exporting import table
from abtest.results.mix import devices as made_up_devices
from abtest.results.outlook import Outlook, PlannedEffect, often, outlook
from abtest.results.planning import (
    Plan,
    PlanRequest,
    equal,
    found_with,
    next_step,
    parse_number,
    parse_part,
    parse_whole,
    plan,
    plans,
    signed,
)
from abtest.results.present import completed, measured
from abtest.results.prospects import DEVICES as PROSPECTIVE_DEVICES
from abtest.results.prospects import Prospect, ProspectService
from abtest.results.readiness import Check, checks
from abtest.results.reports import Report, ReportService, find
from abtest.results.simulation import MOST_DEVICES, Simulated, SimulationService

__all__ = [
    "MOST_DEVICES",
    "PROSPECTIVE_DEVICES",
    "Check",
    "ExperimentResults",
    "MetricResults",
    "Outlook",
    "Plan",
    "PlanRequest",
    "PlannedEffect",
    "Prospect",
    "ProspectService",
    "Report",
    "ReportService",
    "ResultService",
    "Simulated",
    "SimulationService",
    "checks",
    "completed",
    "equal",
    "find",
    "found_with",
    "made_up_devices",
    "measured",
    "next_step",
    "often",
    "outlook",
    "parse_number",
    "parse_part",
    "parse_whole",
    "plan",
    "plans",
    "signed",
    "table",
    "worker",
]
