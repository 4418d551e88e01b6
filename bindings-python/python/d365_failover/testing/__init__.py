"""A pair of endpoints in the process, with faults: so that an application's bad day can be tested.

    from d365_failover.testing import FailoverPair

    with FailoverPair() as pair, pair.client() as client:
        pair.primary.cut_after_commit()
        ...
        assert pair.duplicates() == []

With pytest the fixture `failover_pair` is one. Needs nothing but the standard library.
"""

from ._fault import Fault as Fault
from ._pair import FailoverPair as FailoverPair
from ._side import Seen as Seen
from ._side import Side as Side
from ._store import Row as Row
