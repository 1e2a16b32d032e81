"""From the name of a model to a regressor that is ready to fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from offmap import registry
from offmap.errors import SettingsError, UnknownNameError

_METHODS = ("fit", "predict", "get_params", "set_params")


def consumes(name: str) -> str:
    """What a model is given: ``"features"`` (the default) or ``"crystals"``."""
    return str(getattr(registry.load("model", name), "consumes", "features"))


def needs_gpu(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether a model is to run on a graphics card: its ``device`` says so, or its ``gpu``."""
    device = str(settings.get("device", settings.get("device_type", "")))
    marked = bool(getattr(registry.load("model", name), "gpu", False))
    return device.startswith(("cuda", "gpu")) or (marked and not device)


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
        Set as ``random_state`` and ``n_jobs`` where the regressor, or a step of the pipeline that
        it is, has them and ``settings`` does not.

    Raises
    ------
    SettingsError
        If the model does not take one of the settings, or is no scikit-learn regressor.
    """
    return build_model(registry.load("model", name), name, settings, seed, threads)


def build_model(
    factory: Callable[..., Any], name: str, settings: Mapping[str, Any], seed: int, threads: int
) -> Any:
    """Make a new regressor from the class or function itself; see :func:`make_model`."""
    try:
        model = factory(**settings)
    except ModuleNotFoundError as error:
        entry = registry.names("model").get(name)
        if entry is not None and entry.extra:
            raise registry.missing_extra(f"model {name!r}", entry.extra, error) from error
        raise
    except TypeError as error:
        raise SettingsError(f"model {name!r} does not take these settings: {error}") from error
    missing = [method for method in _METHODS if not callable(getattr(model, method, None))]
    if missing:
        raise SettingsError(
            f"model {name!r} is not a scikit-learn regressor: it has no {', '.join(missing)}"
        )
    wanted = {"random_state": seed, "n_jobs": threads}
    return model.set_params(
        **{
            parameter: wanted[last]
            for parameter in model.get_params()
            if (last := parameter.rpartition("__")[2]) in wanted and parameter not in settings
        }
    )


def check_settings(model: str, settings: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise :class:`UnknownNameError` for a setting that the model's library would pass over."""
    names = set(known)
    for name in settings:
        if name not in names:
            raise UnknownNameError(f"setting of model {model!r}", name, names)
