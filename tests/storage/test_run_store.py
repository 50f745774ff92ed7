"""The run store, once in a folder and once on a real S3 server."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import s3fs

from detector.errors import StoreError, StoreLostError
from detector.storage.atomic import write_atomically
from detector.storage.run_store import RunStore
from tests.ports import free_port


def test_store_gives_back_what_was_written(store: RunStore) -> None:
    store.write("sweeps/a/sweep.yaml", "method: bayes\n")
    store.write("sweeps/a/model.onnx", b"\x00\x01")
    assert store.read("sweeps/a/sweep.yaml") == b"method: bayes\n"
    assert store.read("sweeps/a/model.onnx") == b"\x00\x01"


def test_later_write_replaces_the_earlier_one(store: RunStore) -> None:
    store.write("best.yaml", "trial: 1\n")
    store.write("best.yaml", "trial: 2\n")
    assert store.read("best.yaml") == b"trial: 2\n"


def test_store_knows_which_files_exist(store: RunStore) -> None:
    assert not store.exists("folds/0/best.ckpt")
    store.write("folds/0/best.ckpt", b"weights")
    assert store.exists("folds/0/best.ckpt")
    assert not store.exists("folds/0/last.ckpt")


def test_two_stores_of_one_url_see_each_others_files(store: RunStore) -> None:
    other = RunStore(store.url())
    assert not other.exists("config.yaml")
    store.write("config.yaml", "seed: 0\n")
    assert other.exists("config.yaml")
    assert other.read("config.yaml") == b"seed: 0\n"


def test_missing_file_is_an_error_that_names_it(store: RunStore) -> None:
    with pytest.raises(StoreError, match=r"sweeps/none/best\.yaml"):
        store.read("sweeps/none/best.yaml")


def test_a_path_below_a_file_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, not a folder", encoding="utf-8")
    with pytest.raises(StoreError, match=r"(?s)store/best\.yaml: .*→ check"):
        RunStore(tmp_path / "store").write("best.yaml", "trial: 1\n")


def test_an_s3_store_that_is_not_there_is_an_error_that_names_the_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match=r"(?s)does not answer.*check") as caught:
        RunStore("s3://bucket/run", patience_s=0).write("best.yaml", "trial: 1\n")
    s3fs.S3FileSystem.clear_instance_cache()
    assert "s3cret" not in str(caught.value)


class BucketThatComesLate(BaseHTTPRequestHandler):
    """As much of S3 as a `PUT` needs."""

    protocol_version = "HTTP/1.1"  # Clients wait for a 100 before they send a body.
    taken: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        self.taken[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_an_s3_store_that_is_away_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    monkeypatch.setenv("DETSWEEP_S3_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("DETSWEEP_S3_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("DETSWEEP_S3_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    started = []

    def start() -> None:
        started.append(ThreadingHTTPServer(("127.0.0.1", port), BucketThatComesLate))
        started[0].serve_forever(poll_interval=0.05)

    starting = threading.Timer(3.0, start)
    starting.start()
    RunStore("s3://bucket/run", patience_s=60).write("best.yaml", "trial: 1\n")
    started[0].shutdown()
    starting.join()
    started[0].server_close()
    s3fs.S3FileSystem.clear_instance_cache()
    assert BucketThatComesLate.taken == {"/bucket/run/best.yaml": b"trial: 1\n"}
    said = capsys.readouterr().out
    assert "waiting for the run store s3://bucket/run, up to 60 s: " in said
    assert "the run store s3://bucket/run answers again" in said


class FrozenServer(BaseHTTPRequestHandler):
    """Takes requests and never answers, as a process does that is paused."""

    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        time.sleep(1.0)

    def do_GET(self) -> None:
        self.do_HEAD()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_server_that_is_frozen_is_asked_once_before_it_is_spoken_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("detector.storage.object_store._READ_S", 0.2)
    server = ThreadingHTTPServer(("127.0.0.1", 0), FrozenServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(StoreLostError, match="does not answer"):
        RunStore("s3://bucket/run", patience_s=0).read("best.yaml")
    s3fs.S3FileSystem.clear_instance_cache()
    server.shutdown()
    server.server_close()
    assert len(FrozenServer.asked) == 1


def test_a_web_page_may_be_kept(s3_bucket: str, tmp_path: Path) -> None:
    """Elsewhere one is what a proxy answers in S3's place."""
    page, store = tmp_path / "report.html", RunStore(f"{s3_bucket}/pages")
    page.write_text("<html><title>Report</title></html>", encoding="utf-8")
    store.put_file(page, page.name)
    assert store.read(page.name) == page.read_bytes()


