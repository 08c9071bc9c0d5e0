"""Numbers in a pickle, read without running it.

Unpickling calls whatever functions a file names. Here its opcodes are followed
as data: a name stays a name, and of all calls only those have a meaning by
which numpy rebuilds arrays of plain numbers. Everything else is refused.
"""

import pathlib
import pickletools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from learner.config import ConfigError

_PLAIN = re.compile(r"[|<>=]?(b1|[iu][1248]|f[248])")
_MARK = object()


class _Name(NamedTuple):
    """A function or class that a pickle names; it is never looked up."""

    name: str


class _Type:
    """A dtype; its byte order comes later than itself."""

    def __init__(self, code: str):
        self.code = code.lstrip("|<>=")
        self.order = "|"

    def build(self, state: Any) -> None:
        self.order = _text(state[1])

    @property
    def dtype(self) -> np.dtype:
        if not _PLAIN.fullmatch(self.code) or self.order not in "|<>=":
            raise ValueError(f"numbers of type {self.order}{self.code}")
        return np.dtype(f"{self.order}{self.code}")


class _Array:
    """An array; its content comes later than itself."""

    value: np.ndarray | None = None

    def build(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        array = np.frombuffer(_bytes(content), kind.dtype)
        self.value = array.reshape(shape, order="F" if fortran else "C")


def read_pickled(path: pathlib.Path) -> dict[str, Any]:
    """A dictionary of arrays, and of dictionaries of lists of integers.

    Needs about three times the file's size of memory.

    Raises:
      ConfigError: for a pickle that holds anything else.
    """
    try:
        with path.open("rb") as file:
            content = _follow(pickletools.genops(file))
        return {_text(key): _value(value) for key, value in content.items()}
    # Whatever a file that means something else provokes.
    except (
        *(ValueError, TypeError, IndexError, KeyError, AttributeError),
        *(OverflowError, UnicodeError),
    ) as error:
        raise ConfigError(
            f"{path}: not a dictionary of arrays ({error})"
        ) from error


def _value(value: Any) -> Any:
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {
            _text(key): [int(index) for index in indices]
            for key, indices in value.items()
        }
    raise ValueError(f"holds a {type(value).__name__}")


def _follow(opcodes: Any) -> Any:
    """The object that a pickle describes."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in opcodes:
        name = opcode.name
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name](argument))
        elif name in _STACK:
            _STACK[name](stack)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(f"opcode {name}")
    return stack.pop()


def _reduce(stack: list[Any]) -> None:
    arguments, function = stack.pop(), stack.pop()
    name = function.name if isinstance(function, _Name) else repr(function)
    if name not in _CALLS:
        raise ValueError(f"calls {name}")
    stack.append(_CALLS[name](*arguments))


def _build(stack: list[Any]) -> None:
    state = stack.pop()
    if not isinstance(stack[-1], _Type | _Array):
        raise ValueError("sets the state of another object")
    stack[-1].build(state)


def _since_mark(stack: list[Any]) -> list[Any]:
    items = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _pop(stack: list[Any], count: int) -> list[Any]:
    return [stack.pop() for _ in range(count)][::-1]


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _stack_name(stack: list[Any]) -> None:
    stack.append(_Name(".".join(_pop(stack, 2))))


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(value: Any) -> bytes:
    # Python 2 wrote bytes as text.
    return value.encode("latin-1") if isinstance(value, str) else value


def _scalar(kind: _Type, content: Any) -> Any:
    return np.frombuffer(_bytes(content), kind.dtype)[0]


def _from_buffer(content: Any, kind: _Type, shape: Any, order: str) -> _Array:
    array = _Array()
    array.build((1, shape, kind, order == "F", content))
    return array


_CALLS: dict[str, Callable] = {
    "numpy.dtype": lambda code, *_: _Type(_text(code)),
    "_codecs.encode": lambda text, _: _bytes(text),
    **{
        f"numpy.{core}.multiarray.{function}": call
        for core in ("core", "_core")
        for function, call in (
            ("_reconstruct", lambda *_: _Array()),
            ("scalar", _scalar),
        )
    },
    "numpy.core.numeric._frombuffer": _from_buffer,
    "numpy._core.numeric._frombuffer": _from_buffer,
}

_CONSTANTS: dict[str, Callable] = {
    **dict.fromkeys(
        (
            *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
            *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE"),
            *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
            *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        ),
        lambda argument: argument,
    ),
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
    "MARK": lambda _: _MARK,
    "GLOBAL": lambda names: _Name(names.replace(" ", ".")),
}

_STACK: dict[str, Callable[[list[Any]], None]] = {
    "STACK_GLOBAL": _stack_name,
    "REDUCE": _reduce,
    "BUILD": _build,
    "TUPLE": lambda stack: stack.append(tuple(_since_mark(stack))),
    "LIST": lambda stack: stack.append(_since_mark(stack)),
    "DICT": lambda stack: stack.append(_pairs(_since_mark(stack))),
    "TUPLE1": lambda stack: stack.append(tuple(_pop(stack, 1))),
    "TUPLE2": lambda stack: stack.append(tuple(_pop(stack, 2))),
    "TUPLE3": lambda stack: stack.append(tuple(_pop(stack, 3))),
    "APPEND": lambda stack: _extend(stack, _pop(stack, 1)),
    "APPENDS": lambda stack: _extend(stack, _since_mark(stack)),
    "SETITEM": lambda stack: _set(stack, _pop(stack, 2)),
    "SETITEMS": lambda stack: _set(stack, _since_mark(stack)),
}


def _extend(stack: list[Any], items: list[Any]) -> None:
    stack[-1].extend(items)


def _set(stack: list[Any], items: list[Any]) -> None:
    stack[-1].update(_pairs(items))
