"""Tables of ncu, in both forms, as the samples have them and as made here."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.errors import InputError
from speech_recognition.profiling.calls import OTHER, Call, Place
from speech_recognition.profiling.ncu import DURATION, UTILISATION, is_table, read_ncu

SAMPLES = Path(__file__).parent / "samples"
PATH = Path("nsight.csv")


def test_the_raw_page_has_a_row_for_each_kernel_and_its_range() -> None:
    profile = read_ncu(PATH, (SAMPLES / "nsight_raw.csv").read_bytes())
    assert profile.unit == "GPU kernels"
    assert [(call.place, call.ms, call.sm, call.tensor, call.occupancy) for call in profile.calls] == [
        (Place("rnn.0", "forward"), 1.5, 70.25, 60.5, 12.5),
        (Place("rnn.0", "backward"), 0.5, 30.25, 20.5, 12.5),
        (Place("loss", "backward"), 0.25, 2.0, 0.0, None),
        (OTHER, 0.75, 10.0, 0.0, 40.0),
    ]
    assert profile.calls[2].kernel.startswith("void at::native::ctc_loss_backward")


def test_the_default_page_has_a_row_for_each_metric() -> None:
    profile = read_ncu(PATH, (SAMPLES / "nsight_details.csv").read_bytes())
    assert profile.calls == [
        Call(kernel="gemm", place=OTHER, ms=0.0125, sm=55.0, occupancy=31.2),
        Call(kernel="copy", place=OTHER, ms=1.25),
    ]


HEAD = f'"ID","Kernel Name","{DURATION}"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", r"recorded nothing \(it has no kernels\)"),
        (HEAD + '"","","ns"\n', r"recorded nothing \(it has no kernels\)"),
        ("==ERROR== ERR_NVGPUCTRPERM - no permission\n", r"recorded nothing \(==ERROR== ERR_NVGPUCTRPERM"),
        (HEAD + '"","","ns"\nepoch 1: loss 3\n', "'epoch 1: loss 3' is not a row .* --log-file"),
        (HEAD + '"","","ns"\n"0","","5"\n', "kernel 0 has no name"),
        (HEAD + '"","","ns"\n"7","k","n/a"\n', f"kernel 7 has no name or no {DURATION}"),
        (HEAD + '"","","cycle"\n"0","k","5"\n', f"no {DURATION} with its unit"),
        ('"ID","Kernel Name"\n"0","k"\n', f"no {DURATION}"),
        (HEAD + '"0","k"x,"5"\n', "cannot be read as CSV"),
    ],
)
def test_what_is_no_table_of_kernels_names_the_file(text: str, fault: str) -> None:
    with pytest.raises(InputError, match=rf"^nsight\.csv: .*{fault}"):
        read_ncu(PATH, text.encode())


CALLS = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12),
        st.sampled_from(["forward conv.0", "backward rnn.12", "update optimizer", ""]),
        st.integers(0, 10**10),
        st.none() | st.integers(0, 100),
    ),
    min_size=1,
    max_size=6,
)
UNITS = {"ns": 1e-6, "nsecond": 1e-6, "us": 1e-3, "usecond": 1e-3, "ms": 1, "msecond": 1, "s": 1e3, "second": 1e3}


@given(CALLS, st.booleans(), st.booleans(), st.sampled_from(sorted(UNITS)))
def test_what_was_written_is_read(
    calls: list[tuple[str, str, int, int | None]], by_metric: bool, thousands: bool, unit: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    head = ["ID", "Id:Domain:Start/Stop_Range:PL_Type:PL_Value", "Kernel Name"]
    metrics, units = [DURATION, UTILISATION["tensor"]], [unit, "%"]
    writer.writerow(head + (["Metric Name", "Metric Unit", "Metric Value"] if by_metric else metrics))
    if not by_metric:
        writer.writerow(["", "", "", *units])
    for number, (kernel, range_name, duration, tensor) in enumerate(calls):
        row = [number, range_name and f'{number}  "<default domain>:{range_name}:none:none"', kernel]
        values = [f"{duration:,}" if thousands else duration, "n/a" if tensor is None else tensor]
        rows = [[*row, *each] for each in zip(metrics, units, values, strict=True)] if by_metric else [[*row, *values]]
        writer.writerows(rows)
    content = text.getvalue().encode()
    assert is_table(content)
    found = read_ncu(PATH, content).calls
    # A kernel's own name never decides its place, unless it is one of the CTC loss.
    assert [(each.kernel, str(each.place), each.tensor) for each in found] == [
        (kernel, range_name or "other other", tensor) for kernel, range_name, _, tensor in calls
    ]
    assert [each.ms for each in found] == pytest.approx([duration * UNITS[unit] for _, _, duration, _ in calls])


@given(st.binary(max_size=60), st.integers(0, 900))
def test_any_bytes_give_a_profile_or_one_line_of_error(noise: bytes, place: int) -> None:
    sample = (SAMPLES / "nsight_details.csv").read_bytes()
    try:
        assert read_ncu(PATH, sample[:place] + noise + sample[place:]).calls
    except InputError as error:
        assert str(error).startswith("nsight.csv: ") and "\n" not in str(error)
