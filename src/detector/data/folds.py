"""Which page is trained on when: folds by whole groups, written down in a manifest that also holds
what the pages were, so that a later step notices if they changed."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from detector.data.data_set import AS_FOUND, DataSet, Reading
from detector.data.images import image_size, read_bytes
from detector.data.page import Page
from detector.data.problem import refuse_errors
from detector.errors import DataError

SWEEP_FOLD = 0
"""Every trial of a sweep leaves out this fold's pages and is measured on them."""

_SHOWN = 5


@dataclass(frozen=True)
class PageEntry:
    """One page of a manifest.

    Attributes:
        name: as in `Page.name`.
        sha256: of the image file, in hexadecimal.
        width: in pixels of the upright image.
        height: likewise.
        boxes: how many it has, ignored ones too.
        annotation: SHA-256 of the boxes' points, texts and marks.
        group: pages of one group share a fold; None stands alone.
        fold: from 0; None is held out of all training.
    """

    name: str
    sha256: str
    width: int
    height: int
    boxes: int
    annotation: str
    group: str | None
    fold: int | None


@dataclass(frozen=True)
class Manifest:
    """The folds of a data set, as `folds.json` holds them.

    Attributes:
        count: number of folds.
        seed: that they were drawn with.
        pages: by name.
    """

    count: int
    seed: int
    pages: tuple[PageEntry, ...]

    def digest(self) -> str:
        """SHA-256 of all that decides what is trained on: names, images, annotations and folds."""
        content = [(p.name, p.sha256, p.annotation, p.fold) for p in self.pages]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def to_json(self) -> str:
        """The manifest as `folds.json` holds it, with its digest."""
        pages = [asdict(page) for page in self.pages]
        tree = {"count": self.count, "seed": self.seed, "digest": self.digest(), "pages": pages}
        return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "folds.json") -> "Manifest":
        """Read what `to_json` wrote.

        Raises:
            DataError: the text is not a manifest, or does not agree with its own digest.
        """
        try:
            tree = json.loads(text)
            digest = tree.pop("digest")
            manifest = TypeAdapter(cls).validate_python(tree)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            first = str(error).partition("\n")[0]
            raise _bad_manifest(f"not a manifest of folds: {first}", where) from error
        if digest != manifest.digest():
            raise _bad_manifest("its digest is not that of its pages: it was edited", where)
        return manifest


@dataclass(frozen=True)
class Folds:
    """The pages of a data set with the manifest that splits them. See `open_folds`.

    Attributes:
        taught: pages that a model has labelled. Every training may learn from them; they belong to
            no fold, and nothing is measured on them.
    """

    pages: tuple[Page, ...]
    manifest: Manifest
    taught: tuple[Page, ...] = ()

    def digest(self) -> str:
        """SHA-256 of all that decides what is trained on: the manifest's, where that is all."""
        digest = self.manifest.digest()
        if not self.taught:
            return digest
        content = [(page.name, _annotation_sha256(page)) for page in self.taught]
        return hashlib.sha256(json.dumps([digest, content]).encode()).hexdigest()

    @property
    def held_out(self) -> list[Page]:
        """The pages that nothing is trained on and no configuration is chosen by."""
        return [page for page in self.pages if page.held_out]

    def training(self, fold: int | None) -> list[Page]:
        """The pages to train on: those of all folds but one, or of all where `fold` is None.

        Raises:
            DataError: there is no such fold.
        """
        self._require(fold)
        folds = self._fold_of_page()
        return [p for p in self.pages if not p.held_out and (fold is None or folds[p.name] != fold)]

    def validation(self, fold: int | None) -> list[Page]:
        """The pages to validate on: those of one fold, or the held-out ones where it is None.

        Raises:
            DataError: there is no such fold.
        """
        self._require(fold)
        folds = self._fold_of_page()
        return [page for page in self.pages if folds[page.name] == fold]

    def _fold_of_page(self) -> dict[str, int | None]:
        return {entry.name: entry.fold for entry in self.manifest.pages}

    def _require(self, fold: int | None) -> None:
        if fold is not None and not 0 <= fold < self.manifest.count:
            raise DataError(
                f"there is no fold {fold}",
                remedy=f"choose 0 to {self.manifest.count - 1}",
            )


def make_folds(
    pages: Sequence[Page],
    count: int,
    seed: int,
    held_out_fraction: float = 0.2,
    alike: Sequence[tuple[str, str]] = (),
) -> Manifest:
    """Split pages into folds with about equally many boxes, never splitting a group.

    Pages with the same image bytes count as one group, and so do pages that look alike. The largest
    groups come first, each to the fold with the fewest boxes so far, so that two folds differ by
    one group's boxes at most. The result depends on the seed and the pages, not on their order.

    Args:
        pages: of one data set, names unique.
        count: number of folds, at least 2.
        seed: decides ties, and which groups are held out.
        held_out_fraction: about this share of the boxes is held out, if no page is already; 0
            holds out nothing.
        alike: names of pages that show the same picture (`alike.find_alike`).

    Raises:
        DataError: there are fewer groups than folds (and one more if pages are to be held out), or
            an image cannot be read.
    """
    entries = _describe(sorted(pages, key=lambda page: page.name))
    groups = _merge_groups(entries, alike)
    held_out = {page.name for page in pages if page.held_out}
    if held_out_fraction == 0 and not held_out:
        _require_groups(len(groups), count, f"{count} folds")
        kept = groups
    elif held_out:
        rest = ([entry for entry in group if entry.name not in held_out] for group in groups)
        kept = [group for group in rest if group]
        _require_groups(len(kept), count, f"{count} folds")
    else:
        _require_groups(len(groups), count + 1, f"{count} folds and a held-out part")
        kept = _carve_held_out(groups, count, seed, held_out_fraction)
    fold_of = _assign(kept, count, seed)
    placed = (replace(entry, fold=fold_of.get(entry.name)) for entry in entries)
    return Manifest(count, seed, tuple(placed))


