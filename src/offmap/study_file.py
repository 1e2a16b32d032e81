"""The study file: settings and provenance of a study, and a twin should it be damaged or edited."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offmap.checked_files import put, sealed, unsealed
from offmap.errors import OffmapError, StudyError
from offmap.study import Study

# Settings that may grow between two runs in one folder: what is there stays valid.
_MAY_GROW = ("models", "criteria", "representations")

_NO_TOML = (OSError, ValueError, KeyError, RecursionError)


class StudyFile:
    """``study.toml`` of a folder, and ``_study.toml``, what it held when it was written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path, self._twin = folder / "study.toml", folder / "_study.toml"

    def exists(self) -> bool:
        """Whether there is one, or its twin."""
        return self.path.is_file() or self._twin.is_file()

    def study(self) -> Study:
        """The configuration, from the twin if the study file is damaged."""
        for path in (self.path, self._twin):
            try:
                return _whole_study(path)
            except (OffmapError, *_NO_TOML) as error:
                why = error
        if self._twin.exists():
            raise StudyError(f"cannot read {self.path}: {why}")
        return Study.from_toml(self.path)

    def written(self) -> Study:
        """The configuration that the folder was made with, whatever was edited since."""
        try:
            return _whole_study(self._twin)
        except (OffmapError, *_NO_TOML):
            pass
        try:
            return self.study()
        except OffmapError as error:
            raise StudyError(
                f"{self.path} and its twin are damaged ({error}): what settings {self.folder}"
                " was made with is not known; choose another --out"
            ) from error

    def provenance(self) -> dict[str, Any]:
        """Where the data came from, what they hashed to, and the versions that were used."""
        errors = []
        for path in (self._twin, self.path):
            try:
                provenance: dict[str, Any] = _toml(path)["provenance"]
            except _NO_TOML as error:
                errors.append(error)
            else:
                return provenance
        raise StudyError(f"cannot read {self.path}: {errors[-1]}")

    def check(self, study: Study, data_sha256: str = "") -> None:
        """Raise :class:`StudyError` unless this study can be begun, or gone on with, here."""
        if not self.exists():
            if self.folder.exists() and not _is_empty(self.folder):
                raise StudyError(f"{self.folder} exists and is not a study; choose another --out")
            return
        old = self.written()
        lines = [
            line for line in old.differences(study) if not _grew(old, study, line.partition(":")[0])
        ]
        before = self.provenance().get("data_sha256", "")
        if before and data_sha256 and before != data_sha256:
            lines.append(f"the data themselves: sha256 {before[:12]}… -> {data_sha256[:12]}…")
        if lines:
            raise StudyError(
                f"{self.folder} holds a study with other settings:\n  "
                + "\n  ".join(lines)
                + "\nUse those settings again, or choose another --out."
            )

    def write(self, study: Study, provenance: Mapping[str, Any]) -> None:
        """Write both."""
        import tomli_w

        text = tomli_w.dumps(study.to_dict() | {"provenance": dict(provenance)})
        put(self._twin, lambda path: path.write_text(sealed(text), "utf-8"))
        put(self.path, lambda path: path.write_text(text, "utf-8"))


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(unsealed(path.read_text(encoding="utf-8")))


def _whole_study(path: Path) -> Study:
    """The configuration in a file that holds the provenance too, written last: it is not cut."""
    settings = _toml(path)
    del settings["provenance"]
    return Study.from_dict(settings)


def _is_empty(folder: Path) -> bool:
    """Whether nothing is there but the lock and what a killed run left."""
    return folder.is_dir() and all(path.name.startswith(".") for path in folder.iterdir())


def _grew(old: Study, new: Study, name: str) -> bool:
    return name in _MAY_GROW and set(getattr(old, name)) <= set(getattr(new, name))
