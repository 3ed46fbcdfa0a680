"""The elements of every dtype as numbers that NumPy computes with, whether ml_dtypes is installed or not.

What NumPy lacks is decoded from its bits, which are the same in an array of ml_dtypes and in a stand-in.
"""

import functools
from typing import Any, Literal, NamedTuple

import numpy as np

__all__ = ["Array", "numbers"]

Array = np.ndarray[Any, Any]


class _SmallFloat(NamedTuple):
    """A float of a byte or less: its sign, then its exponent, then its mantissa."""

    exponent_bits: int
    mantissa_bits: int
    bias: int
    #: What is no number: as in IEEE 754; "fn": no infinities, and NaN where all bits are set; "fnuz": NaN alone, as -0;
    #: "finite": nothing.
    special: Literal["ieee", "fn", "fnuz", "finite"]

    def values(self) -> Array:
        """The number of each bit pattern."""
        bits = np.arange(1 << (1 + self.exponent_bits + self.mantissa_bits))
        sign = np.where(bits >> (self.exponent_bits + self.mantissa_bits), -1.0, 1.0)
        exponent = (bits >> self.mantissa_bits) & ((1 << self.exponent_bits) - 1)
        fraction = (bits & ((1 << self.mantissa_bits) - 1)) / (1 << self.mantissa_bits)
        normal = (1 + fraction) * np.exp2(exponent - self.bias)
        value = sign * np.where(exponent == 0, fraction * np.exp2(1 - self.bias), normal)
        topmost = exponent == (1 << self.exponent_bits) - 1
        if self.special == "ieee":
            value = np.where(topmost, np.where(fraction == 0, sign * np.inf, np.nan), value)
        elif self.special == "fn":
            value[topmost & (fraction == fraction.max())] = np.nan
        elif self.special == "fnuz":
            value[len(value) // 2] = np.nan
        return np.asarray(value, np.float32)


_SMALL_FLOATS = {
    "float8_e3m4": _SmallFloat(3, 4, 3, "ieee"),
    "float8_e4m3": _SmallFloat(4, 3, 7, "ieee"),
    "float8_e4m3b11fnuz": _SmallFloat(4, 3, 11, "fnuz"),
    "float8_e4m3fn": _SmallFloat(4, 3, 7, "fn"),
    "float8_e4m3fnuz": _SmallFloat(4, 3, 8, "fnuz"),
    "float8_e5m2": _SmallFloat(5, 2, 15, "ieee"),
    "float8_e5m2fnuz": _SmallFloat(5, 2, 16, "fnuz"),
    "float4_e2m1fn_x2": _SmallFloat(2, 1, 1, "finite"),
}


@functools.cache
def _table(dtype: str) -> Array:
    if dtype == "float8_e8m0fnu":  # an exponent alone
        powers = np.exp2(np.arange(256) - 127.0)
        powers[255] = np.nan
        return np.asarray(powers, np.float32)
    return _SMALL_FLOATS[dtype].values()


def numbers(array: Array, dtype: str) -> Array:
    """The numbers in a C-contiguous array of a view whose dtype is `dtype`: bools, integers, floats or complex ones.

    A pair of float4_e2m1fn_x2 becomes two along the last dimension.
    """
    if dtype == "bfloat16":
        wide: Array = array.view(np.uint16).astype(np.uint32) << np.uint32(16)
        return np.asarray(wide.view(np.float32))
    if dtype == "complex32":
        parts = array.reshape(*array.shape, 1).view(np.float16).astype(np.float32)
        return np.asarray(parts.view(np.complex64)[..., 0])
    if dtype == "float4_e2m1fn_x2":
        pairs = array.reshape(array.shape or (1,)).view(np.uint8)
        two = np.stack([pairs & 15, pairs >> 4], axis=-1).reshape(*pairs.shape[:-1], 2 * pairs.shape[-1])
        return np.asarray(_table(dtype)[two])
    if dtype.startswith("float8_"):
        return np.asarray(_table(dtype)[array.view(np.uint8)])
    return np.asarray(array.astype(np.float32)) if dtype == "float16" else array
