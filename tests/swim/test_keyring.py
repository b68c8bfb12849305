"""The order of keys is the point of a keyring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import UsageError
from serfcompat.swim.keyring import Keyring

A, B, C, D = (bytes((n,)) * size for n, size in ((1, 16), (2, 24), (3, 32), (4, 16)))


@pytest.mark.statement("M-104")
@pytest.mark.parametrize("size", [*range(16), 17, 23, 25, 31, 33, 64])
def test_keys_that_are_not_aes_are_refused(size):
    ring = Keyring([A])
    with pytest.raises(UsageError, match="key size must be 16, 24 or 32 bytes"):
        ring.add(bytes(size))
    with pytest.raises(UsageError):
        Keyring([bytes(size)])
    assert list(ring) == [A]


@pytest.mark.statement("M-104")
def test_all_three_aes_sizes_are_accepted():
    assert [len(key) for key in Keyring([A, B, C])] == [16, 24, 32]


@pytest.mark.statement("M-105")
def test_the_primary_key_comes_first_and_each_key_once():
    assert list(Keyring()) == []
    assert list(Keyring([A, B, A], primary=C)) == [C, A, B]
    assert list(Keyring([A, B], primary=B)) == [B, A]
    assert list(Keyring(primary=A)) == [A]
    assert list(Keyring([A, B])) == [A, B]


@pytest.mark.statement("M-105")
def test_added_keys_go_to_the_end_and_twice_is_once():
    ring = Keyring()
    for key in (A, B, A, C, B):
        ring.add(key)
    assert list(ring) == [A, B, C]


@pytest.mark.statement("M-105")
def test_using_a_key_moves_it_to_the_front_and_keeps_the_others_in_order():
    ring = Keyring([A, B, C, D])
    ring.use(C)
    assert list(ring) == [C, A, B, D]
    ring.use(C)
    assert list(ring) == [C, A, B, D]
    ring.use(D)
    assert list(ring) == [D, C, A, B]
    with pytest.raises(UsageError, match="requested key is not in the keyring"):
        ring.use(bytes(16))
    assert list(ring) == [D, C, A, B]


@pytest.mark.statement("M-105")
def test_removing_spares_the_primary_key():
    ring = Keyring([A, B, C])
    with pytest.raises(UsageError, match="removing the primary key is not allowed"):
        ring.remove(A)
    ring.remove(B)
    ring.remove(B)
    assert list(ring) == [A, C]
    with pytest.raises(UsageError, match="empty"):
        Keyring().remove(A)


@pytest.mark.statement("M-114")
def test_a_secret_key_with_a_keyring_is_added_and_selected():
    assert list(Keyring([A, B], primary=C)) == [C, A, B]
    added_and_used = Keyring([A, B])
    added_and_used.add(C)
    added_and_used.use(C)
    assert list(added_and_used) == list(Keyring([A, B], primary=C))


def test_a_ring_never_shows_its_keys():
    assert repr(Keyring([A, B])) == "<Keyring of 2>"
    assert str(Keyring([A])) == "<Keyring of 1>"


def test_a_ring_is_a_sequence():
    ring = Keyring([A, B])
    assert (ring[0], ring[-1], ring[:1], len(ring), bool(ring), bool(Keyring())) == (A, B, [A], 2, True, False)
    assert A in ring
    assert C not in ring


KEYS = st.sampled_from([A, B, C, D])


@pytest.mark.property
@given(st.lists(st.tuples(st.sampled_from(["add", "use", "remove"]), KEYS), max_size=20))
def test_no_sequence_of_changes_loses_the_primary_key_or_doubles_one(changes):
    ring = Keyring([A])
    for operation, key in changes:
        before = list(ring)
        try:
            getattr(ring, operation)(key)
        except UsageError:
            assert list(ring) == before
        assert len(set(ring)) == len(ring) >= 1
        if operation != "use":
            assert ring[0] == before[0]
