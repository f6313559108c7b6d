"""The ports: what the dispatcher asks of stores and backends, in domain verbs.

Arguments and results come from `ygg.model` alone. Every `now_ms` is wall-clock milliseconds given by the
caller; no port reads a clock to decide anything. The rules in these docstrings are the contract that
`tests/contract/` runs over every implementation.
"""

from __future__ import annotations

from ygg.model import Done as Done
from ygg.model import Piece as Piece
from ygg.ports.archive import Archive as Archive
from ygg.ports.archive import Filter as Filter
from ygg.ports.backend import Backend as Backend
from ygg.ports.backend import Backends as Backends
from ygg.ports.backend import CallFailed as CallFailed
from ygg.ports.control import AttemptStarted as AttemptStarted
from ygg.ports.control import Control as Control
from ygg.ports.control import Gap as Gap
from ygg.ports.control import Moved as Moved
from ygg.ports.limiter import Denial as Denial
from ygg.ports.limiter import Limiter as Limiter
from ygg.ports.probe import Probe as Probe
from ygg.ports.probe import ProbeFailed as ProbeFailed
from ygg.ports.probe import Probes as Probes
from ygg.ports.queue import Queue as Queue
