"""Where cells run. An engine takes work and gives back outcomes as they come, in any order."""

from offmap.engines.base import CRASHED, Outcome, n_cores
from offmap.engines.local import Local
from offmap.engines.shard import Shard

__all__ = ["CRASHED", "Local", "Outcome", "Shard", "n_cores"]
