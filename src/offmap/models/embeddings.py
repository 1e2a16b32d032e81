"""What the networks of a finished study make of any material."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offmap import registry
from offmap.errors import StudyError

if TYPE_CHECKING:
    from offmap.store import Cell, Store


def embeddings(store: Store, cell: Cell, X: Any) -> NDArray[np.float64]:
    """Embeddings of materials by the network that a cell trained, without its held-out group.

    Parameters
    ----------
    store
        The study folder.
    cell
        A finished cell of a network, such as ``alignn``.
    X
        Any materials, as the model takes them.

    Returns
    -------
    ndarray
        Shape (n, d).

    Raises
    ------
    StudyError
        If the cell kept no network.
    """
    path = store.network_file(cell, "model")
    if not path.is_file():
        raise StudyError(f"{cell.name} has kept no network: {path} is not there")
    model = registry.load("model", cell.model).load(path)
    values: NDArray[np.float64] = model.embed(X)
    return values
