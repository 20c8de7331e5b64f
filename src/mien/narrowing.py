"""What a value read from JSON or YAML is, told to the type checker: ``isinstance`` alone leaves its content unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from numpy.typing import NDArray


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether it is a JSON object.

    >>> is_object({"a": 1}), is_object([1])
    (True, False)
    """
    return isinstance(value, dict)


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is any mapping."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether it is a list."""
    return isinstance(value, list)


def is_row(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether it is a list or a tuple."""
    return isinstance(value, (list, tuple))


def is_iterable(value: object) -> TypeGuard[Iterable[Any]]:
    """Whether it can be gone through."""
    return isinstance(value, Iterable)


def is_array(value: object) -> TypeGuard[NDArray[Any]]:
    """Whether it is an array of numpy."""
    import numpy as np

    return isinstance(value, np.ndarray)
