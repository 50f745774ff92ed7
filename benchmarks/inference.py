"""Inference on the processor, from pixels to outlines: torch, and detsweep's engines.

Two networks:

- that of preset `receipts_cpu` with the weights of a finished quick start (`make quickstart`, or
  any checkpoint named as the argument), on receipts that detsweep draws. The engines' outlines
  are compared with torch's. Beside them RapidOCR's own detector (PyPI rapidocr) at the same side.
- that of preset `hrnet_w44_1280`, whose weights nobody has trained here: one page, maps only.

"torch" is the plain network in eager mode, as most training code runs it.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import Contender, compare, console, find_peer, use_threads, version
from detector.config.loading import load_config
from detector.config.schema import Config
from detector.data.synthetic.drawing import draw_receipt
from detector.detecting.inference import Detect, Image, detect_text, normalise
from detector.detecting.postprocess import Detections
from detector.export.engine import Engine
from detector.export.engines import Network, has_bf16, open_engine
from detector.export.onnx import MeanOfMaps, export_onnx
from detector.model.checkpoint import ModelCheckpoint
from detector.model.dbnet import DBNet

SEED = 20241124
PAGES = 8
CHECKPOINT = Path("runs/quickstart/folds/0/best.ckpt")


def main(checkpoint: Path = CHECKPOINT) -> None:
    """Print both tables."""
    use_threads(torch.get_num_threads())
    if checkpoint.exists():
        time_receipts(checkpoint)
    else:
        console.print(f"skipped receipts_cpu: there is no {checkpoint}; run `make quickstart`")
    time_reference()


def time_receipts(checkpoint: Path) -> None:
    """The small network on drawn receipts."""
    config = load_config(["preset=receipts_cpu"])
    trained = ModelCheckpoint.load(checkpoint)
    network = DBNet(config.models, pretrained=False).eval()
    network.load_state_dict(trained.weights)
    pages = [draw_receipt(number, SEED).image for number in range(PAGES)]
    runs = _runs(network)
    detectors = {name: _detector(run, config) for name, run in runs.items()}
    engines = [engine for engine in Engine if engine in detectors]
    for engine in engines:
        same, boxes = _agreement(pages, detectors["torch"], detectors[engine])
        console.print(f"{engine}: {same} of torch's {boxes} boxes within a pixel")
    ours = [Contender(engine, detectors[engine]) for engine in engines]
    title = f"receipts_cpu, longest side {config.data.resize.side}, from pixels to outlines"
    compare(title, pages, ours, [Contender("torch", detectors["torch"])])
    # By itself: with RapidOCR's engine in the process torch takes another time.
    if peers := _rapidocr(config.data.resize.side):
        compare(title, pages, ours, peers)


def time_reference() -> None:
    """HRNet-W44 on one page of 1280 x 1280."""
    config = load_config(["preset=hrnet_w44_1280", "models.encoder.pretrained=false"])
    torch.manual_seed(0)
    network = DBNet(config.models)
    with torch.no_grad():
        network(torch.randn(2, 3, 128, 128))  # batch norm takes its statistics from this
    runs = _runs(network.eval())
    side = config.data.resize.side
    picture = cv2.resize(draw_receipt(0, SEED).image, (side, side), interpolation=cv2.INTER_AREA)
    page = normalise(np.asarray(picture, np.uint8), config.data.mean, config.data.std)
    expected = runs["torch"](page)
    engines = [engine for engine in Engine if engine in runs]
    for engine in engines:
        worst = float(np.abs(runs[engine](page) - expected).max())
        console.print(f"{engine}: the map differs from torch's by at most {worst:.1e}")
    compare(
        f"hrnet_w44_1280, one page of {side} x {side}, the map alone",
        [page],
        [Contender(engine, runs[engine]) for engine in engines],
        [Contender("torch", runs["torch"])],
        rounds=3,
    )


def _runs(network: DBNet) -> dict[str, Network]:
    """The network by who runs it; the engines run what detsweep exports."""
    alone = MeanOfMaps([network]).eval()

    @torch.inference_mode()
    def eager(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(alone(torch.from_numpy(images)))

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(alone, path)
        return {"torch": eager, **{engine: open_engine(path, engine) for engine in _engines()}}


def _engines() -> list[Engine]:
    """Those that this machine can run."""
    if not find_peer("openvino", "openvino"):
        return [Engine.ONNXRUNTIME]
    return [engine for engine in Engine if engine is not Engine.OPENVINO_BF16 or has_bf16()]


def _detector(run: Network, config: Config) -> Detect:
    data, postprocess = config.data, config.models.head.postprocess

    def probability_map(picture: Image) -> NDArray[np.float32]:
        return np.asarray(run(normalise(picture, data.mean, data.std))[0])

    return lambda image: detect_text(image, probability_map, data.resize, postprocess)


def _agreement(pages: Sequence[Image], torch_path: Detect, ours: Detect) -> tuple[int, int]:
    """How many of torch's boxes the other path has within a pixel, and how many there are."""
    same = total = 0
    for page in pages:
        expected, found = _corners(torch_path(page)), _corners(ours(page))
        total += len(expected)
        if len(found):
            apart = np.abs(expected[:, None] - found[None]).max(axis=(2, 3)).min(axis=1)
            same += int((apart <= 1).sum())
    return same, total


def _corners(detections: Detections) -> NDArray[np.float64]:
    return np.array([*detections.polygons], np.float64).reshape(-1, 4, 2)


def _rapidocr(side: int) -> list[Contender]:
    """RapidOCR's detector at the same longest side, or nothing if it is not installed."""
    rapidocr = find_peer("rapidocr", "rapidocr")
    if not rapidocr:
        return []
    settings = {"Global.log_level": "critical", "Det.limit_type": "max", "Det.limit_side_len": side}
    ocr: Callable[..., object] = rapidocr.RapidOCR(params=settings)

    def run(page: Image) -> object:
        return ocr(page, use_det=True, use_cls=False, use_rec=False)

    return [Contender(version("rapidocr"), run)]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