def open_folds(root: Path, manifest: Manifest, reading: Reading = AS_FOUND) -> Folds:
    """The pages of a data set, split as a manifest says, if the files are those that it describes.

    Raises:
        DataError: an image or an annotation is missing, was changed or was added since the
            manifest was made, or the data set has errors.
    """
    data_set = DataSet.read(root, reading)
    refuse_errors(data_set.problems, str(root))
    pages = {item.page.name: item.page for item in data_set.labelled}
    expected = {entry.name: entry for entry in manifest.pages}
    with ThreadPoolExecutor() as pool:
        present = [pages[name] for name in expected if name in pages]
        hashes = dict(zip((p.name for p in present), pool.map(_image_sha256, present), strict=True))
    _refuse_differences(
        root,
        {
            "missing": expected.keys() - pages.keys(),
            "new": pages.keys() - expected.keys(),
            "changed": {name for name, digest in hashes.items() if digest != expected[name].sha256},
            "annotated again": {
                page.name
                for page in present
                if _annotation_sha256(page) != expected[page.name].annotation
            },
        },
    )
    return Folds(
        tuple(replace(page, held_out=expected[page.name].fold is None) for page in present),
        manifest,
    )


def _require_groups(found: int, needed: int, purpose: str) -> None:
    if found < needed:
        raise DataError(
            f"{found} groups of pages cannot make {purpose}",
            remedy="lower folds.count, add pages, or choose another data.group_column",
        )


def _describe(pages: Sequence[Page]) -> list[PageEntry]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_describe_page, pages))


def _describe_page(page: Page) -> PageEntry:
    width, height = image_size(page.image)
    return PageEntry(
        name=page.name,
        sha256=_image_sha256(page),
        width=width,
        height=height,
        boxes=len(page.boxes),
        annotation=_annotation_sha256(page),
        group=page.group,
        fold=None,
    )


def _image_sha256(page: Page) -> str:
    return hashlib.sha256(read_bytes(page.image)).hexdigest()


def _annotation_sha256(page: Page) -> str:
    content = [(box.points.tolist(), box.text, box.ignore) for box in page.boxes]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _merge_groups(
    entries: Sequence[PageEntry], alike: Sequence[tuple[str, str]]
) -> list[list[PageEntry]]:
    """Sets of pages that must share a fold: of one group, or with the same picture."""
    parents: dict[str, str] = {}

    def root_of(key: str) -> str:
        while parents.setdefault(key, key) != key:
            key = parents[key]
        return key

    for entry in entries:
        if entry.group is not None:
            parents[root_of(f"image {entry.sha256}")] = root_of(f"group {entry.group}")
    image_of = {entry.name: f"image {entry.sha256}" for entry in entries}
    for one, other in alike:
        parents[root_of(image_of[one])] = root_of(image_of[other])
    groups: dict[str, list[PageEntry]] = defaultdict(list)
    for entry in entries:
        groups[root_of(f"image {entry.sha256}")].append(entry)
    return list(groups.values())


def _carve_held_out(
    groups: Sequence[list[PageEntry]], count: int, seed: int, fraction: float
) -> list[list[PageEntry]]:
    """The groups that stay when about a fraction of the boxes is held out."""
    drawn = sorted(groups, key=lambda group: _draw(seed, "held out", group))
    target = fraction * sum(map(_weight, groups))
    kept: list[list[PageEntry]] = []
    taken = 0
    for position, group in enumerate(drawn):
        weight = _weight(group)
        enough_left = len(kept) + len(drawn) - position - 1 >= count
        is_nearer = abs(taken + weight - target) < abs(taken - target)
        if enough_left and (is_nearer or taken == 0):
            taken += weight
        else:
            kept.append(group)
    return kept


def _assign(groups: Sequence[list[PageEntry]], count: int, seed: int) -> dict[str, int]:
    """The fold of each page, by name."""
    order = sorted(groups, key=lambda group: (-_boxes(group), _draw(seed, "folds", group)))
    boxes, pages = [0] * count, [0] * count
    fold_of: dict[str, int] = {}
    for group in order:
        fold = min(range(count), key=lambda k: (boxes[k], pages[k], k))
        boxes[fold] += _boxes(group)
        pages[fold] += len(group)
        fold_of.update((entry.name, fold) for entry in group)
    return fold_of


def _draw(seed: int, purpose: str, group: Sequence[PageEntry]) -> str:
    """A random key that depends on nothing but the seed and the group: the same in any order."""
    return hashlib.sha256(f"{seed} {purpose} {group[0].name}".encode()).hexdigest()


def _boxes(group: Iterable[PageEntry]) -> int:
    return sum(entry.boxes for entry in group)


def _weight(group: Sequence[PageEntry]) -> int:
    # A page without text weighs as one box, so that a data set of such pages can still be split.
    return sum(max(entry.boxes, 1) for entry in group)


def _refuse_differences(root: Path, differences: Mapping[str, Iterable[str]]) -> None:
    found = {kind: sorted(names) for kind, names in differences.items() if names}
    if not found:
        return
    listed = "; ".join(f"{kind}: {_first_few(names)}" for kind, names in found.items())
    raise DataError(
        f"the data set is not the one that the folds were made of ({listed})",
        where=str(root),
        remedy="restore these files, or prepare the run again in another run store",
    )


def _first_few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _bad_manifest(problem: str, where: str) -> DataError:
    return DataError(
        problem,
        where=where,
        remedy="put it back from a copy, or make it again: with `detsweep data folds`, or in a new "
        "run store",
    )
