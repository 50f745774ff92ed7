"""What a run is asked to be, and what is refused before a pod starts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.errors import ConfigError, DetsweepError, SweepError
from detector.sweepfile.spec import parse_sweep
from pipelines.settings import CHECKING, TRAINING_ON_CPU, TRAINING_ON_GPU, Resources, Settings
from pipelines.submit.errors import SubmitError
from pipelines.submit.options import DEFAULTS, Asked

SWEEP = """\
name: {name}
method: random
run_cap: 2
metric: {{name: val/hmean, goal: maximize}}
parameters:
  models.optimizer.lr: {{min: 0.001, max: 0.008}}
"""


def given(*words: str) -> dict[str, Any]:
    return Asked(words).request().arguments


def test_values_have_the_type_of_their_parameter() -> None:
    words = ("agents=3", 'node_selector={"a": "b"}', "baseline=0.97", "tolerations=[]")
    assert given(*words) == {
        "agents": 3,
        "node_selector": {"a": "b"},
        "baseline": "0.97",
        "tolerations": [],
    }


@pytest.mark.parametrize("word", ["agents=three", "agents=[1]", "agents=1.5", "overrides={}"])
def test_a_value_of_another_type_is_refused(word: str) -> None:
    with pytest.raises(SubmitError, match=f"{word.partition('=')[0]}: .* is no "):
        given(word)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("agents=0", "agents: 0 is too few\n.*give 1 or more"),
        ("agents=-2", "agents: -2 is too few"),
        ("gpus_per_fold=0", "gpus_per_fold: 0 is too few"),
        ("nodes_per_fold=0", "nodes_per_fold: 0 is too few"),
        ("trials_per_agent=-1", "trials_per_agent: -1 is too few\n.*give 0 or more"),
        ("folds=-1", "folds: -1 is too few"),
        ("store_url=", "store_url: '' is empty"),
        ("image= x", "image: ' x' is empty or has blanks"),
        ("baseline=model.onnx", "baseline: 'model.onnx' is no URL and no whole path"),
        ("data=receipts", "data: 'receipts' is no URL"),
        ('node_selector={"a":1}', r'node_selector, a: 1 is no text.*\n.*"1", in quotes'),
        ('node_selector={"a":true}', "node_selector, a: true is no text"),
        ('tolerations=["gpu"]', 'tolerations, "gpu": a toleration is an object'),
        ('tolerations=[{"kay":"gpu"}]', "has no 'kay'; did you mean 'key'"),
        ('tolerations=[{"key":"gpu","value":1}]', "its value is no text"),
        ('tolerations=[{"key":"gpu","operator":"Is"}]', "operator is none of Equal, Exists"),
        ('tolerations=[{"key":"gpu","effect":"No"}]', "effect is none of NoSchedule"),
    ],
)
def test_a_value_that_a_pod_would_refuse_hours_later_is_refused_now(word: str, said: str) -> None:
    with pytest.raises(SubmitError, match=said):
        given(word)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("baseline=97", "baseline: 97 is no H-Mean"),
        ("prefer=acuracy", "no candidate 'acuracy'; did you mean 'accuracy'"),
        ("prefer=fold 5", "no candidate 'fold 5'"),
        ("backend_url=mysql://db", "mysql://db: no backend of this kind"),
        ("sweep_yaml=method: bayes", "sweep_yaml"),
    ],
)
def test_what_a_run_on_one_machine_refuses_is_refused_here(word: str, said: str) -> None:
    with pytest.raises(DetsweepError, match=said):
        given(word)


def test_a_sweep_file_with_an_error_that_only_its_check_finds_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "method: random\nrun_cap: 4\nmetric: {name: val/hmaen, goal: maximize}\n"
        "parameters: {models.optimizer.lr: {min: 0.0001, max: 0.001}}\n",
        encoding="utf-8",
    )
    with pytest.raises(SweepError, match="no training logs 'val/hmaen'"):
        Asked(sweep=file).request()


def test_one_fold_is_too_few_to_leave_one_out() -> None:
    with pytest.raises(ConfigError, match=r"folds\.count"):
        given("folds=1")


def test_words_of_the_configuration_are_added_to_the_default_preset() -> None:
    assert given("trainer.max_epochs=5")["overrides"] == [
        "preset=hrnet_w44_1280",
        "trainer.max_epochs=5",
    ]
    assert given("preset=receipts_cpu", "folds.count=3")["overrides"] == [
        "preset=receipts_cpu",
        "folds.count=3",
    ]


def test_configuration_and_sweep_are_checked_here(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        given("trainer.max_epoch=3")
    broken = tmp_path / "sweep.yaml"
    broken.write_text("method: luck", encoding="utf-8")
    with pytest.raises(SweepError, match=r"sweep\.yaml"):
        Asked(sweep=broken).request()
    with pytest.raises(SweepError, match="cannot read the sweep file"):
        Asked(sweep=tmp_path / "none.yaml").request()


def test_gpus_that_a_batch_cannot_be_shared_by_are_refused_before_the_sweep() -> None:
    with pytest.raises(ConfigError, match=r"data\.batch_size=2 times .* shared by 4 processes"):
        given("gpus_per_fold=2", "nodes_per_fold=2")
    shared = Asked(words=["gpus_per_fold=2", "nodes_per_fold=2", "data.batch_size=4"]).request()
    assert (shared.settings.gpus_per_fold, shared.settings.nodes_per_fold) == (2, 2)


def test_options_become_settings_and_parameters() -> None:
    request = Asked(
        words=["agents=3"],
        name="May",
        image="registry.example/trainer@sha256:0",
        gpu="nvidia.com/mig-3g.40gb",
        queue="team",
        pull_secrets=["registry", "other"],
        node_selectors=["gpu.product=H100"],
        tolerations=["gpu=yes:NoSchedule", "spot:NoExecute", "odd"],
    ).request()
    assert request.settings == Settings(
        label="May",
        gpu="nvidia.com/mig-3g.40gb",
        training=TRAINING_ON_GPU,
        pull_secrets=("registry", "other"),
        queue="team",
        backend=DEFAULTS["backend_url"],
        tracker="none",
    )
    assert request.arguments == {
        "agents": 3,
        "image": "registry.example/trainer@sha256:0",
        "node_selector": {"gpu.product": "H100"},
        "tolerations": [
            {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
            {"key": "spot", "operator": "Exists", "effect": "NoExecute"},
            {"key": "odd", "operator": "Exists"},
        ],
    }


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(words=["image=a"], image="b"), "--image: it is given by image="),
        (Asked(node_selectors=["gpu"]), "--node-selector: 'gpu' is no LABEL=VALUE"),
        (Asked(tolerations=["gpu:Never"]), "its effect is none of"),
        (Asked(memory="lots"), "--memory: 'lots' is no quantity"),
        (Asked(cpu="0"), "--cpu: '0' asks for nothing"),
        (Asked(memory="4Gi:2Gi"), "--memory: '4Gi:2Gi' asks for nothing, or for more than"),
        (
            Asked(words=["nodes_per_fold=2"], folds_on="pod"),
            "--folds-on: a pod is on one node, and a fold is to be on 2",
        ),
    ],
)
def test_options_that_do_not_go_are_refused(asked: Asked, said: str) -> None:
    with pytest.raises(SubmitError, match=said):
        asked.request()


def test_what_a_step_asks_for_suits_the_preset() -> None:
    assert Asked().request().settings.training == TRAINING_ON_GPU
    assert Asked(gpu="").request().settings.training == TRAINING_ON_CPU
    small = Asked(words=["preset=quickstart"]).request().settings
    assert small.training == TRAINING_ON_CPU
    assert small.gpu == "nvidia.com/gpu"


@pytest.mark.parametrize(
    ("cpu", "memory", "training"),
    [
        ("2", "8Gi", Resources("2", "8", "8Gi", "32Gi")),
        ("500m:2", "2.5Gi:2.5Gi", Resources("500m", "2", "2560Mi", "2560Mi")),
        ("16", "64Gi", Resources("16", "16", "64Gi", "64Gi")),
    ],
)
def test_what_a_step_asks_for_can_be_said(cpu: str, memory: str, training: Resources) -> None:
    request = Asked(cpu=cpu, memory=memory).request()
    assert request.settings.training == training
    request.pipeline()  # kfp takes these quantities


def test_no_other_step_asks_for_more_than_one_that_trains() -> None:
    small = Asked(cpu="500m:2", memory="1Gi").request().settings
    assert small.checking == replace(CHECKING, cpu="500m", memory="1Gi")
    assert Asked().request().settings.checking == CHECKING


def test_a_sweep_of_any_alphabet_gets_a_name_and_a_text_that_every_database_takes(
    tmp_path: Path,
) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP.format(name="영수증 검출"), encoding="utf-8")
    request = Asked(sweep=file).request()
    assert request.settings.label == request.name == "sweep-1443f53f"
    text = request.arguments["sweep_yaml"]
    assert text.isascii()
    assert yaml.safe_load(text) == yaml.safe_load(file.read_text(encoding="utf-8"))
    assert parse_sweep(text, "sweep_yaml").name == "영수증 검출"
    assert Asked(sweep=file, name="May").request().name == "May"


def test_a_sweep_of_plain_letters_is_handed_on_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("# why\n" + SWEEP.format(name="May receipts"), encoding="utf-8")
    request = Asked(sweep=file).request()
    assert request.arguments["sweep_yaml"] == file.read_text(encoding="utf-8")
    assert (request.name, request.settings.label) == ("May receipts", "May-receipts")
