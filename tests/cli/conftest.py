"""Commands set up the library's log; each test gets it back as it was."""

import logging

import pytest


@pytest.fixture(autouse=True)
def _logger():
    logger = logging.getLogger('nets')
    state = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.level, logger.propagate = state
