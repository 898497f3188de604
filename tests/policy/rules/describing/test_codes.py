"""Every code that a mistake may have is described once, and nothing else is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from policy.rules.describing.codes import CODES, codes_section, meaning_of

ROOT = Path(__file__).parents[4]
SOURCES = [*(ROOT / "policy" / "rules").rglob("*.py"), ROOT / "policy/yamlfile.py", ROOT / "policy/testing/cases.py",
           ROOT / "policy/testing/wants.py"]  # fmt: skip
TELLING = {"Problem", "problem", "_finding", "_problem", "_Refused", "Suspicion"}
# Calls that pass on a code that others were found to say, by what they pass.
PASSING = {"code", "each.code", "suspicion.code", "refused.code", "says[0]", "f'unknown-{to}'"}
CODE = re.compile(r"[a-z]+(?:-[a-z0-9]+)*")


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def word(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def codes_of(source: str) -> Iterator[str]:
    """Codes in calls that tell of a mistake, kinds of names that may be unknown, and codes that are returned."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and called(node) in TELLING and len(node.args) > 1:
            found = [word(each) for each in node.args if CODE.fullmatch(word(each))]
            passed = {ast.unparse(each) for each in node.args} & PASSING
            assert found or passed, f"no code in `{ast.unparse(node)}`"
            yield from found[:1]
        elif isinstance(node, ast.Call) and called(node) == "reference" and word(node.args[0]):
            yield f"unknown-{word(node.args[0])}"
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
            code, says = node.value.elts
            if "-" in word(code) and isinstance(says, ast.JoinedStr):
                yield word(code)


def test_every_code_has_an_entry_and_every_entry_a_code() -> None:
    said = {code for path in SOURCES for code in codes_of(path.read_text("utf-8"))}
    assert len(said) > 60
    assert said == CODES.keys()


def test_the_search_for_codes_sees_each_way_to_say_one() -> None:
    source = (
        "def f():\n    report.problem(node, 'bad-a', 'b c')\n    raise _Refused(mark, 'tag', 'c d')\n"
        "x = reference('route')\ndef g():\n    return 'never-b', f'c {d}'\n"
    )
    assert sorted(codes_of(source)) == ["bad-a", "never-b", "tag", "unknown-route"]


def test_what_is_said_of_a_code_is_said_in_sentences() -> None:
    for code, meaning in CODES.items():
        for text in (meaning.says, meaning.mend):
            assert text.endswith("."), code
            assert text[0].isupper() or text[0] == "`", code


def test_each_code_is_a_heading_to_link_to() -> None:
    headings = re.findall(r"^#### (.*)$", codes_section(), re.MULTILINE)
    assert headings == list(CODES)


def test_a_code_that_nobody_described_is_told_all_the_same() -> None:
    assert "message" in meaning_of("no-such-code").says
