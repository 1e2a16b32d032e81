"""Datasets: named snapshots, live sources and files, all as one :class:`Dataset`."""

from offmap.datasets.base import Card, Dataset
from offmap.datasets.catalogue import convert_source, fetch, import_file, info, ls
from offmap.datasets.loading import load

__all__ = ["Card", "Dataset", "convert_source", "fetch", "import_file", "info", "load", "ls"]
