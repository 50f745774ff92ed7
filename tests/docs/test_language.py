"""The prose of the project is plain English: these words have a usual one in their place."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

PLAIN = {
    r"told": "asked, reported, named, said",
    r"of which": "two sentences",
    r"of whom": "two sentences",
    r"anew": "again",
    r"giv(?:e|es|en|ing)(?: \w+){0,2} back": "release, requeue, return",
    r"signs? of life": "heartbeat",
    r"taken for dead": "counts as dead",
    r"foret(?:ell|ells|old)": "predict",
    r"lest": "so that … not",
    r"heeds?": "react to",
}
WORDS = re.compile(rf"\b(?:{'|'.join(PLAIN)})\b", re.IGNORECASE)
PROSE = {".py", ".md", ".yaml", ".yml", ".toml", ".j2", ".sh", ".txt", ".css", ".js", ""}
KEPT = {
    "LICENSE": "it is the law's",
    "tests/docs/test_language.py": "it has the list",
    "src/detector/tracking/wandb.py": "reads a key of files that an earlier version wrote",
    "tests/tracking/test_wandb.py": "writes a file as an earlier version did",
}


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return listed.stdout.splitlines()


def test_no_word_is_used_that_has_a_plainer_one() -> None:
    found = [
        f"{name}:{number}: {match[0]}"
        for name in tracked()
        if Path(name).suffix in PROSE and name not in KEPT and (ROOT / name).is_file()
        for number, line in enumerate((ROOT / name).read_text("utf-8", "replace").splitlines(), 1)
        if (match := WORDS.search(line))
    ]
    assert not found, "\n".join(found)
