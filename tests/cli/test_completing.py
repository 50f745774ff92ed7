"""What the shells complete, asked of real ones."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from detector.cli.completing import complete_sweep_id

BIN = Path(sys.executable).parent
BASH = """
source /dev/stdin <<< "$(detsweep --show-completion bash)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_detsweep_completion detsweep
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
compdef() { :; }
_arguments() { print -r -- "$@" }
_files() { print -r -- FILES }
eval "$(detsweep --show-completion zsh)"
words=("$@") CURRENT=$#
_detsweep_completion
"""


def ask(shell: str, script: str, folder: Path, words: tuple[str, ...]) -> str:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, *(["--norc"] if shell == "bash" else ["-f"]), "-c", script, shell, *words],
        cwd=folder,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bash(folder: Path, *words: str) -> list[str]:
    return ask("bash", BASH, folder, ("detsweep", *words)).split()


def test_bash_completes_commands(tmp_path: Path) -> None:
    assert bash(tmp_path, "sweep", "st") == ["status", "stop"]


def test_bash_completes_options(tmp_path: Path) -> None:
    assert bash(tmp_path, "predict", "--over") == ["--overlay"]


def test_bash_completes_keys_with_their_defaults(tmp_path: Path) -> None:
    assert bash(tmp_path, "train", "models.optimizer.beta") == [
        "models.optimizer.beta1=0.9",
        "models.optimizer.beta2=0.999",
    ]


def test_bash_completes_a_preset_behind_the_equals_sign_that_is_a_word_of_its_own(
    tmp_path: Path,
) -> None:
    presets = ["hrnet_w44_1280", "hrnet_w48_1280"]
    assert bash(tmp_path, "config", "show", "preset", "=", "hr") == presets
    assert set(presets) < set(bash(tmp_path, "config", "show", "preset", "="))


def test_bash_completes_the_ids_of_sweeps_that_were_run_here(tmp_path: Path) -> None:
    (tmp_path / "runs/receipts/sweeps/abc123").mkdir(parents=True)
    (tmp_path / "runs/quickstart/sweeps/xyz").mkdir(parents=True)
    assert bash(tmp_path, "sweep", "status", "a") == ["abc123"]


def test_zsh_completes_keys_and_says_what_they_do(tmp_path: Path) -> None:
    shown = ask("zsh", ZSH, tmp_path, ("detsweep", "train", "models.optimizer.we"))
    assert '"models.optimizer.weight_decay=6e-05":"Decoupled weight decay."' in shown


def test_zsh_completes_a_preset_as_one_word(tmp_path: Path) -> None:
    shown = ask("zsh", ZSH, tmp_path, ("detsweep", "train", "preset=rec"))
    assert '"preset=receipts_cpu":"Receipts on two CPU cores' in shown


def test_the_values_of_a_key_are_those_it_may_have(tmp_path: Path) -> None:
    def values(key: str, begun: str) -> list[str]:
        return bash(tmp_path, "train", key, "=", begun)

    assert values("trainer.precision", "b") == ["bf16"]
    assert values("data.augment.enabled", "f") == ["false"]
    assert values("trainer.max_epochs", "") == ["20"]
    assert values("no.such.key", "") == []


def test_no_sweep_is_completed_where_none_was_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert complete_sweep_id("") == []


def test_what_weights_may_start_from_is_completed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.ckpt").touch()
    (tmp_path / "run" / "metrics.jsonl").touch()
    assert bash(tmp_path, "train", "models.init", "=") == ["ppocr_v4_mobile", "run/", "null"]
    assert bash(tmp_path, "train", "models.init", "=", "run/") == ["run/best.ckpt"]


def test_networks_are_completed_those_of_presets_and_of_timm(tmp_path: Path) -> None:
    key = "models.encoder.model_name"
    assert bash(tmp_path, "train", key, "=", "hrnet_w4") == ["hrnet_w44", "hrnet_w48"]
    assert "resnet18" in bash(tmp_path, "train", key, "=", "resnet1")


def test_a_value_that_may_be_left_out_is_completed_as_null(tmp_path: Path) -> None:
    assert bash(tmp_path, "train", "folds.retrain", "=") == ["null"]
    assert bash(tmp_path, "train", "data.group_column", "=", "n") == ["null"]


def test_folders_and_preferences_are_completed(tmp_path: Path) -> None:
    (tmp_path / "my-pages").mkdir()
    assert bash(tmp_path, "train", "data.path", "=", "my") == ["my-pages/"]
    assert bash(tmp_path, "run", "--prefer", "b") == ["balance"]
