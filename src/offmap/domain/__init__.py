"""In or out of the domain that the training data cover: by which measure, how sure, and so what.

:func:`offmap.domain.analysis.domain` is the stage of a study; :mod:`~offmap.domain.before_training`
needs no study. Detectors are fitted on training rows alone, thresholds are set on rows held out of
them, and every verdict carries its interval. What the published study did instead is in
:mod:`~offmap.domain.faithful`.
"""
