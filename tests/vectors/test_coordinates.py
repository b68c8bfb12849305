"""Distances, forces and whole runs of updates, as Go computes them, to the last bit."""

from __future__ import annotations

import random
import struct

import pytest

from serfcompat.serf.vivaldi import Coordinate, CoordinateError, VivaldiClient, VivaldiConfig

ERRORS = {
    "incompatible": "dimensions aren't compatible",
    "invalid": "coordinate is invalid",
    "rtt_range": "round trip time not in valid range",
}


class Draws(random.Random):
    """The numbers that Go's generator gave, and not one more."""

    left: list[float] = []

    def random(self):
        assert self.left, "a random number was drawn"
        return self.left.pop(0)

    def refill(self, texts):
        assert not self.left, "not all random numbers were drawn"
        self.left = [float.fromhex(text) for text in texts]


def coordinate(fields):
    numbers = (float.fromhex(fields[name]) for name in ("error", "adjustment", "height"))
    return Coordinate(tuple(map(float.fromhex, fields["vec"])), *numbers)


def bits(value):
    """So that -0.0 isn't 0.0, and NaN is NaN."""
    numbers = (value,) if isinstance(value, float) else (*value.vec, value.error, value.adjustment, value.height)
    return struct.pack(f">{len(numbers)}d", *numbers).hex(" ", 8)


@pytest.mark.vectors("coordinates", kind="distance")
def test_distances_are_those_of_go(record):
    a, b = coordinate(record["a"]), coordinate(record["b"])
    assert a.distance_ns(b) == record["distance_ns"]
    assert bits(a.raw_distance(b)) == bits(float.fromhex(record["raw_seconds"]))


@pytest.mark.vectors("coordinates", kind="force")
def test_forces_move_as_in_go(record):
    dice = Draws()
    dice.refill(record.get("random_draws", ()))
    force, height_min = float.fromhex(record["force"]), float.fromhex(record["height_min"])
    moved = coordinate(record["a"]).apply_force(force, coordinate(record["b"]), height_min, dice)
    assert bits(moved) == bits(coordinate(record["result"]))
    dice.refill(())


@pytest.mark.vectors("coordinates", kind="sequence")
def test_updates_lead_to_the_same_places_as_in_go(record):
    config = {name: value if type(value) is int else float.fromhex(value) for name, value in record["config"].items()}
    dice = Draws()
    client = VivaldiClient(dice=dice, config=VivaldiConfig(**config))
    for step in record["steps"]:
        dice.refill(step.get("random_draws", ()))
        match step["op"]:
            case "set":
                client.set(coordinate(step["coord"]))
            case "forget":
                client.forget(step["node"].encode())
            case "update":
                check_update(client, step)
            case other:
                raise AssertionError(f"unknown step {other}")
    dice.refill(())
    assert bits(client.get()) == bits(coordinate(record["final"]))


def check_update(client, step):
    name, other, rtt_ns = step["node"].encode(), coordinate(step["other"]), step["rtt_ns"]
    before = client.get()
    if "error_class" in step:
        with pytest.raises(CoordinateError, match=ERRORS[step["error_class"]]):
            client.update(name, other, rtt_ns)
        assert client.get() is before
        return
    assert bits(client.update(name, other, rtt_ns)) == bits(coordinate(step["result"]))
    assert client.distance_to(other) == step["distance_ns"]
    assert client.resets == step["resets"]
