"""The card as a page that people read and model registries take: Markdown, with the metadata that
Hugging Face's hub reads at its head."""

from collections.abc import Mapping, Sequence

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from detector.detecting.consensus import SAME_TEXT
from detector.export.card import Card

_SCORES = {
    "hmean": "CLEval H-Mean",
    "recall": "CLEval recall",
    "precision": "CLEval precision",
    "hmean_pages": "CLEval H-Mean, mean of the pages",
    "iou_hmean": "H-Mean of matches at IoU >= 0.5",
}


def card_as_markdown(card: Card) -> str:
    """The card of a model file named `model.onnx`."""
    environment = Environment(
        loader=PackageLoader("detector.export", ""),
        autoescape=False,  # Markdown, whose words are the configuration's alone
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    metrics = [
        {"type": name, "name": title, "value": round(card.scores[name], 4)}
        for name, title in _SCORES.items()
        if name in card.scores
    ]
    metadata = yaml.safe_dump(_metadata(card, metrics), sort_keys=False, allow_unicode=True)
    template = environment.get_template("card.md.j2")
    return template.render(card=card, metadata=metadata, metrics=metrics, same_text=SAME_TEXT)


def _metadata(card: Card, metrics: Sequence[Mapping[str, object]]) -> dict[str, object]:
    result = {
        "task": {"type": "object-detection", "name": "text detection"},
        "dataset": {"type": "private", "name": f"held-out pages of {card.data_digest[:12]}"},
        "metrics": list(metrics),
    }
    return {
        "license": card.licence.lower(),
        "library_name": "onnx",
        "pipeline_tag": "object-detection",
        "tags": ["text-detection", "dbnet", "onnx", "detsweep"],
        "model-index": [{"name": card.name, "results": [result]}],
    }
