"""The pytest plugin of d365-failover: the fixture `failover_pair`. Imports nothing before a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from d365_failover.testing import FailoverPair


@pytest.fixture
def failover_pair() -> Iterator[FailoverPair]:
    """A pair of endpoints of the test's own (`d365_failover.testing.FailoverPair`), without a fault."""
    from d365_failover.testing import FailoverPair

    with FailoverPair() as pair:
        yield pair
