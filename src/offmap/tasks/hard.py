"""Hard tasks: test sets that mostly lie outside the domain of their training set, pinned by digest.

A task is *selected* as it is where enough of its test set lies out of domain, and otherwise *built*
from the part of the test set that does: the rest of the group is then in neither side, for in the
training set it would bring the domain back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, HELD_OUT, IN_DISTRIBUTION, MATERIAL_ID
from offmap.errors import DataError
from offmap.store import Store
from offmap.tasks.membership import Membership

SELECTED, BUILT = "selected", "built"
TEST, UNUSED = "test", "unused"


@dataclass(frozen=True, eq=False)
class HardTasks:
    """Tasks whose test sets lie out of domain.

    Parameters
    ----------
    material_id
        All materials, shape (n,).
    tasks
        One row per task: ``criterion``, ``held_out``, ``kind`` (``selected`` or ``built``),
        ``n_train``, ``n_test``, ``n_unused``, ``share_out``, ``test_sha256``, ``train_sha256``.
    test, unused
        Test set of each task, and materials of the group on neither side, shape (n, n_tasks).
    """

    material_id: NDArray[np.object_]
    tasks: pd.DataFrame
    test: NDArray[np.bool_]
    unused: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.tasks)

    def split(self, task: int) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """Ids of the training and of the test materials of one task."""
        test = self.test[:, task]
        return self.material_id[~(test | self.unused[:, task])], self.material_id[test]

    def members(self) -> pd.DataFrame:
        """``criterion``, ``held_out``, ``material_id``, ``side``; all else is for training."""
        parts = []
        for t, task in enumerate(self.tasks.to_dict("records")):
            side = np.where(self.test[:, t], TEST, UNUSED)
            rows = np.flatnonzero(self.test[:, t] | self.unused[:, t])
            names = {name: task[name] for name in (CRITERION, HELD_OUT)}
            parts.append(
                pd.DataFrame({MATERIAL_ID: self.material_id[rows], "side": side[rows]}).assign(
                    **names
                )
            )
        return pd.concat(parts, ignore_index=True)[[CRITERION, HELD_OUT, MATERIAL_ID, "side"]]


def select(
    membership: Membership,
    material_id: NDArray[np.object_],
    out: NDArray[np.bool_],
    min_out: float,
    min_size: int,
) -> HardTasks:
    """Take the tasks that are hard, and build them where a large enough part is.

    Parameters
    ----------
    membership
        Test sets of all tasks.
    material_id
        Shape (n,).
    out
        Which test materials lie out of domain in each task, shape (n, n_tasks), bool.
    min_out
        Share of the test materials that must lie out of domain.
    min_size
        Fewest test and training materials.

    Raises
    ------
    DataError
        If no task is left; the message names the nearest.
    """
    if not 0 < min_out <= 1:
        raise DataError(f"the share out of domain must be above 0 and at most 1, not {min_out:g}")
    rows: list[dict[str, Any]] = []
    tests, unused, seen = [], [], set()
    for t, (criterion, held_out) in enumerate(
        zip(membership.criterion, membership.held_out, strict=True)
    ):
        group = membership.matrix[:, t]
        n_train = int((~group).sum())
        found = None if criterion == IN_DISTRIBUTION else _hard(group, out[:, t], min_out, min_size)
        if found is None or n_train < min_size:
            continue
        kind, test = found
        sides = {
            "test_sha256": digest(material_id[test]),
            "train_sha256": digest(material_id[~group]),
        }
        if tuple(sides.values()) in seen:  # such as a group of one element
            continue
        seen.add(tuple(sides.values()))
        names = {CRITERION: str(criterion), HELD_OUT: str(held_out), "kind": kind}
        sizes = {
            "n_train": n_train,
            "n_test": int(test.sum()),
            "n_unused": int((group & ~test).sum()),
        }
        share = {"share_out": round(float(out[test, t].mean()), 6)}
        rows.append(names | sizes | share | sides)
        tests.append(test)
        unused.append(group & ~test)
    if not rows:
        raise _none(membership, out, min_out, min_size)
    return HardTasks(
        material_id, pd.DataFrame(rows), np.column_stack(tests), np.column_stack(unused)
    )


def _hard(
    group: NDArray[np.bool_], out: NDArray[np.bool_], min_out: float, min_size: int
) -> tuple[str, NDArray[np.bool_]] | None:
    n_test, n_out = int(group.sum()), int((group & out).sum())
    if n_test >= min_size and n_out >= min_out * n_test:
        return SELECTED, group
    return (BUILT, group & out) if n_out >= min_size else None


def _none(
    membership: Membership, out: NDArray[np.bool_], min_out: float, min_size: int
) -> DataError:
    n_out = (out & membership.matrix).sum(axis=0)
    n_test = membership.matrix.sum(axis=0)
    best = np.argsort(-n_out, kind="stable")[:3]
    named = ", ".join(
        f"{membership.criterion[t]}/{membership.held_out[t]} ({n_out[t]} of {n_test[t]})"
        for t in best
    )
    return DataError(
        f"no task has {min_size} test materials of which {min_out:.0%} lie out of domain; most "
        f"materials out of domain: {named}. Use a smaller --min-out or --min-size"
    )


def digest(material_id: Iterable[Any]) -> str:
    """SHA-256 of the sorted ids, one per line."""
    return hashlib.sha256("\n".join(sorted(map(str, material_id))).encode()).hexdigest()


def write(hard: HardTasks, about: dict[str, Any], out: str | Path) -> list[Path]:
    """Write the manifest ``<out>`` (JSON) and, beside it, the members as CSV.

    The same tasks and settings always give the same bytes: no time, no path, no order of rows.

    Parameters
    ----------
    about
        What the tasks were made from: dataset, digests, settings, versions.
    """
    out = Path(out)
    members = _csv(hard)
    manifest = about | {
        "members": _members_file(out).name,
        "members_sha256": hashlib.sha256(members.encode()).hexdigest(),
        "tasks": hard.tasks.to_dict("records"),
        MATERIAL_ID: sorted(map(str, hard.material_id)),
    }
    store = Store(out.parent)
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return [
        store.write_text(out.name, text),
        store.write_text(_members_file(out).name, members),
    ]


def read(path: str | Path) -> HardTasks:
    """Read what :func:`write` wrote; every digest is checked.

    Raises
    ------
    DataError
        If a file is missing, damaged or changed.
    """
    path = Path(path)
    manifest = read_manifest(path)
    try:
        text = (path.parent / manifest["members"]).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot read the members of {path}: {error.strerror}") from error
    if hashlib.sha256(text.encode()).hexdigest() != manifest["members_sha256"]:
        raise DataError(f"{manifest['members']} is not the file that {path} describes")
    members = pd.read_csv(StringIO(text), dtype=str, keep_default_na=False)
    ids = np.array(manifest[MATERIAL_ID], dtype=object)
    tasks = pd.DataFrame(manifest["tasks"])
    hard = HardTasks(ids, tasks, *(_mask(ids, tasks, members, side) for side in (TEST, UNUSED)))
    for t, task in enumerate(tasks.to_dict("records")):
        train, test = hard.split(t)
        if (digest(train), digest(test)) != (task["train_sha256"], task["test_sha256"]):
            raise DataError(
                f"task {task[CRITERION]}/{task[HELD_OUT]} of {path} has other materials"
            )
    return hard


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest alone."""
    try:
        manifest: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        manifest["tasks"], manifest["members_sha256"], manifest[MATERIAL_ID]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a manifest of hard tasks") from error
    return manifest


def _members_file(out: Path) -> Path:
    return out.with_name(f"{out.stem}.csv")


def _csv(hard: HardTasks) -> str:
    frame = hard.members().sort_values([CRITERION, HELD_OUT, "side", MATERIAL_ID], kind="stable")
    return frame.to_csv(index=False, lineterminator="\n")


def _mask(
    ids: NDArray[np.object_], tasks: pd.DataFrame, members: pd.DataFrame, side: str
) -> NDArray[np.bool_]:
    mask = np.zeros((len(ids), len(tasks)), dtype=bool)
    part = members[members["side"] == side]
    number = pd.MultiIndex.from_frame(tasks[[CRITERION, HELD_OUT]].astype(str))
    column = number.get_indexer(pd.MultiIndex.from_frame(part[[CRITERION, HELD_OUT]]))
    row = pd.Index(ids).get_indexer(pd.Index(part[MATERIAL_ID]))
    if (row < 0).any() or (column < 0).any():
        raise DataError("the members name a material or a task that the manifest does not have")
    mask[row, column] = True
    return mask
