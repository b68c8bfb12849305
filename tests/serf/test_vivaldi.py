"""Coordinates: the golden numbers of spec serf appendix C, and the rules of §10."""

import math
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import UsageError
from serfcompat.serf.vivaldi import MAX_RTT_NS, Coordinate, CoordinateError, VivaldiClient, VivaldiConfig, origin
from serfcompat.swim.metrics import CountingMetrics

SECOND = 1_000_000_000
NAN, INFINITE = math.nan, math.inf
GO_INT64_MIN = -(1 << 63)

THREE_DIMENSIONS = VivaldiConfig(dimensionality=3)
PEER = Coordinate((0.003, -0.004, 0.012), error=0.8, adjustment=0.0005, height=0.001)
FAR_PEER = Coordinate((-0.2, 0.1, 0.05), error=1.5, adjustment=0.0, height=10e-6)

A = Coordinate((-0.5, 1.3, 2.4), error=1.5, adjustment=0.1, height=0.7)
B = Coordinate((1.2, -2.3, 3.4), error=1.5, adjustment=0.2, height=0.1)

APPENDIX_C = [
    # node, where it is, round trip in ns → vec, error, adjustment, height, estimate in ns
    (
        (b"n1", PEER, 25_000_000),
        ((-0.00039469062819547676, 0.00052625417092730246, -0.001578762512781907), 1.3238478326086955),
        (0.00022866986391826923, 0.00014287917588488459, 16581875),
    ),
    (
        (b"n1", PEER, 40_000_000),
        ((-0.0012368309782440194, 0.0016491079709920258, -0.0049473239129760775), 1.2087828290960823),
        (0.00073401979621915271, 0.00042639975276500842, 21020020),
    ),
    (
        (b"n1", PEER, 10_000_000),
        ((-0.0013750005407668717, 0.0018333340543558289, -0.005500002163067487), 1.0508863842720049),
        (0.00084823841971266053, 0.00047291683056402721, 21779490),
    ),
    (
        (b"n1", PEER, 0),
        ((-0.00098914856866122187, 0.0013188647582149625, -0.0039565942746448875), 1.0689221175770309),
        (0.00063250529145607336, 0.00034301332912664752, 19761829),
    ),
    (
        (b"n1", PEER, 123_456_789),
        ((-0.00066703861548508565, 0.0008893848206467809, -0.0026681544619403426), 1.0556616665525393),
        (0.00045437851818325696, 0.00023456964273101951, 18079448),
    ),
    (
        (b"n2", FAR_PEER, 300_000_000),
        ((0.0056806228678823656, -0.0022667449707936822, -0.0043453446790228433), 0.97092905669959939),
        (0.0020469878861088765, 0.00024235770472892226, 238342609),
    ),
]


class NoDice(random.Random):
    """Fails the test that draws from it."""

    def random(self):
        raise AssertionError("a random number was drawn")


class Draws(random.Random):
    """Gives the chosen numbers, and no more."""

    def __init__(self, *numbers):
        super().__init__()
        self.numbers = list(numbers)

    def random(self):
        return self.numbers.pop(0)


def client(config=None, dice=None, metrics=None):
    return VivaldiClient(dice=dice or NoDice(), metrics=metrics, config=config)


def at(*vec, error=1.5, adjustment=0.0, height=10e-6):
    return Coordinate(vec, error, adjustment, height)


def raw_double(value):
    return struct.pack(">d", value)


@pytest.mark.statement("S-187")
def test_six_updates_give_the_very_bits_of_go():
    node = client(THREE_DIMENSIONS)
    assert node.distance_to(PEER) == 14509999
    for observed, (vec, error), (adjustment, height, estimate_ns) in APPENDIX_C:
        _, other, _ = observed
        result = node.update(*observed)
        # == on floats: only equal bits pass, as none of these is a zero or NaN.
        assert result == Coordinate(vec, error, adjustment, height)
        assert node.get() is result
        assert node.distance_to(other) == estimate_ns
    assert node.resets == 0


@pytest.mark.statement("S-188")
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(1.9e-9, 1), (0.9e-9, 0), (4.9048751503547576, 4904875150), (-1.9e-9, -1), (-0.9e-9, 0)],
)
def test_a_distance_is_whole_nanoseconds_cut_towards_zero(seconds, expected):
    estimate = at(0.0, height=seconds).distance_ns(at(0.0, height=0.0))
    assert estimate == expected
    assert type(estimate) is int


