"""Configurations at random: round trips, and none that ends in a traceback."""

import dataclasses
import math
import pathlib
import tempfile
import typing
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.command.main import parse_train
from learner.config import Config, ConfigError
from learner.config_check import check
from learner.record.config_file import filled, load, save

# Values that files hold, whatever the field asks for.
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.one_of(st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)
# Neither flags nor the end of a list of them.
WORD = st.from_regex(r"[A-Za-z0-9_./]{1,12}", fullmatch=True)


def of_type(annotation):
    """Values of a field's type, whether or not they can work."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(of_type(arguments[0]), max_size=3).map(tuple)
    return {
        bool: st.booleans(),
        int: st.integers(0, 2**40),
        float: st.floats(0, 1e6, allow_subnormal=False),
        str: WORD,
    }[annotation]


def trees(kind, value_of):
    """`{field: value}` of some fields of a dataclass, nested ones as well."""
    fields = {}
    for name, annotation in typing.get_type_hints(kind).items():
        nested = dataclasses.is_dataclass(annotation)
        fields[name] = (
            trees(annotation, value_of) if nested else value_of(annotation)
        )
    return st.fixed_dictionaries({}, optional=fields)


TYPED = trees(Config, of_type)
WRONG = st.one_of(
    trees(Config, lambda annotation: of_type(annotation) | JUNK),
    st.dictionaries(st.text(max_size=9), JUNK, max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(WRONG)
def test_whatever_a_file_holds_it_is_a_configuration_or_one_clear_line(fields):
    said = refusal(fields)
    assert said is None or (said and "\n" not in said)


@settings(max_examples=50, deadline=None)
@given(TYPED)
def test_a_configuration_comes_back_from_its_file(fields):
    config = filled(Config(), fields)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "config.yaml")
        save(config, path)
        assert load(path, Config()) == config


@settings(max_examples=20, deadline=None)
@given(TYPED)
def test_a_configuration_comes_back_from_its_flags(fields):
    config = filled(Config(), fields)
    assert parse_train(flags(config)) == config


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_numbers_out_of_range_are_named(data):
    """One number of a sound configuration is made negative or NaN."""
    numbers = [
        (group, field, kind)
        for group, field, kind in leaves(Config)
        if kind in (int, float)
    ]
    group, field, kind = data.draw(st.sampled_from(numbers))
    value = data.draw(
        st.integers(-(2**40), -1)
        if kind is int
        else st.just(math.nan) | st.floats(max_value=-1e-3, allow_nan=False)
    )
    fields = {group: {field: value}} if group else {field: value}
    said = refusal(fields)
    assert said, f"{fields} was taken"
    assert field.replace("_", "-") in said
    assert str(value) in said


def refusal(fields):
    """Why a configuration is refused; None if it is taken."""
    try:
        check(filled(Config(), fields))
    except ConfigError as error:
        return str(error)
    return None


def leaves(kind):
    """`(group, field, type)` of all values; group is "" on the top level."""
    for name, annotation in typing.get_type_hints(kind).items():
        if dataclasses.is_dataclass(annotation):
            for inner, of in typing.get_type_hints(annotation).items():
                yield name, inner, of
        else:
            yield "", name, annotation


def flags(config):
    """All of a configuration, as `bmg train` takes it."""
    arguments = []
    for group, field, kind in leaves(type(config)):
        value = getattr(getattr(config, group) if group else config, field)
        name = f"{group}.{field}" if group else field
        if kind is bool:
            name = name if value else f"{group}.no_{field}"
            arguments.append(f"--{name}".replace("_", "-"))
            continue
        arguments.append(f"--{name}".replace("_", "-"))
        values = value if isinstance(value, tuple) else (value,)
        arguments += map(str, values)
    return arguments