def test_a_bucket_that_is_not_there_is_an_error(s3_bucket: str) -> None:
    with pytest.raises(StoreError, match="no such file in the run store"):
        RunStore("s3://no-such-bucket-of-detsweep/run").read("best.yaml")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
def test_a_place_that_cannot_be_written_is_no_missing_file() -> None:
    store = RunStore("/proc/detsweep")
    with pytest.raises(StoreError, match="nothing may be written in /proc"):
        store.require_writable()
    with pytest.raises(StoreError, match="the run store cannot be written: there is no such place"):
        store.write("best.yaml", "")


def test_removed_folder_is_gone_with_all_its_files(store: RunStore) -> None:
    store.write("trials/1/metrics.jsonl", "{}\n")
    store.write("trials/1/deep/last.ckpt", b"weights")
    store.write("trials/10/metrics.jsonl", "{}\n")
    store.remove("trials/1")
    store.remove("trials/2")
    assert not store.exists("trials/1/metrics.jsonl")
    assert not store.exists("trials/1/deep/last.ckpt")
    assert store.exists("trials/10/metrics.jsonl")


def test_folder_holds_the_files_below_its_key_alone(store: RunStore) -> None:
    store.write("trials/1/metrics.jsonl", "{}\n")
    store.write("trials/1/deep/last.ckpt", b"weights")
    store.write("trials/10/metrics.jsonl", "other\n")
    with store.folder("trials/1") as folder:
        files = {p.relative_to(folder.path).as_posix() for p in folder.path.rglob("*.*")}
        assert files == {"metrics.jsonl", "deep/last.ckpt"}
        assert (folder.path / "deep/last.ckpt").read_bytes() == b"weights"


def test_folder_of_a_new_key_is_empty(store: RunStore) -> None:
    with store.folder("trials/7") as folder:
        assert list(folder.path.iterdir()) == []


def test_publish_puts_new_and_changed_files_into_the_store(store: RunStore) -> None:
    store.write("trials/1/metrics.jsonl", "1\n")
    with store.folder("trials/1") as folder:
        write_atomically(folder.path / "metrics.jsonl", b"1\n2\n")
        write_atomically(folder.path / "deep/last.ckpt", b"weights")
        folder.publish()
        assert store.read("trials/1/metrics.jsonl") == b"1\n2\n"
        assert store.read("trials/1/deep/last.ckpt") == b"weights"


def test_leaving_a_folder_publishes_what_is_left(store: RunStore) -> None:
    with store.folder("trials/1") as folder:
        (folder.path / "config.yaml").write_text("seed: 0\n", encoding="utf-8")
    assert store.read("trials/1/config.yaml") == b"seed: 0\n"


def test_published_files_outlive_a_failure_inside_the_folder(store: RunStore) -> None:
    def fail_after_publishing() -> None:
        with store.folder("trials/1") as folder:
            (folder.path / "last.ckpt").write_bytes(b"epoch 3")
            folder.publish()
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail_after_publishing()
    assert store.read("trials/1/last.ckpt") == b"epoch 3"


def test_unfinished_files_are_not_published(s3_bucket: str) -> None:
    store = RunStore(f"{s3_bucket}/unfinished")
    with store.folder("trials/1") as folder:
        (folder.path / ".last.ckpt.0.tmp").write_bytes(b"half")
        (folder.path / "last.ckpt").write_bytes(b"whole")
    assert store.exists("trials/1/last.ckpt")
    assert not store.exists("trials/1/.last.ckpt.0.tmp")


def test_put_file_copies_a_local_file(store: RunStore, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"model" * 3_000_000)
    store.put_file(tmp_path / "model.onnx", "ensemble/model.onnx")
    assert store.read("ensemble/model.onnx") == b"model" * 3_000_000


def test_url_of_a_key_opens_as_a_store(store: RunStore) -> None:
    store.write("sweeps/a/sweep.yaml", "name: a\n")
    assert RunStore(store.url("sweeps/a")).read("sweep.yaml") == b"name: a\n"


def test_unknown_protocol_is_an_error_with_a_remedy() -> None:
    with pytest.raises(StoreError, match="give a folder or a URL"):
        RunStore("nowhere://bucket/prefix")


def test_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "best.yaml"
    write_atomically(target, b"old")
    with pytest.raises(TypeError):
        write_atomically(target, "text is no bytes")  # type: ignore[arg-type]  # what is tested
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
