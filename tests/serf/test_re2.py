"""RE2 as Go matches it. Results and error texts were checked against the rules of Go's `regexp/syntax`."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serfcompat.serf.re2 import search
from serfcompat.serf.re2_parser import RE2Error


def matches(expression, value):
    return search(expression.encode(), value.encode("utf-8", "surrogateescape")).matched


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("", ""), ("", "anything"), ("eb", "web1"), ("^web", "web1"), ("us-.*", "us-east"), ("a|b", "b"), ("a||b", ""),
        ("(?m)^web$", "web\n"), (r"a\z", "ba"), (r"\Aa", "ab"), (r"\bfoo\b", "a foo b"), (r"o\Bo", "foo"),
        ("a{,2}", "a{,2}"), ("a{2,}", "aa"), ("a{0,3}b", "b"), ("^a{2}$", "aa"), ("(a*)*b", "b"), ("x{01}", "x{01}"),
        ("(?i)WEB", "web"), ("(?i:a)b", "Ab"), ("a(?i)b", "aB"), ("(?i)[a-c]x", "BX"), ("(?i)k", "\u212a"),
        ("(?-i)a", "a"), ("(?U)a+?", "a"), ("(?s).", "\n"), ("(?P<n>a)", "a"), ("(?<n>a)", "a"), ("(?:a)", "a"),
        ("[[:alpha:]]", "1a"), ("[[:^alpha:]]", "1"), (r"[\d-z]", "-"), ("[]a]", "]"), ("[a-]", "-"), ("[^a]", "\n"),
        (r"\pL", "é"), (r"\p{Lu}", "É"), (r"\PL", "1"), (r"\p{^L}", "1"), (r"\pN", "٣"), (r"\p{Any}", "x"),
        (r"\x41", "A"), (r"\x{1F600}", "😀"), (r"\101", "A"), (r"\07", "\a"), (r"\.", "."), (r"\_", "_"),
        (r"\Qa.b\Ec", "a.bc"), (r"\Qa.b", "a.b"), ("{", "{"), ("a{", "a{"), ("^*", ""), (".", "\udc80"),
        ("^.{2}$", "\udce2\udc82"), ("\ufffd", "\udc80"), (r"[\t\n]", "\t"), (r"\v", "\v"), ("[[:word:]]", "_"),
    ],
)  # fmt: skip
def test_matches(expression, value):
    assert matches(expression, value)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("^web$", "web\n"), (r"web\z", "web\n"), ("a$", "ab"), (".", "\n"), (r"\d", "٣"), (r"\w", "é"), (r"\s", "\v"),
        (r"\bé", "é"), ("[[:alpha:]]", "é"), ("(?i:a)b", "AB"), ("[^a]", "a"), (r"\p{Lu}", "a"), ("^a{2}$", "aaa"),
        (r"\pC", "\U000e0fff"),
        (r"\Qa.b\E", "axb"), ("(?i)[^a]", "A"), ("x", ""), ("ab", "a b"), ("^$", " "),
    ],
)  # fmt: skip
def test_does_not_match(expression, value):
    assert not matches(expression, value)


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("a**", "invalid nested repetition operator: `**`"),
        ("a*+", "invalid nested repetition operator: `*+`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a|*", "missing argument to repetition operator: `*`"),
        ("(+)", "missing argument to repetition operator: `+`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("x{2,1}", "invalid repeat count: `{2,1}`"),
        ("((a{100}){11})", "invalid repeat count: `{11}`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
        ("(?<=a)b", "invalid named capture: `(?<=a)b`"),
        ("(?P<n-m>a)", "invalid named capture: `(?P<n-m>`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        (r"\x{110000}", r"invalid escape sequence: `\x`"),
        ("(", "missing closing ): `(`"),
        (")", "unexpected ): `)`"),
        ("[a", "missing closing ]: `[a`"),
        ("[", "missing closing ]: `[`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
        ("\\", "trailing backslash at end of expression"),
    ],
)
def test_refuses_what_is_not_re2(expression, error):
    with pytest.raises(RE2Error) as caught:
        matches(expression, "a")
    assert str(caught.value) == f"error parsing regexp: {error}"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("x{1000}" * 20, "x"),
        ("(?:){1000}" * 400, "x"),
        ("(" * 101 + ")" * 101, "x"),
        ("|".join(["a{500}"] * 10), "a" * 499),
        ("a" * 5000, "a"),
    ],
    ids=["large", "empty parts", "deep", "many states", "long"],
)
def test_refuses_what_would_take_too_long(expression, value):
    with pytest.raises(RE2Error):
        matches(expression, value)


def test_nested_stars_are_no_trap():
    assert not matches("^(a+)+$", "a" * 500 + "!")
    assert not matches("(x+x+)+y", "x" * 500)


def test_bytes_that_are_not_utf8_are_refused_in_an_expression():
    with pytest.raises(RE2Error, match="invalid UTF-8"):
        search(b"\xff", b"x")


_SAFE = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", "^", "$", r"\b", ""]),
    lambda part: st.one_of(
        st.tuples(part, part).map("".join),
        st.tuples(part, part).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(part, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
    ),
    max_leaves=6,
)


@pytest.mark.property
@settings(max_examples=150)
@given(_SAFE, st.text("ab1\n -", max_size=6))
def test_agrees_with_python_where_the_dialects_are_the_same(expression, value):
    python = re.compile(expression.replace("$", r"\Z"), re.ASCII)
    assert matches(expression, value) == bool(python.search(value))


@pytest.mark.property
@settings(max_examples=150)
@given(st.text(r"ab\()[]{}|*+?^$.-:,123pPdQEix<>=! ", max_size=16), st.binary(max_size=8))
def test_any_expression_either_matches_or_is_refused(expression, value):
    try:
        found = search(expression.encode(), value)
    except RE2Error:
        return
    assert found.matched in (True, False)
