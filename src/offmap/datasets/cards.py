"""What ``cards.toml`` says about the named snapshots."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from offmap.datasets.base import Card
from offmap.datasets.layout import Layout
from offmap.errors import UnknownNameError


@dataclass(frozen=True)
class Snapshot:
    """A named file of somebody's database: where it is, what it holds and how it is read."""

    name: str
    title: str
    file: str
    source: str
    licence: str
    citation: str
    targets: dict[str, str]
    url: str = ""
    zenodo: str = ""
    checksum: str = ""
    doi: str = ""
    functional: str = ""
    n_materials: int = 0
    id: str = ""
    structure: str = ""
    drop_last: int = 0
    rename: dict[str, str] = field(default_factory=dict)
    known_flaws: tuple[str, ...] = ()

    @property
    def layout(self) -> Layout:
        """The columns that are known beforehand."""
        return Layout(material_id=self.id, structure=self.structure)

    @property
    def where(self) -> str:
        """The address that a person would open."""
        return self.url or f"https://zenodo.org/records/{self.zenodo}"

    def card(self) -> Card:
        """Provenance, for the dataset."""
        return Card(
            name=self.name,
            title=self.title,
            source=f"{self.source}; {self.where}",
            licence=self.licence,
            citation=self.citation,
            doi=self.doi,
            functional=self.functional,
            targets=dict(self.targets),
            known_flaws=tuple(self.known_flaws),
        )


@cache
def snapshots() -> dict[str, Snapshot]:
    """Every named snapshot."""
    text = (files("offmap.datasets") / "cards.toml").read_text(encoding="utf-8")
    return {name: Snapshot(name=name, **facts) for name, facts in tomllib.loads(text).items()}


def snapshot(name: str) -> Snapshot:
    """The snapshot of this name.

    Raises
    ------
    UnknownNameError
        If there is none; the message names the near ones.
    """
    if name not in snapshots():
        raise UnknownNameError("published dataset", name, snapshots())
    return snapshots()[name]
