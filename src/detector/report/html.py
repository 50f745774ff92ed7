"""Renders a report as one HTML file that needs nothing else: no network, no files beside it.

plotly.js is most of the file. It is embedded compressed (2 MB instead of 4.8 MB) and unpacked by
the browser; text, tables and pictures are there without it.
"""

import base64
import gzip
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from detector.report.canvas import kinds_of_trials
from detector.report.content import ReportData
from detector.report.figures import incumbents, learning_curves, timeline
from detector.report.importance import FEWEST, parameter_importance
from detector.report.parameters import importance_bars, parallel_coordinates, parameter_scores
from detector.report.tables import (
    change_rows,
    fixed_parameters,
    format_percent,
    format_value,
    headlines,
    rung_rows,
    score_table,
    trial_rows,
    varied_parameters,
)
from detector.sweep.outcome import SweepOutcome


def render_report(data: ReportData) -> str:
    """The report as one HTML document, below 3 MB with ten pictures of 60 kB.

    Every name and value is escaped. Parts without content (folds before there are any, charts
    before an epoch has finished) are left out.
    """
    sweep, model = data.sweep, data.model
    varied = varied_parameters(sweep.trials)
    figures = _figures(sweep, varied)
    page = _environment().get_template("report.html.j2")
    return page.render(
        data=data,
        sweep=sweep,
        model=model,
        headlines=headlines(data),
        trials=trial_rows(sweep),
        rungs=rung_rows(sweep),
        changes=change_rows(data),
        fewest_for_importance=FEWEST,
        kinds=kinds_of_trials(sweep),
        varied=varied,
        fixed=fixed_parameters(sweep.trials),
        folds=score_table([*model.folds, model.out_of_fold]) if model else None,
        candidates=score_table(model.choice.candidates) if model else None,
        figures=figures,
        plotly=_packed_plotly() if figures else None,
        style=_asset("report.css"),
        script=_asset("report.js"),
    )


def _figures(sweep: SweepOutcome, varied: Sequence[str]) -> dict[str, object]:
    """The charts that there is something to draw for, by their place in the page."""
    charts = {
        "curves": learning_curves(sweep),
        "incumbents": incumbents(sweep),
        "parallel": parallel_coordinates(sweep),
        "importance": importance_bars(parameter_importance(sweep)),
        "timeline": timeline(sweep),
    }
    charts |= {f"parameter-{i}": parameter_scores(name, sweep) for i, name in enumerate(varied)}
    # Through plotly's own encoder, which knows that JSON has no NaN.
    return {key: json.loads(chart.to_json()) for key, chart in charts.items() if chart}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("detector.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["value"] = format_value
    environment.filters["code"] = _with_code
    environment.filters["percent_of"] = format_percent
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    return environment


def _with_code(sentence: str) -> Markup:
    """A sentence, with what stands between backquotes as code."""
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", escape(sentence)))


@lru_cache(maxsize=1)
def _packed_plotly() -> str:
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def _asset(name: str) -> Markup:
    """One of this package's own files, which needs no escaping."""
    return Markup((files(__package__) / "template" / name).read_text(encoding="utf-8"))
