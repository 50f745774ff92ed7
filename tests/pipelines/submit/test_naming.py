"""Names of a run as Kubernetes takes them."""

import re
import shlex

import pytest

from pipelines.submit.naming import as_label, logs_command

LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


@pytest.mark.parametrize(
    "name", ["a" * 80, "/x/", "é name", "영수증", "...", "", "0.97", "a_" * 40]
)
def test_a_label_is_one_that_kubernetes_takes(name: str) -> None:
    assert LABEL.fullmatch(as_label(name))


def test_names_that_differ_in_what_a_label_leaves_out_have_labels_that_differ() -> None:
    names = ["영수증", "검출", "영수증 1", "검출 1", "é", "a" * 80, "a" * 81]
    assert len({as_label(name) for name in names}) == len(names)


def test_the_command_for_the_lines_follows_as_many_pods_as_there_are() -> None:
    words = shlex.split(logs_command("team-a", "May"))
    assert words[:2] == ["kubectl", "logs"]
    options = dict(zip(words[2::2], words[3::2], strict=False))
    assert options["--namespace"] == "team-a"
    assert options["--selector"] == "detsweep.io/sweep=May"
    assert "--follow" in words
    assert int(words[words.index("--max-log-requests") + 1]) >= 50