@pytest.mark.statement("S-188")
def test_distance_of_the_golden_pair():
    assert A.raw_distance(B) == 4.9048751503547576
    assert A.distance_ns(B) == B.distance_ns(A) == 5204875150


@pytest.mark.statement("S-189")
def test_adjustments_that_eat_up_the_distance_are_ignored():
    far_off = Coordinate(A.vec, A.error, -1.0e6, A.height)
    assert far_off.distance_ns(B) == 4904875150
    # Exactly 0 isn't positive either.
    assert at(0.0, height=0.5, adjustment=-0.75).distance_ns(at(0.0, height=0.25)) == 750_000_000
    assert at(0.0, height=0.5, adjustment=-0.5).distance_ns(at(0.0, height=0.25)) == 250_000_000


@pytest.mark.parametrize("height", [1e300, -1e300, INFINITE, -INFINITE, NAN, 2.0**63 / 1e9])
def test_a_distance_beyond_64_bits_is_what_amd64_makes_of_it(height):
    assert at(0.0, height=height).distance_ns(at(0.0)) == GO_INT64_MIN


def test_a_force_pushes_away_or_pulls_and_keeps_the_least_height():
    pushed = A.apply_force(0.25, B, 10e-6, NoDice())
    assert pushed.vec == (-0.60353542664099535, 1.5192514917103432, 2.3390968078582377)
    assert pushed.height == 0.74872255371340957
    assert (pushed.error, pushed.adjustment) == (A.error, A.adjustment)
    pulled = A.apply_force(-10.0, B, 10e-6, NoDice())
    assert pulled.vec == (3.6414170656398159, -7.4700596684137262, 4.8361276856704798)
    assert pulled.height == 10e-6


def test_nodes_in_one_place_part_in_a_random_direction():
    here = at(1.0, 2.0)
    moved = here.apply_force(2.0, at(1.0, 2.0, height=0.5), 10e-6, Draws(0.5 + 0.3, 0.5 - 0.4))
    assert moved.vec == pytest.approx((1.0 + 2.0 * 0.6, 2.0 - 2.0 * 0.8))
    assert moved.height == here.height
    # If even the dice give no direction, it is the first axis.
    assert here.apply_force(2.0, here, 10e-6, Draws(0.5, 0.5)).vec == (3.0, 2.0)


def test_coordinates_of_different_spaces_have_no_distance():
    for call in (lambda: A.distance_ns(at(1.0)), lambda: A.apply_force(1.0, at(1.0), 10e-6, NoDice())):
        with pytest.raises(ValueError, match="coordinate dimensionality does not match"):
            call()
    assert not A.is_compatible_with(at(1.0))
    assert A.is_compatible_with(B)


# What the median filter lets through is seen by a client that does nothing else with it: with no
# force and no error, its only adjustment sample is the filtered round trip less the distance.
FILTER_ONLY = VivaldiConfig(
    dimensionality=1, vivaldi_cc=0.0, gravity_rho=1e30, adjustment_window_size=1, height_min=0.0
)


def filtered(node, name, rtt_ns):
    """Seconds that the latency filter gives out for this round trip."""
    node.set(at(1.0, height=0.0))
    return 2.0 * node.update(name, at(0.0, height=0.0), rtt_ns).adjustment + 1.0


@pytest.mark.statement("S-190")
def test_the_latency_filter_gives_the_median_of_three():
    node = client(FILTER_ONLY)
    heard = (0.201, 0.200, 0.207, 1.9, 0.203, 0.199, 0.211)
    given_out = [filtered(node, b"n1", round(seconds * SECOND)) for seconds in heard]
    assert given_out == pytest.approx([0.201, 0.201, 0.201, 0.207, 0.207, 0.203, 0.203], abs=1e-12)


@pytest.mark.statement("S-190")
def test_of_two_round_trips_the_larger_counts_and_peers_have_filters_of_their_own():
    node = client(FILTER_ONLY)
    assert filtered(node, b"n1", 100_000_000) == pytest.approx(0.1)
    assert filtered(node, b"n1", 300_000_000) == pytest.approx(0.3)
    assert filtered(node, b"n2", 50_000_000) == pytest.approx(0.05)


@pytest.mark.statement("S-194")
def test_forgetting_a_node_clears_its_round_trips():
    node = client(FILTER_ONLY)
    filtered(node, b"n1", 100_000_000)
    filtered(node, b"n1", 100_000_000)
    filtered(node, b"n2", 100_000_000)
    filtered(node, b"n2", 100_000_000)
    node.forget(b"n1")
    node.forget(b"never heard of")
    assert filtered(node, b"n1", 300_000_000) == pytest.approx(0.3)
    assert filtered(node, b"n2", 300_000_000) == pytest.approx(0.1)


