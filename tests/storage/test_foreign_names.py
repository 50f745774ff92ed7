"""Names in stored documents and listings that would lead somewhere else."""

import json
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import StoreError
from detector.steps.run import Run
from detector.storage.names import leads_out
from detector.storage.run_store import RunStore
from detector.storage.snapshots import Snapshot, Snapshots

FOREIGN = [
    "../../x",
    "a/../../x",
    "..",
    "/etc/passwd",
    "//host/x",
    "file:///etc/passwd",
    "s3://other/x",
    "a\0b",
]
DIGEST = "0" * 64


@pytest.mark.parametrize("name", FOREIGN)
def test_no_key_leads_out_of_a_store(name: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("secret", encoding="utf-8")
    store = RunStore(tmp_path / "a" / "run")
    for use in (
        store.read,
        store.find_content,
        store.exists,
        store.names,
        store.find,
        store.remove,
        store.url,
        lambda key: store.write(key, b"x"),
        lambda key: store.get_file(key, tmp_path / "copy"),
        lambda key: store.put_file(tmp_path / "x", key),
        lambda key: store.folder(key).__enter__(),
    ):
        with pytest.raises(StoreError, match="leads out of its folder"):
            use(name)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_snapshot_that_names_a_foreign_file_is_damaged(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = RunStore(tmp_path / "run")
    snapshots = Snapshots(store, "folds/0")
    with snapshots.attempt(1, {}) as attempt:
        (attempt.path / "good").write_text("good", encoding="utf-8")
    tree = json.dumps({"about": {}, "files": {"good": DIGEST, name: DIGEST}})
    store.write("folds/0/snapshots/000002.abcd/000001.json", tree)
    assert snapshots.read(name) is None
    with snapshots.checked_out() as folder:
        assert [path.name for path in folder.iterdir()] == ["good"]
    assert "is damaged: going by the one before" in capsys.readouterr().out


@pytest.mark.parametrize("digest", ["../../../x", "", "0" * 63 + "/", 7, None, ["0" * 64]])
def test_a_snapshot_whose_digests_are_none_is_damaged(digest: object) -> None:
    content = json.dumps({"about": {}, "files": {"last.ckpt": digest}}).encode()
    assert Snapshot.parse("snapshots/000001.abcd/000001.json", content) is None


@pytest.mark.parametrize("tree", [{"about": {}, "files": ["a"]}, {"about": 3, "files": {}}, []])
def test_a_snapshot_of_another_form_is_damaged(tree: object) -> None:
    assert Snapshot.parse("snapshots/000001.abcd/1.json", json.dumps(tree).encode()) is None


@given(st.text(st.sampled_from("./\\:ab \0"), max_size=12))
def test_what_does_not_lead_out_stays_in_its_folder(name: str) -> None:
    folder = Path("/store/run")
    if not leads_out(name):
        assert Path(str(folder / name)).resolve().is_relative_to(folder)


def test_an_object_whose_name_leads_out_is_not_copied(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    files.store["/bucket/run/folds/0/../../../../x"] = files.store["/bucket/run/folds/0/a"] = (
        fsspec.implementations.memory.MemoryFile(files, "/bucket/run/folds/0/a", b"x")
    )
    store = RunStore("memory://bucket/run")
    with pytest.raises(StoreError, match="leads out of its folder"), store.folder("folds/0"):
        pass


@pytest.mark.parametrize("sweep", ["../../elsewhere", "/etc", "a/b", "file:///x", "", "x\n"])
def test_the_id_of_a_run_s_sweep_is_no_path(sweep: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"id": sweep}), encoding="utf-8")
    with pytest.raises(StoreError, match="id is not as this version of detsweep writes it"):
        _ = Run(str(tmp_path)).sweep
