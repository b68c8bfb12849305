import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import UsageError
from serfcompat.sim.units import duration_ns, duration_text, share, share_text


@pytest.mark.parametrize(
    ("text", "ns"),
    [("10s", 10_000_000_000), ("300ms", 300_000_000), ("1m30s", 90_000_000_000), ("1.5s", 1_500_000_000), ("0s", 0)],
)
def test_reads_times(text, ns):
    assert duration_ns(text) == ns


@pytest.mark.parametrize("text", ["", "10", "s", "10 s", "-1s", "1s2", "ten"])
def test_refuses_what_is_no_time(text):
    with pytest.raises(UsageError, match="is not a time"):
        duration_ns(text)


@pytest.mark.property
@given(st.integers(0, 10**15))
def test_times_read_back_the_same(ns):
    assert duration_ns(duration_text(ns)) == ns


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0.25", 0.25), ("100%", 1.0), ("0", 0.0)])
def test_reads_shares(text, value):
    assert share(text) == value


@pytest.mark.parametrize("text", ["", "%", "101%", "-1", "nan", "x"])
def test_refuses_what_is_no_share(text):
    with pytest.raises(UsageError, match="is not a share"):
        share(text)


@pytest.mark.property
@given(st.integers(0, 1000))
def test_shares_read_back_the_same(per_mille):
    assert share(share_text(per_mille / 1000)) == pytest.approx(per_mille / 1000)
