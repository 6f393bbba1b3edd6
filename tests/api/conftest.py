"""Services of a module's own, on SQLite."""

from collections.abc import Iterator

import pytest

from tests.api.services import READ_TOKEN, TOKEN, Service, service_on


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service."""
    with service_on(tmp_path_factory.mktemp("plain")) as service:
        yield service


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a token that may write, and one that may read."""
    with service_on(tmp_path_factory.mktemp("protected"), token=TOKEN, read_token=READ_TOKEN) as service:
        yield service
