"""The documentation names files and tests that exist, and leaves no benchmark out."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
THEORY = sorted(page for page in (ROOT / "docs" / "theory").glob("*.rst") if page.stem != "index")
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
PAGES = sorted(
    path for path in (ROOT / "docs").rglob("*.rst") if not {"_build", "gallery", "generated"} & set(path.parts)
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_files_and_tests_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    files = re.findall(r"``((?:tests|examples|[a-z]+)/[\w/]+\.py)[`:]", text)
    assert [
        name for name in files if not any((base / name).is_file() for base in (ROOT, ROOT / "sklearn_derand"))
    ] == []
    tests = re.findall(r"(?:``|::)(test_\w+)``", text)
    assert [name for name in tests if f"def {name}(" not in TESTS] == []


@pytest.mark.parametrize("page", THEORY, ids=lambda page: page.stem)
def test_every_page_of_theory_names_its_file_and_its_test(page):
    text = page.read_text(encoding="utf-8")
    assert re.search(r"``(?:engine|problems|special|estimators)/\w+\.py``", text)
    assert re.search(r"``tests/[\w/]+\.py|``test_\w+``", text)


@pytest.mark.parametrize("page", THEORY, ids=lambda page: page.stem)
def test_every_statement_of_theory_has_its_proof(page):
    text = page.read_text(encoding="utf-8")
    n_statements = len(re.findall(r"^\*\*(?:Lemma|Theorem|Claim)", text, flags=re.MULTILINE))
    n_proofs = len(re.findall(r"\*Proof\.\*", text))
    cited = len(re.findall(r"^\*\*Theorem\*\* \(\w+ \d{4}\)", text, flags=re.MULTILINE))  # proved where it is cited
    assert n_proofs >= n_statements - cited


def test_the_benchmarks_page_shows_every_benchmark():
    page = (ROOT / "docs" / "benchmarks" / "index.rst").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\.\. benchmark:: (\w+)$", page, flags=re.MULTILINE))
    files = (ROOT / "examples" / "benchmarks").glob("*.py")
    scripts = {path.stem for path in files if "__main__" in path.read_text(encoding="utf-8")}
    assert scripts
    tables = {path.stem for path in (ROOT / "docs" / "benchmarks").glob("*.txt")}
    assert scripts | tables <= shown
