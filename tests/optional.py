"""Packages that `make test` does not install."""

import pytest


class Package:
    """A package whose first use skips the test where it is not installed."""

    def __init__(self, name, extra):
        self._name, self._extra = name, extra

    def __getattr__(self, attribute):
        if attribute.startswith(('_', 'pytest')):  # pytest looks for its own in every name of a module
            raise AttributeError(attribute)
        reason = "{} is not installed (pip install '.[{}]')".format(self._name, self._extra)
        return getattr(pytest.importorskip(self._name, reason=reason), attribute)


torch = Package('torch', 'torch')
