"""Datasets: named snapshots, live sources and files, all as one :class:`Dataset`."""

from offmap.datasets.base import Card, Dataset
from offmap.datasets.loading import load

__all__ = ["Card", "Dataset", "load"]
