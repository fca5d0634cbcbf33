"""Hypothesis on a shared machine: a slow example is not a wrong one."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
