"""A plan as a comment on a pull request: short enough, found again, and harmless whatever it quotes."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.planning.grammar.changes import Change, FieldDiff, Plan, Refusal, Verb
from framework.planning.grammar.forecast import Endpoint, Forecast, Work
from framework.render.markdown import LIMIT, escaped, fenced, marker, plan_markdown
from tests.unit.render.plans import MIXED, PLANS, change, plan
from tests.unit.render.samples import TRAINING

OURS = {
    "h3", "p", "code", "pre", "details", "summary", "b", "strong", "blockquote", "ul", "li", "sub",
    "table", "thead", "tbody", "tr", "th", "td", "em",
}  # fmt: skip
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</details></summary><script>alert(1)</script>",
    "-->\n\n# heading\n- item",
    "```\n\n<b>out</b>",
    "`````` ` `",
    "[click](http://evil.example) ![x](http://evil.example/x.png)",
    "@octocat please look, @org/team too, me@example.com",
    "fixes #123, GH-123, org/repo#7",
    "a | b | c\n| --- | --- |",
    "http://evil.example www.evil.example",
    "&lt;b&gt; &amp; &#64;octocat",
    "\x1b[31mred\x07\u202e",
    "$\\LaTeX$ :tada: ~~gone~~ **bold** _it_",
]


class _Page(HTMLParser):
    """Tags, and the text outside of code, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.prose = ""
        self.text = ""
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        self._code += tag in {"code", "pre"}

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in {"code", "pre"}

    def handle_data(self, data: str) -> None:
        self.text += data
        self.prose += "" if self._code else data


def shown(markdown: str) -> _Page:
    page = _Page()
    page.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))
    return page


def harmless(markdown: str) -> _Page:
    page = shown(markdown)
    assert {tag for tag, _ in page.tags} <= OURS
    assert all(
        name == "class" and str(value).startswith("language-") for _, attrs in page.tags for name, value in attrs
    )
    assert not re.search(r"@[A-Za-z0-9]", page.prose)
    assert not re.search(r"#\d", page.prose)
    assert not set(markdown) & set("\x1b\x07\u202e\r")
    return page


def everywhere(text: str) -> Plan:
    """A plan that quotes a text wherever a user's text may stand."""
    diffs = (
        FieldDiff(f"labels.{text}", text, f"{text}\n{text}", Category.METADATA),
        FieldDiff("list", [text], [text, {text: text}], Category.RETRAIN),
        FieldDiff(text, None, text, Category.RETRAIN),
    )
    changed = change(TRAINING, Verb.UPDATE, text, category=Category.RETRAIN, diffs=diffs)
    return replace(
        plan(changed),
        environment=text,
        commit=text,
        base=text,
        refusals=(Refusal(TRAINING, text, text),),
        forecast=Forecast(
            endpoints=(Endpoint(TRAINING, text, 0.5, 10),),
            work=(Work(TRAINING, "train", 1, 3.0, text),),
            lacking=(text,),
        ),
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_user_wrote_is_shown_and_does_nothing(text: str) -> None:
    page = harmless(plan_markdown(everywhere(text)))
    assert [tag for tag, _ in page.tags].count("details") == 1


@pytest.mark.parametrize("name", PLANS)
def test_every_sample_is_harmless_and_folded(name: str) -> None:
    page = harmless(plan_markdown(PLANS[name]))
    folded = sum(item.verb is not Verb.NOOP for item in PLANS[name].changes)
    assert [tag for tag, _ in page.tags].count("details") == folded


def test_prose_can_be_read_as_it_was_written() -> None:
    text = "removes column a_b (Float64), which TrainingJob/x uses: 5 < 6 & *all* of `it`"
    assert shown(escaped(text)).text.strip() == text


def test_a_fence_is_longer_than_what_it_holds() -> None:
    assert fenced(["a", "b ```` c"], "diff").splitlines()[0] == "`````diff"
    assert fenced(["plain"], "diff").splitlines() == ["```diff", "plain", "```"]


def test_the_first_line_finds_the_comment_again() -> None:
    assert plan_markdown(MIXED).splitlines()[0] == "<!-- mlopsctl-plan:local -->"
    assert marker("x --> <b>") == "<!-- mlopsctl-plan:x-b- -->"


def test_the_digest_is_told() -> None:
    assert f"`{MIXED.digest}`" in plan_markdown(MIXED)


def many(count: int, verb: Verb = Verb.UPDATE, category: Category = Category.MATERIALIZE) -> tuple[Change, ...]:
    diff = FieldDiff("transform.sql", "SELECT 1\n", "SELECT 2\n", category)
    kind = "FeatureView" if verb is Verb.UPDATE else "TrainingJob"
    return tuple(
        change(Ref(kind, f"item-{number:05}"), verb, "changed in git", category=category, diffs=(diff,))
        for number in range(count)
    )


def test_ten_thousand_changes_fit_with_a_count_of_what_is_left_out() -> None:
    text = plan_markdown(plan(*many(10_000)))
    assert 50_000 < len(text) < LIMIT
    blocks = text.count("<details>")
    assert blocks == text.count("</details>")
    assert f"**{10_000 - blocks:,} more changes** not shown here" in text
    harmless(text)


def test_where_not_all_fit_the_dearest_and_the_removals_are_shown_in_their_order() -> None:
    broken = change(Ref("FeatureView", "zz-last"), Verb.UPDATE, "breaks", category=Category.BREAKING)
    gone = change(Ref("ModelDeployment", "gone"), Verb.DELETE, "removed from git", category=Category.METADATA)
    text = plan_markdown(plan(*many(5_000, category=Category.RETRAIN), broken, gone))
    assert text.index("FeatureView/item-00000") < text.index("FeatureView/zz-last") < text.index("ModelDeployment/gone")


def test_thousands_of_refusals_and_of_work_leave_room_too() -> None:
    refs = [Ref("FeatureView", f"v{number}") for number in range(3_000)]
    whole = replace(
        plan(*many(3_000)),
        refusals=tuple(Refusal(ref, "Denied", "no " * 900) for ref in refs),
        forecast=Forecast(
            endpoints=tuple(Endpoint(ref, "/route", None, 10) for ref in refs),
            work=tuple(Work(ref, "materialise", 1, 1.0, "median of 5 runs") for ref in refs),
        ),
    )
    text = plan_markdown(whole)
    assert len(text) < LIMIT
    assert "and 2,960 more reasons" in text


def test_one_enormous_difference_is_named_and_not_shown() -> None:
    diff = FieldDiff("transform.sql", None, "SELECT\n" * 50_000, Category.MATERIALIZE)
    text = plan_markdown(plan(change(TRAINING, Verb.UPDATE, "x", diffs=(diff,)), *many(3)))
    assert "1 field differs, too much to show here" in text
    assert "FeatureView/item-00002" in text
    assert len(text) < LIMIT
