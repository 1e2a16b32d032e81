"""Where the error comes from: bias by composition and structure, and what mends it.

Everywhere in offmap, bias is the mean of *predicted minus true*. The study this follows (Li et
al., Commun. Mater. 6, 9, 2025, doi 10.1038/s43246-024-00731-w) speaks of residuals, *true minus
predicted*.
"""

from offmap.bias.case import Settings
from offmap.bias.decompose import CAVEAT
from offmap.bias.job import Bias, bias
from offmap.bias.rescue import Plan
from offmap.bias.signed import CLASSES, SHIFTED
from offmap.bias.words import shifted, verdict

__all__ = [
    "CAVEAT",
    "CLASSES",
    "SHIFTED",
    "Bias",
    "Plan",
    "Settings",
    "bias",
    "shifted",
    "verdict",
]
