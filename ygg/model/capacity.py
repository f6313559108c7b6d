"""How many tasks may wait for another submit to be taken."""

from __future__ import annotations

from dataclasses import dataclass

from ygg.errors import QueueFull

AGAIN_S, WHOLE_AGAIN_S = 10.0, 60.0  #: when to come back to a full queue


@dataclass(frozen=True, slots=True)
class Capacity:
    """Up to `most` waiting tasks. `single`: of those that came so, as each task of this submit does and stays; else of all,
    and the submit is taken whole or not at all."""

    most: int
    single: bool = False

    def full(self, waiting: int, coming: int) -> QueueFull:
        """What who comes with so many is told where so many wait."""
        if self.single:
            return QueueFull(
                f"{waiting} tasks of single submits wait, and no more may than {self.most}",
                hint="wait for it to drain, or raise policies.capacity",
                retry_after_s=AGAIN_S,
            )
        return QueueFull(
            f"{waiting} tasks wait: with these {coming} they would be more than {self.most}",
            hint="wait for it to drain, or raise policies.batch_capacity",
            retry_after_s=WHOLE_AGAIN_S,
        )
