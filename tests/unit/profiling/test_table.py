"""A profile as tables."""

from dataclasses import replace

import pytest

from speech_recognition.profiling.calls import Profile
from speech_recognition.profiling.table import by_kernel, by_layer, kernel_table, layer_table


def test_kernels_are_summed_and_the_longest_is_first(profile: Profile) -> None:
    gemm, *others = by_kernel(profile)
    assert (gemm.name, gemm.calls, gemm.ms) == ("gemm", 2, 8.0)
    assert [each.name[:4] for each in others] == ["copy", "adam"]


def test_utilisation_is_a_mean_over_time_of_the_calls_that_have_it(profile: Profile) -> None:
    rows = {each.name: each.used for each in by_layer(profile)}
    assert rows["rnn.0"] == {"sm": pytest.approx(70.0), "tensor": pytest.approx(45.0)}
    assert rows["other"] == {}


def test_layers_keep_their_order_and_the_rest_comes_last(profile: Profile) -> None:
    assert [each.name for each in by_layer(profile)] == ["rnn.0", "optimizer", "other"]


def test_the_table_of_kernels(profile: Profile) -> None:
    head, gemm, others = kernel_table(profile, rows=1).splitlines()
    assert head.split() == ["ms", "share", "calls", "SM", "%", "tensor", "%", "kernel"]
    assert gemm.split() == ["8.00", "80.0%", "2", "70.0", "45.0", "gemm"]
    assert others.split() == ["2.00", "20.0%", "2", "2", "others"]
    assert "others" not in kernel_table(profile, rows=3)


def test_a_name_cannot_move_the_cursor_or_fill_the_screen(profile: Profile) -> None:
    table = kernel_table(profile, rows=3)
    assert "\x1b" not in table and r"adam\x1bw" in table
    assert max(map(len, table.splitlines())) < 120


def test_the_table_of_layers(profile: Profile) -> None:
    head, rnn, optimizer, other = (line.split() for line in layer_table(profile).splitlines())
    assert head == ["ms", "share", "forward", "backward", "SM", "%", "tensor", "%", "layer"]
    assert rnn == ["8.00", "80.0%", "2.00", "6.00", "70.0", "45.0", "rnn.0"]
    assert optimizer[:4] == ["1.00", "10.0%", "0.00", "0.00"] and other[-1] == "other"


def test_what_no_call_has_gets_no_column(profile: Profile) -> None:
    plain = replace(profile, calls=[replace(call, sm=None, tensor=None) for call in profile.calls])
    assert kernel_table(plain, rows=1).splitlines()[0].split() == ["ms", "share", "calls", "kernel"]


def test_calls_that_took_no_time_have_no_share(profile: Profile) -> None:
    idle = replace(profile, calls=[replace(call, ms=0.0) for call in profile.calls])
    assert layer_table(idle).splitlines()[1].split()[:2] == ["0.00", "-"]
