"""How the tests run: Hypothesis profiles, and no skips where everything is required.

- `dev`: 100 examples, new ones each time. `ci` (when CI is set): 300, the same ones each time.
  `nightly`: 10,000 (`make test ARGS="--hypothesis-profile nightly"`).
- MAILVERDICT_REQUIRE_ALL: a test or module that would skip, for want of a server say, fails instead.
"""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# Neither a deadline nor `too_slow`: both judge the machine's speed, and tests here never time.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", _UNTIMED, max_examples=100)
settings.register_profile("ci", _UNTIMED, max_examples=300, derandomize=True)
settings.register_profile("nightly", _UNTIMED, max_examples=10_000)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


class RequireAll:
    """Turns skips into failures, of tests and of whole modules; expected failures stay what they are."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A test that skips itself, or is marked so."""
        report = yield
        if report.skipped and not hasattr(report, "wasxfail"):
            self._fail(report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """A module that skips itself while it is imported."""
        report = yield
        if report.skipped:
            self._fail(report)
        return report

    @staticmethod
    def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: {reason}; MAILVERDICT_REQUIRE_ALL allows no skips"


def pytest_configure(config: pytest.Config) -> None:
    """Register as a plug-in: hooks of this file itself would not see the doctests of the packages."""
    if os.environ.get("MAILVERDICT_REQUIRE_ALL"):
        config.pluginmanager.register(RequireAll(), "mailverdict-require-all")
