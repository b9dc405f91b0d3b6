import time

import pytest

from memonger.errors import InputError
from memonger.stop import Deadline


def test_no_limit():
    deadline = Deadline(None)
    assert deadline.remaining() == float("inf")
    assert not deadline.expired
    assert deadline.elapsed() >= 0


@pytest.mark.parametrize("seconds", [0, 0.0])
def test_no_time_at_all(seconds):
    assert Deadline(seconds).expired
    assert Deadline(seconds).remaining() == 0.0


def test_time_left_and_over():
    now = time.monotonic()
    assert not Deadline(1e6, now).expired
    assert 0 < Deadline(1e6, now).remaining() <= 1e6
    past = Deadline(5.0, now - 10.0)
    assert past.expired
    assert past.remaining() == 0.0
    assert past.elapsed() >= 10.0


@pytest.mark.parametrize("seconds", [-1, -1e-9, float("nan"), float("-inf")])
def test_limits_out_of_range(seconds):
    with pytest.raises(InputError, match="time limit must be at least 0"):
        Deadline(seconds)
