"""The one configuration of a study: validated, frozen, read from and written to TOML."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offmap import registry
from offmap.columns import STUDY_CRITERIA
from offmap.errors import SettingsError, UnknownNameError

if TYPE_CHECKING:
    from offmap.report import Report

_MANY = 10**9


@dataclass(frozen=True)
class Study:
    """What is predicted, from what, by which models, over which tasks.

    Parameters
    ----------
    dataset
        Name of a dataset (``offmap data ls``) or path of a file or folder of crystals.
    target
        Column to predict; by default the dataset's first target.
    models
        Names of models (``offmap ls models``) or ``package.module:Attribute``.
    criteria
        Names of criteria (``offmap ls criteria``) or ``package.module:function``.
    representations
        Names of representations for models that consume features.
    min_size
        A task is kept only if train and test each have at least this many materials.
    seed
        Seed of everything random.
    n_folds
        Random folds of the in-distribution reference.
    symprec
        Tolerance of the symmetry finder, angstrom.
    n_bootstrap
        Resamples behind every interval.
    confidence
        Nominal coverage of the intervals.
    limit
        Use a random sample of this many materials (0: all), to try things out.
    exclude
        Boolean columns of the dataset; materials where one is true are set aside.
    cleaning
        ``"none"``, or ``"study"`` for the published rule: target below 5 eV/atom.
    model_settings
        Model name -> keyword arguments that replace its defaults.

    Raises
    ------
    SettingsError
        If a value cannot be used; the message names it.
    UnknownNameError
        If a model, criterion or representation is unknown.
    """

    dataset: str = "prototypes"
    target: str = ""
    models: tuple[str, ...] = ("lgbm",)
    criteria: tuple[str, ...] = STUDY_CRITERIA
    representations: tuple[str, ...] = ("matminer",)
    min_size: int = 200
    seed: int = 0
    n_folds: int = 5
    symprec: float = 0.01
    n_bootstrap: int = 200
    confidence: float = 0.95
    limit: int = 0
    exclude: tuple[str, ...] = ()
    cleaning: str = "none"
    model_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, _coerced(f, getattr(self, f.name)))
        for kind, chosen in (
            ("model", self.models),
            ("criterion", self.criteria),
            ("representation", self.representations),
        ):
            if not chosen:
                raise SettingsError(f"a study needs at least one {kind}")
            for name in chosen:
                registry.check(kind, name)
        for name in self.model_settings:
            if name not in self.models:
                raise UnknownNameError("model in model_settings", name, self.models)
        _check_range("min_size", self.min_size, 2, _MANY)
        _check_range("n_folds", self.n_folds, 2, 100)
        _check_range("n_bootstrap", self.n_bootstrap, 0, 100_000)
        _check_range("limit", self.limit, 0, _MANY)
        _check_range("seed", self.seed, 0, 2**31 - 1)
        _check_range("symprec", self.symprec, 1e-8, 1.0)
        _check_range("confidence", self.confidence, 0.5, 0.9999)
        if self.cleaning not in ("none", "study"):
            raise UnknownNameError("cleaning", self.cleaning, ("none", "study"))

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Study:
        """From plain values; unknown keys are errors that name the near ones."""
        known = {f.name for f in dataclasses.fields(cls)}
        for key in settings:
            if key not in known:
                raise UnknownNameError("setting", key, known)
        return cls(**settings)

    @classmethod
    def from_toml(cls, path: str | Path) -> Study:
        """Read a study file. What describes a finished run (``[provenance]``) is left out."""
        try:
            settings = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"cannot read the study file {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SettingsError(f"{path} is not a text file: {error}") from error
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"{path} is not valid TOML: {error}") from error
        settings.pop("provenance", None)
        return cls.from_dict(settings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they go into TOML and JSON."""
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        settings["model_settings"] = _plain("model_settings", self.model_settings)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}

    def replace(self, **changes: Any) -> Study:
        """A copy with some settings changed."""
        return dataclasses.replace(self, **changes)

    @property
    def folder(self) -> Path:
        """Where it is run unless told otherwise: ``offmap-<dataset>`` in the current folder."""
        return Path(f"offmap-{Path(self.dataset).name.partition('.')[0]}")

    def report(self, out: str | Path | None = None) -> Report:
        """Build the report of what has been run so far; in a notebook it shows itself.

        Parameters
        ----------
        out
            Study folder; by default ``offmap-<dataset>``.

        Raises
        ------
        StudyError
            If nothing was run there, or a study with other settings.
        """
        import offmap  # the front door: a study itself knows nothing of what is built on it

        report: Report = offmap.show(out or self.folder, self)
        return report

    def differences(self, other: Study) -> list[str]:
        """What differs in ``other``, a line per setting."""
        mine, theirs = self.to_dict(), other.to_dict()
        return [
            f"{k}: {mine[k]!r} -> {theirs[k]!r}"
            for k in mine
            if mine[k] != theirs[k] and _text(mine[k]) != _text(theirs[k])
        ]


def _coerced(f: dataclasses.Field[Any], value: Any) -> Any:
    """The value in its declared type, or an error that names the setting."""
    kind = str(f.type)
    if kind.startswith("tuple"):
        value = (value,) if isinstance(value, str) else value
        if isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
            return tuple(dict.fromkeys(value))
        raise SettingsError(f"{f.name} must be a list of names, not {_shown(value)}")
    if kind.startswith("Mapping"):
        if isinstance(value, Mapping) and all(isinstance(v, Mapping) for v in value.values()):
            return _plain(f.name, value)
        raise SettingsError(f"{f.name} must be a table of tables, not {_shown(value)}")
    if kind == "float" and isinstance(value, int) and abs(value) < _MANY:
        value = value if isinstance(value, bool) else float(value)
    expected = {"str": str, "int": int, "float": float}[kind]
    if not isinstance(value, expected) or isinstance(value, bool):
        raise SettingsError(f"{f.name} must be of type {kind}, not {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.80}"
    except ValueError:  # Python does not spell out integers of thousands of digits
        return "this huge number"


def _text(value: Any) -> str:
    """The value as text that does not depend on the order of keys; NaN equals NaN here."""
    return json.dumps(value, sort_keys=True, default=str)


def _plain(name: str, value: Any) -> Any:
    """A copy made of what TOML can hold, so that what is written reads back the same."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(f"{name}.{key}", v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(name, v) for v in value]
    if isinstance(value, (str, float, date, time)):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    raise SettingsError(f"{name} must be text, a number, a list or a table, not {_shown(value)}")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # NaN fails too
        raise SettingsError(f"{name} must be between {low:g} and {high:g}, not {_shown(value)}")
