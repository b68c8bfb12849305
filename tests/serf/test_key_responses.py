"""Key rotation, on the node that asks."""

import logging

import pytest

from serfcompat.errors import UsageError
from serfcompat.serf.key_responses import KeyResult, request_payload
from serfcompat.wire.serf_messages import KeyResponse

LOG = logging.getLogger("serfcompat.serf")


def result_of(nodes, *payloads):
    result = KeyResult(num_nodes=nodes)
    for number, payload in enumerate(payloads):
        result.add(f"n{number}", payload, LOG)
    return result


def response(result=True, message=b"", keys=None, primary=b""):
    return KeyResponse(result, message, keys, primary).encode()


@pytest.mark.statement("S-149")
@pytest.mark.parametrize(
    ("key", "offset"),
    [
        ("not base64!", 3), ("abc", 0), ("AAAAabc", 4), ("AAAA=", 4), ("AAAA*AAA", 4), ("AA=A", 2), ("AA=", 3),
        ("AA==AAAA", 4), ("=", 0), ("é", 0), ("MDEyMzQ1", None), ("MDEy\r\nMzQ1\n", None), ("AA=\n=", None),
    ],
)  # fmt: skip
def test_a_key_must_be_base64(key, offset):
    if offset is None:
        request_payload(key)
        return
    with pytest.raises(UsageError) as caught:
        request_payload(key)
    assert str(caught.value) == f"illegal base64 data at input byte {offset}"


@pytest.mark.statement("S-150")
def test_a_list_asks_with_an_empty_key():
    assert request_payload("").hex() == "0781a34b6579a0"
    assert request_payload("MDEyMzQ1Njc4OWFiY2RlZg==").hex() == "0781a34b6579b030313233343536373839616263646566"


@pytest.mark.statement("S-155")
def test_operations_other_than_list_count_an_empty_primary():
    result = result_of(2, response(), response(False, b"why"))
    assert result.primary_keys == {"": 2}
    assert result.keys == {}
    assert result.messages == {"n1": "why"}


@pytest.mark.statement("S-156", "S-158")
def test_missing_replies_are_an_error_that_comes_with_what_is_known():
    result = result_of(3, response(keys=[b"A", b"B"], primary=b"A"), response(keys=[b"A"], primary=b"A"))
    assert not result.complete
    assert result.error == "2/3 nodes reported success"
    assert (result.keys, result.primary_keys) == ({"A": 2, "B": 1}, {"A": 2})
    result.add("n9", response(), LOG)
    assert result.complete
    assert result.error is None


@pytest.mark.statement("S-157")
def test_failures_are_told_before_missing_replies():
    assert result_of(3, response(), response(False)).error == "1/3 nodes reported failure"


def test_answers_that_are_none_count_as_failures():
    result = result_of(3, b"\x01\x02\x03", None, b"\x08\xff")
    assert result.messages == {
        "n0": "Invalid key query response type: [1 2 3]",
        "n1": "Invalid key query response type: []",
        "n2": "Failed to decode key query response: [8 255]",
    }
    assert (result.num_resp, result.num_err, result.primary_keys) == (3, 3, {})


@pytest.mark.statement("S-161")
def test_a_cut_list_is_a_success_with_a_message(caplog):
    result = result_of(1, response(True, b"truncated key list", [b"A"], b"A"))
    assert result.error is None
    assert result.messages == {"n0": "truncated key list"}
    assert caplog.messages == ["serf: truncated key list"]
