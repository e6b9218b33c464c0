"""Settings that all tests share."""

import gc
import os
import signal

import hypothesis
import pytest

# a loaded machine is slow, not wrong
hypothesis.settings.register_profile("evolve", deadline=None)
hypothesis.settings.load_profile("evolve")

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# a shell starts what it sends to the background with Ctrl-C ignored, and children inherit that
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="Rewrite golden texts.")
    parser.addoption("--thorough", action="store_true", help="Run all cases of all tests.")


def pytest_collection_modifyitems(config, items):
    """Leave out what is marked `thorough`, unless it is wanted or named."""
    if config.option.thorough or any("::" in name for name in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]


def pytest_collection_finish():
    gc.freeze()  # thousands of tests and the libraries stay: no need to look at them ever again


@pytest.hookimpl(trylast=True)  # the reporter is made in the same hook
def pytest_configure(config):
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        config.pluginmanager.register(FailuresAtOnce(reporter))


class FailuresAtOnce:
    """Names what fails when it fails: a run that is ended early would not say it."""

    def __init__(self, reporter):
        self._reporter = reporter

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report):
        if report.failed:
            self._reporter.write_line(f"\nFAILED {report.nodeid} ({report.when})", red=True)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Keep the user's cache folder out of the tests."""
    if "EVOLVE_CACHE_DIR" not in os.environ:
        os.environ["EVOLVE_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