@pytest.mark.statement("S-191")
@pytest.mark.parametrize(("rtt_ns", "shown"), [(-1, "-1ns"), (-35 * SECOND, "-35s"), (MAX_RTT_NS + 1, "10.000000001s")])
def test_impossible_round_trips_are_refused(rtt_ns, shown):
    node = client(THREE_DIMENSIONS)
    before = node.get()
    with pytest.raises(CoordinateError) as refused:
        node.update(b"n1", PEER, rtt_ns)
    assert str(refused.value) == (
        f"round trip time not in valid range, duration {shown} is not a positive value less than 10s "
    )
    assert node.get() is before
    assert node.update(*APPENDIX_C[0][0]).error == 1.3238478326086955  # the filter heard nothing of it, either


@pytest.mark.statement("S-191")
def test_no_time_at_all_is_counted_and_ten_seconds_are_believed():
    metrics = CountingMetrics()
    node = client(THREE_DIMENSIONS, metrics=metrics)
    node.update(b"n1", PEER, MAX_RTT_NS)
    assert metrics.counters == {}
    node.update(b"n2", PEER, 0)
    assert metrics.counters == {"serf.coordinate.zero-rtt": 1}


@pytest.mark.statement("S-192")
@pytest.mark.parametrize("bad", [NAN, INFINITE, -INFINITE])
@pytest.mark.parametrize("field", ["vec", "error", "adjustment", "height"])
def test_a_coordinate_with_a_number_that_is_none_is_refused(field, bad):
    numbers = {"vec": PEER.vec, "error": 0.8, "adjustment": 0.0, "height": 0.001}
    numbers[field] = (0.0, bad, 0.0) if field == "vec" else bad
    assert_refused(Coordinate(**numbers), "coordinate is invalid")


@pytest.mark.statement("S-192")
@pytest.mark.parametrize("vec", [(), (0.0, 0.0), (0.0,) * 4, (NAN,)])
def test_a_coordinate_with_other_dimensions_is_refused(vec):
    assert_refused(at(*vec), "dimensions aren't compatible")


def assert_refused(coordinate, text):
    node = client(THREE_DIMENSIONS)
    before = node.update(*APPENDIX_C[0][0])
    for call in (lambda: node.update(b"n1", coordinate, 77_000_000), lambda: node.set(coordinate)):
        with pytest.raises(CoordinateError) as refused:
            call()
        assert str(refused.value) == text
    assert node.get() is before
    assert node.resets == 0
    # The refused round trip isn't in the filter: this gives the second line of appendix C.
    assert node.update(*APPENDIX_C[1][0]).error == 1.2087828290960823


def test_numbers_too_large_to_be_added_up_are_still_valid():
    assert at(1.7e308, 1.7e308).is_valid()
    assert at(1.7e308, -1.7e308, error=1.7e308, height=1.7e308).is_valid()


BEYOND_NUMBERS = (at(1.7e308, 0.0, 0.0), at(-1.7e308, 0.0, 0.0))
"Two valid places whose distance is not a number any more."


def lose(node):
    """An update that leads nowhere."""
    here, there = BEYOND_NUMBERS
    node.set(here)
    return node.update(b"n9", there, 1_000_000)


@pytest.mark.statement("S-193")
def test_a_node_that_lost_its_place_begins_anew_at_the_origin():
    config = VivaldiConfig(dimensionality=3, adjustment_window_size=0)
    node = client(config, dice=random.Random(1))  # where nothing is a number, there is no direction either
    assert lose(node) == node.get() == origin(config)
    assert node.resets == 1
    # From here on it is like a new node, and stays where it gets.
    assert node.update(b"n1", PEER, 25_000_000) == client(config).update(b"n1", PEER, 25_000_000)
    assert node.resets == 1


def test_the_sample_that_caused_a_reset_stays_until_the_window_has_moved_on():  # as upstream
    node = client(VivaldiConfig(dimensionality=3, adjustment_window_size=2), dice=random.Random(1))
    lose(node)
    resets = []
    for _ in range(4):
        node.update(b"n1", PEER, 25_000_000)
        resets.append(node.resets)
    assert resets == [2, 2, 2, 2]


