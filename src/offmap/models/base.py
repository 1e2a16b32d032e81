"""From the name of a model to a regressor that is ready to fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from offmap import registry
from offmap.errors import SettingsError


def consumes(name: str) -> str:
    """What a model is given: ``"features"`` (the default) or ``"crystals"``."""
    return str(getattr(registry.load("model", name), "consumes", "features"))


def make_model(name: str, settings: Mapping[str, Any], seed: int, threads: int) -> Any:
    """Make a new regressor.

    Parameters
    ----------
    name
        Name of a model (``offmap ls models``) or ``package.module:Attribute``: a class or function
        that returns a scikit-learn regressor.
    settings
        Keyword arguments that replace its defaults.
    seed, threads
        Set as ``random_state`` and ``n_jobs`` where the regressor has them and ``settings`` does not.

    Raises
    ------
    SettingsError
        If the model does not take one of the settings.
    """
    factory = registry.load("model", name)
    try:
        model = factory(**settings)
    except TypeError as error:
        raise SettingsError(f"model {name!r} does not take these settings: {error}") from error
    known = model.get_params(deep=False)
    wanted = {"random_state": seed, "n_jobs": threads}
    return model.set_params(
        **{k: v for k, v in wanted.items() if k in known and k not in settings}
    )
