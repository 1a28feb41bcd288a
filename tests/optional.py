"""What `make test` leaves out: packages that it does not install, and cases that `make soak` adds."""

import os

import pytest

# Of deeper networks of a kind whose shallower ones are tested always.
soak = pytest.mark.skipif(not os.environ.get('SOAK'), reason='a case of make soak')


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