def test_a_reset_keeps_the_round_trips():
    config = VivaldiConfig(dimensionality=3, adjustment_window_size=0)
    node = client(config, dice=random.Random(1))
    for _ in range(2):
        node.update(b"n1", PEER, 25_000_000)
    lose(node)
    # Of 25 ms, 25 ms and 1 s the median is 25 ms; a filter that forgot would take the second.
    assert node.update(b"n1", PEER, SECOND) == client(config).update(b"n1", PEER, 25_000_000)


QUOTIENT_NS, WHOLE_AND_REST = 5_387_264_885, 5.0 + 0.387264885


def test_seconds_are_put_together_as_go_does():
    node = client(FILTER_ONLY, dice=random.Random(1))
    node.set(at(0.0, height=0.0))
    # Nothing is subtracted from the only sample here. As one quotient it would be another number.
    assert 2.0 * node.update(b"n1", at(0.0, height=0.0), QUOTIENT_NS).adjustment == WHOLE_AND_REST
    assert QUOTIENT_NS / 1e9 != WHOLE_AND_REST


def test_no_round_trip_is_taken_for_shorter_than_a_microsecond():
    node = client(VivaldiConfig(dimensionality=1, vivaldi_error_max=1e9))
    node.set(at(0.0, error=0.5))
    # A millisecond was expected: wrong by a factor of 999, half of it our fault, and CE takes a quarter.
    moved = node.update(b"n1", at(0.0005, error=0.5, height=0.00049), 0)
    assert moved.error == pytest.approx(0.25 * 0.5 * 999 + 0.5 * (1 - 0.25 * 0.5))


def test_gravity_pulls_towards_the_origin_the_more_the_farther():
    def pulled(vec):
        node = client(VivaldiConfig(dimensionality=2, vivaldi_cc=0.0, gravity_rho=150.0, height_min=0.0))
        node.set(Coordinate(vec, 1.5, 0.0, 0.0))
        return node.update(b"n1", at(9.0, 9.0), 1_000_000).vec

    # Each has its adjustment on top, half of a twentieth of what the round trip lacks.
    assert pulled((3.0, 0.0)) == pytest.approx((3.0 - (3.0 / 150) ** 2, 0.0), abs=1e-4)
    assert pulled((-6.0, 0.0)) == pytest.approx((-6.0 + (6.0 / 150) ** 2, 0.0), abs=3e-4)


def test_without_a_window_there_is_no_adjustment():
    node = client(VivaldiConfig(dimensionality=3, adjustment_window_size=0))
    assert node.update(b"n1", PEER, 25_000_000).adjustment == 0.0


def test_every_problem_of_a_configuration_is_named_at_once():
    broken = VivaldiConfig(dimensionality=0, adjustment_window_size=-1, latency_filter_size=0, gravity_rho=0.0)
    with pytest.raises(UsageError) as refused:
        client(broken)
    assert str(refused.value).startswith("dimensionality must be >0; ")
    assert len(broken.problems()) == 4
    assert VivaldiConfig().problems() == []


any_float = st.floats(allow_nan=True, allow_infinity=True)
coordinates = st.builds(Coordinate, st.tuples(any_float, any_float), any_float, any_float, any_float)


@pytest.mark.property
@given(st.lists(st.tuples(coordinates, st.integers(-1, MAX_RTT_NS + 1)), max_size=12), st.integers())
def test_whatever_others_claim_we_stay_at_a_valid_place(heard, seed):
    node = VivaldiClient(dice=random.Random(seed), config=VivaldiConfig(dimensionality=2, adjustment_window_size=3))
    for other, rtt_ns in heard:
        try:
            node.update(b"n1", other, rtt_ns)
        except CoordinateError:
            assert not (other.is_valid() and 0 <= rtt_ns <= MAX_RTT_NS)
        assert all(map(math.isfinite, (*node.get().vec, node.get().error, node.get().adjustment, node.get().height)))
        assert node.get().error <= 1.5
        assert node.get().height >= 10e-6


@pytest.mark.property
@given(coordinates)
def test_a_coordinate_is_valid_if_all_its_numbers_are_finite(coordinate):
    numbers = (*coordinate.vec, coordinate.error, coordinate.adjustment, coordinate.height)
    assert coordinate.is_valid() is all(math.isfinite(number) for number in numbers)


@pytest.mark.property
@given(coordinates, coordinates)
def test_a_distance_fits_in_64_bits(a, b):
    assert GO_INT64_MIN <= a.distance_ns(b) < 1 << 63
