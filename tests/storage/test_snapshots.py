"""Snapshots: whoever is killed or paused at whatever moment, readers find one that is whole."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typing_extensions import override

from detector.errors import StoreError
from detector.storage.atomic import write_atomically
from detector.storage.run_store import RunStore
from detector.storage.snapshots import Attempt, Snapshots, SupersededError

KEY = "trials/3"
NAMES = ("last.ckpt", "deep/best.ckpt", "metrics.jsonl")


class KilledError(Exception):
    """What ends a process here."""


class Interrupted(RunStore):
    """A store that calls something before each change of it.

    Args:
        before: takes how many changes there were.
    """

    def __init__(self, url: str, before: Callable[[int], None]):
        super().__init__(url)
        self._before, self.changes = before, 0

    def _change(self) -> None:
        self._before(self.changes)
        self.changes += 1

    @override
    def write(self, key: str, content: bytes | str) -> None:
        self._change()
        super().write(key, content)

    @override
    def put_file(self, local: Path, key: str) -> None:
        self._change()
        super().put_file(local, key)

    @override
    def remove(self, key: str) -> None:
        self._change()
        super().remove(key)


def write_epoch(work: Attempt, epoch: int) -> None:
    for name in NAMES:
        write_atomically(work.path / name, f"{name} of epoch {epoch}".encode())
    # One that stays as it is, and one that comes and goes.
    write_atomically(work.path / "config.yaml", b"seed: 0")
    write_atomically(work.path / f"only-{epoch}", b"")
    (work.path / f"only-{epoch - 1}").unlink(missing_ok=True)


def train(store: RunStore, attempt: int, epochs: int) -> None:
    """What a training does: it goes on from what is there, and publishes each epoch."""
    with Snapshots(store, KEY).attempt(attempt, {"fold": 0}) as work:
        for epoch in range(epoch_in(work.path) + 1, epochs + 1):
            write_epoch(work, epoch)
            work.publish()


def epoch_in(folder: Path) -> int:
    """Which epoch a folder holds as a whole; 0 where it is empty."""
    if not (folder / NAMES[0]).exists():
        assert list(folder.iterdir()) == []
        return 0
    (epoch,) = {int((folder / name).read_text("utf-8").rpartition(" ")[2]) for name in NAMES}
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert found == {*NAMES, "config.yaml", f"only-{epoch}"}
    return epoch


def epoch_read(store: RunStore) -> int:
    """Which epoch a reader finds."""
    try:
        with Snapshots(store, KEY).checked_out() as folder:
            return epoch_in(folder)
    except StoreError:
        return 0


def stored(store: RunStore) -> set[str]:
    return {k for k in store.find(KEY) if "/attempts/" not in k}


def test_what_is_published_is_read_and_what_is_not_is_not(store: RunStore) -> None:
    snapshots = Snapshots(store, KEY)
    assert snapshots.newest() is None
    assert snapshots.read("last.ckpt") is None
    with snapshots.attempt(1, {"fold": 2}) as work:
        write_epoch(work, 1)
        work.publish()
        write_atomically(work.path / "last.ckpt", b"half an epoch later")
        newest = snapshots.newest()
        assert newest is not None
        assert (newest.about, newest.number) == ({"fold": 2}, 1)
        assert snapshots.read("last.ckpt") == b"last.ckpt of epoch 1"
        assert snapshots.read("other") is None
        with snapshots.checked_out("deep/best.ckpt") as folder:
            assert [p.name for p in folder.rglob("*.*")] == ["best.ckpt"]
    assert snapshots.read("last.ckpt") == b"half an epoch later"


def test_what_ends_by_an_error_is_not_published(store: RunStore) -> None:
    def fail() -> None:
        with Snapshots(store, KEY).attempt(1, {}) as work:
            write_epoch(work, 1)
            raise KilledError

    with pytest.raises(KilledError):
        fail()
    assert Snapshots(store, KEY).newest() is None


def test_an_attempt_goes_on_from_the_one_before_or_from_nothing(store: RunStore) -> None:
    train(store, 1, epochs=2)
    with Snapshots(store, KEY).attempt(2, {}) as work:
        assert epoch_in(work.path) == 2
    with Snapshots(store, KEY).attempt(3, {}, inherits=False) as work:
        assert epoch_in(work.path) == 0
        write_epoch(work, 1)
    assert epoch_read(store) == 1


def test_who_is_not_counted_is_one_more_than_all_so_far(store: RunStore) -> None:
    for expected in ("000001", "000002", "000003"):
        with Snapshots(store, KEY).attempt(None, {}) as work:
            write_epoch(work, 1)
        newest = Snapshots(store, KEY).newest()
        assert newest is not None
        assert newest.attempt.startswith(expected)


def test_what_was_never_stored_cannot_be_checked_out(store: RunStore) -> None:
    train(store, 1, epochs=1)
    with pytest.raises(StoreError, match="nothing whole"), Snapshots(store, KEY).checked_out("x"):
        pass


def test_the_first_snapshot_of_an_attempt_leaves_only_the_one_that_it_went_on_from(
    store: RunStore,
) -> None:
    train(store, 1, epochs=3)
    store.write(f"{KEY}/files/000001.dead/abc-last.ckpt", b"never named by a snapshot")
    with Snapshots(store, KEY).attempt(2, {}) as work:
        write_epoch(work, 4)
    assert len([k for k in stored(store) if "/snapshots/" in k]) == 2
    assert not [k for k in stored(store) if "000001.dead" in k]
    with Snapshots(store, KEY).attempt(3, {}, inherits=False) as work:
        write_epoch(work, 1)
    assert all("/000003." in key for key in stored(store))


def test_a_snapshot_that_would_say_the_same_is_not_written(store: RunStore) -> None:
    with Snapshots(store, KEY).attempt(1, {}) as work:
        write_epoch(work, 1)
        work.publish()
        before = store.find(KEY)
        work.publish()
        assert store.find(KEY) == before


def changes_of(store: RunStore, run: Callable[[RunStore], None]) -> int:
    counting = Interrupted(store.url(), lambda _: None)
    run(counting)
    store.remove(KEY)
    return counting.changes


def moments(store: RunStore, changes: int) -> range:
    """Before which of so many changes something happens: before each, or at S3 before some."""
    return range(0, changes, 1 if store.is_local else 7)


def two_attempts(store: RunStore) -> None:
    train(store, 1, epochs=2)
    train(store, 2, epochs=4)


def test_killed_at_any_change_the_next_attempt_goes_on_and_leaves_nothing(
    store: RunStore,
) -> None:
    for last in moments(store, changes_of(store, two_attempts)):

        def kill(changes: int, last: int = last) -> None:
            if changes == last:
                raise KilledError

        with pytest.raises(KilledError):
            two_attempts(Interrupted(store.url(), kill))
        epoch_read(store)
        train(store, 7, epochs=6)
        assert epoch_read(store) == 6
        newest = Snapshots(store, KEY).newest()
        assert newest is not None
        before = [k for k in stored(store) if k.startswith(f"{KEY}/snapshots/000007")]
        assert f"{KEY}/{newest.key}" in before
        assert len(before) == 2
        assert all("/000007." in key for key in stored(store))
        # What belongs to two snapshots: five files each, and one of them is the same.
        assert len(stored(store)) == 2 + 2 * 5 - 1
        store.remove(KEY)


def test_paused_at_any_change_an_attempt_spoils_nothing_for_its_successor(
    store: RunStore,
) -> None:
    """The successor works while the other is paused, as one does whose lease ran out."""
    for moment in moments(store, changes_of(store, two_attempts)):
        reached: list[int] = []

        def pause(changes: int, moment: int = moment, reached: list[int] = reached) -> None:
            if changes == moment:
                train(store, 9, epochs=6)
                reached.append(epoch_read(store))

        try:
            two_attempts(Interrupted(store.url(), pause))
        except SupersededError as error:
            assert "another attempt" in str(error)
        assert reached == [6] == [epoch_read(store)]
        newest = Snapshots(store, KEY).newest()
        assert newest is not None
        assert newest.attempt.startswith("000009")
        store.remove(KEY)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"about": {}}'])
def test_a_snapshot_that_was_cut_off_heals_to_the_one_before(
    store: RunStore, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    train(store, 1, epochs=3)
    newest = Snapshots(store, KEY).newest()
    assert newest is not None
    store.write(f"{KEY}/{newest.key}", damage)
    assert epoch_read(store) == 2
    assert "is damaged: going by the one before" in capsys.readouterr().out
    train(store, 2, epochs=4)
    assert epoch_read(store) == 4


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_was_cut_off_heals_to_the_snapshot_before(store: RunStore, name: str) -> None:
    train(store, 1, epochs=3)
    newest = Snapshots(store, KEY).newest()
    assert newest is not None
    store.write(f"{KEY}/{newest.key_of(name)}", b"")
    assert epoch_read(store) == 2
    assert Snapshots(store, KEY).read(name) == f"{name} of epoch 2".encode()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 40)), min_size=1, max_size=6
    )
)
def test_whatever_comes_after_what_readers_find_a_whole_epoch(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int]]
) -> None:
    """Attempts that rise or repeat, train some epochs, and are killed somewhere or not."""
    store = RunStore(tmp_path_factory.mktemp("store"))
    attempt = 0
    for rise, epochs, last in events:
        attempt += rise

        def kill(changes: int, last: int = last) -> None:
            if changes == last:
                raise KilledError

        before = epoch_read(store)
        try:
            train(Interrupted(store.url(), kill), attempt, before + epochs)
        except KilledError:
            assert before <= epoch_read(store) <= before + epochs
        else:
            assert epoch_read(store) == before + epochs
