"""Durations and sizes: what is formatted is parsed to the same value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvision_api.units import (
    format_duration,
    format_size,
    parse_duration,
    parse_positive_duration,
    parse_size,
)


@given(st.integers(min_value=0, max_value=10**8))
def test_a_formatted_duration_is_parsed_to_the_same_milliseconds(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=1e-9)


@given(st.integers(min_value=1, max_value=2**50))
def test_a_formatted_size_is_parsed_to_the_same_bytes(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "500ms"), (10.0, "10s"), (90.0, "90s"), (120.0, "2m"), (7200.0, "2h"), (0.0, "0s")]
)
def test_durations_are_formatted_in_their_largest_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(10 * 2**20, "10MiB"), (2**10, "1KiB"), (1000, "1000"), (2**30, "1GiB")])
def test_sizes_are_formatted_in_their_largest_unit(size: int, text: str) -> None:
    assert format_size(size) == text


def test_a_duration_of_zero_is_rejected_with_a_reason() -> None:
    with pytest.raises(ValueError, match=r"^duration must be greater than zero: '0s'$"):
        parse_positive_duration("0s")


@pytest.mark.parametrize("text", ["", "-1", "1 fortnight", "s", "1e3", "٣"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as"):
        parse_duration(text)
