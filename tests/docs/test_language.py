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
GAP = r"[\s#*]+"
WORDS = re.compile(rf"\b(?:{'|'.join(PLAIN).replace(' ', GAP)})\b", re.IGNORECASE)
PROSE = {".py", ".md", ".yaml", ".yml", ".toml", ".j2", ".sh", ".txt", ".css", ".js", ""}
KEPT = {
    "LICENSE": "it is the law's",
    "tests/docs/test_language.py": "it has the list",
    "src/detector/tracking/wandb.py": "reads a key of files that an earlier version wrote",
    "tests/tracking/test_wandb.py": "writes a file as an earlier version did",
}


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    )
    return listed.stdout.splitlines()


def test_no_word_is_used_that_has_a_plainer_one() -> None:
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for name in tracked()
        if Path(name).suffix in PROSE and name not in KEPT and (ROOT / name).is_file()
        for text in [(ROOT / name).read_text("utf-8", "replace")]
        for match in WORDS.finditer(text)
    ]
    assert not found, "\n".join(found)


def test_words_are_found_across_the_end_of_a_line() -> None:
    assert WORDS.search("two models, of\n    # which one is taken")
    assert WORDS.search("it gives the trial\nback")
    assert not WORDS.search("profoundly, the untold and the kindest")
