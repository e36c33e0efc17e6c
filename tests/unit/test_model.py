"""Tests of the model: its size, its layers, and that padding changes nothing."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import params
from speech_recognition.features import Features, length_mask
from speech_recognition.model import ConvShape, DeepSpeech2, build_model, reorder, reversal
from speech_recognition.parameters import FeatureParams, ModelParams

MINI = params.mini()
SMALL_MINI = dataclasses.replace(MINI.model, rnn_units=32)
SMALL = {name: dataclasses.replace(make().model, rnn_units=40) for name, make in params.PRESETS.items()}
VARIANTS = {
    **{name: (model, params.PRESETS[name]().features) for name, model in SMALL.items()},
    "lstm": (dataclasses.replace(SMALL_MINI, rnn_type="lstm", merge="concat"), MINI.features),
    "rnn": (dataclasses.replace(SMALL_MINI, rnn_type="rnn", bidirectional=False), MINI.features),
    "mfcc": (SMALL_MINI, dataclasses.replace(MINI.features, kind="mfcc", normalize="bin")),
}
EVERY = pytest.mark.parametrize(("model", "features"), VARIANTS.values(), ids=VARIANTS)


@pytest.mark.parametrize("name", ["reference", "mlperf_2018"])
def test_the_reference_has_its_published_number_of_parameters(name: str) -> None:
    chosen = params.PRESETS[name]()
    with torch.device("meta"):
        model = DeepSpeech2(chosen.model, chosen.features.bins)
    assert sum(weight.numel() for weight in model.parameters()) == 103_841_568
    assert sum(weight.numel() for weight in model.conv.parameters()) == 251_168
    assert model.rnn[0].forwards.input_size == 672


@EVERY
def test_an_utterance_does_not_depend_on_its_batch_mates(model: ModelParams, features: FeatureParams) -> None:
    network, spectrum = build_model(model, features.bins, seed=1).eval(), Features(features)
    lengths = torch.tensor([30000, 17321, 6001])
    generator = torch.Generator().manual_seed(0)
    waveforms = torch.randint(-9000, 9000, (3, 30000), generator=generator) * length_mask(lengths, 30000)
    with torch.no_grad():
        together, frames = network(*spectrum(waveforms, lengths))
        for index, length in enumerate(lengths.tolist()):
            alone, count = network(*spectrum(waveforms[index : index + 1, :length], lengths[index : index + 1]))
            assert frames[index] == count > 0
            torch.testing.assert_close(together[:count, index], alone[:, 0], atol=1e-5, rtol=1e-5)


@EVERY
def test_training_statistics_do_not_see_the_padding(model: ModelParams, features: FeatureParams) -> None:
    spectrograms = torch.randn(2, features.bins, 90, generator=torch.Generator().manual_seed(0))
    frames = torch.tensor([90, 61])
    spectrograms[1, :, 61:] = 0
    results: list[tuple[torch.Tensor, ...]] = []
    for padding in (0, 40):
        network = build_model(model, features.bins, seed=1).train()
        log_probs, lengths = network(torch.nn.functional.pad(spectrograms, (0, padding)), frames)
        results.append((log_probs[: lengths.max()], network.norm.running_mean, network.conv[0].norm.running_var))
    (a, mean_a, variance_a), (b, mean_b, variance_b) = results
    torch.testing.assert_close(a[:20], b[:20], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mean_a, mean_b, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(variance_a, variance_b, atol=1e-5, rtol=1e-5)


@EVERY
@given(frames=st.integers(1, 200))
def test_output_lengths_are_those_of_the_output(model: ModelParams, features: FeatureParams, frames: int) -> None:
    network = DeepSpeech2(dataclasses.replace(model, rnn_units=2, conv_channels=1), features.bins).eval()
    log_probs, lengths = network(torch.zeros(1, features.bins, frames), torch.tensor([frames]))
    expected = max(0, network.output_lengths(frames))
    assert lengths.tolist() == [expected]
    assert log_probs.shape[0] == max(1, expected)


def test_tensorflows_model_has_the_size_that_its_sizes_give() -> None:
    """Convolutions without bias, 1,312 features, five GRUs of 800 each way, BatchNorm before all but the first."""
    with torch.device("meta"):
        model = DeepSpeech2(params.tensorflow().model, params.tensorflow().features.bins)
    gru = sum(2 * (3 * 800 * (inputs + 800) + 6 * 800) for inputs in (1312, 1600, 1600, 1600, 1600))
    conv = 32 * 41 * 11 + 32 * 32 * 21 * 11 + 2 * 2 * 32
    assert sum(weight.numel() for weight in model.parameters()) == conv + gru + 5 * 2 * 1600 + 1600 * 29 + 29


@pytest.mark.parametrize("before", [False, True])
def test_the_activation_comes_before_batch_norm_or_after_it(before: bool) -> None:
    chosen = dataclasses.replace(SMALL_MINI, activation_limit=0.1, activation_before_norm=before)
    block = build_model(chosen, 64, seed=1).conv[0]
    x = torch.randn(2, 1, 64, 30, generator=torch.Generator().manual_seed(0))
    y, lengths = block(x, torch.tensor([30, 30]))
    cut, norm = torch.nn.Hardtanh(0, 0.1), torch.nn.BatchNorm2d(16)
    convolved = block.get_submodule("conv")(x)
    torch.testing.assert_close(y, norm(cut(convolved)) if before else cut(norm(convolved)), atol=1e-5, rtol=1e-5)
    assert lengths.tolist() == [15, 15]


def test_log_probabilities_are_probabilities() -> None:
    network = build_model(SMALL_MINI, 64, seed=1).eval()
    log_probs, _ = network(torch.randn(2, 64, 50), torch.tensor([50, 50]))
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(25, 2))


def test_bfloat16_stays_near_float32_and_its_weights_are_float32() -> None:
    spectrograms, frames = (
        torch.randn(3, 64, 90, generator=torch.Generator().manual_seed(0)),
        torch.tensor([90, 80, 40]),
    )
    for row, length in enumerate(frames.tolist()):
        spectrograms[row, :, length:] = 0
    networks = [
        build_model(dataclasses.replace(SMALL_MINI, precision=precision), 64, seed=1) for precision in ("fp32", "bf16")
    ]
    (exact, lengths), (rounded, same) = (network(spectrograms, frames) for network in networks)
    assert lengths.equal(same) and rounded.dtype == torch.float32
    assert all(value.dtype == torch.float32 for value in networks[1].state_dict().values())
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(rounded[:length, row], exact[:length, row], rtol=0.05, atol=0.05)
    assert not rounded.equal(exact)
    rounded.sum().backward()
    assert all(weight.grad is not None and weight.grad.dtype == torch.float32 for weight in networks[1].parameters())


@EVERY
def test_every_model_trains_in_bfloat16(model: ModelParams, features: FeatureParams) -> None:
    network = build_model(dataclasses.replace(model, precision="bf16"), features.bins, seed=1)
    log_probs, lengths = network(torch.randn(2, features.bins, 90), torch.tensor([90, 80]))
    log_probs[: lengths.max()].square().mean().backward()
    assert log_probs.dtype == torch.float32
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_reversal_turns_each_utterance_and_is_its_own_inverse(lengths: list[int]) -> None:
    x = torch.arange(9 * len(lengths)).view(9, len(lengths), 1)
    order = reversal(torch.tensor(lengths), 9)
    turned = reorder(x, order)
    for column, length in enumerate(lengths):
        assert turned[:length, column, 0].tolist() == x[:length, column, 0].tolist()[::-1]
        assert turned[length:, column].equal(x[length:, column])
    assert reorder(turned, order).equal(x)


def test_a_backward_layer_starts_at_the_utterances_end() -> None:
    """The direct form: torch's packed bidirectional GRU."""
    from speech_recognition.model import Recurrent

    layer = Recurrent(dataclasses.replace(MINI.model, rnn_units=5), 6, batch_norm=False)
    packed = torch.nn.GRU(6, 5, bidirectional=True)
    assert layer.backwards is not None
    for name, weight in layer.forwards.named_parameters():
        getattr(packed, name).data = weight.data
        getattr(packed, name + "_reverse").data = getattr(layer.backwards, name).data
    x, lengths = torch.randn(8, 2, 6), torch.tensor([8, 5])
    sequence = torch.nn.utils.rnn.pack_padded_sequence(x, lengths)
    both, _ = torch.nn.utils.rnn.pad_packed_sequence(packed(sequence)[0])
    ours = layer(x, lengths, torch.ones(8, 2, 1, dtype=torch.bool)) * length_mask(lengths, 8).T[:, :, None]
    torch.testing.assert_close(ours, both[..., :5] + both[..., 5:], atol=1e-6, rtol=1e-5)


def test_the_seed_alone_makes_the_weights_and_leaves_the_generator() -> None:
    before = torch.random.get_rng_state()
    first, second, other = (build_model(SMALL_MINI, 64, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(first[name].equal(second[name]) for name in first)
    assert not first["linear.weight"].equal(other["linear.weight"])
    assert torch.random.get_rng_state().equal(before)


def test_the_models_of_2018_draw_batch_norms_scale_and_keep_all_other_weights() -> None:
    drawn = SMALL["mlperf_2018"]
    uniform, again, ones = (
        dict(build_model(dataclasses.replace(drawn, batch_norm_scale=scale), 161, seed=1).named_parameters())
        for scale in ("uniform", "uniform", "ones")
    )
    scales = {name for name in ones if name.endswith("norm.weight")}
    assert len(scales) == 3
    for name, weight in uniform.items():
        assert weight.equal(again[name]) and weight.equal(ones[name]) == (name not in scales)
    cells = torch.cat([uniform[name].detach() for name in scales])
    assert cells.min() >= 0 and cells.max() < 1 and abs(cells.mean() - 0.5) < 0.1
    of_2018 = {name for name, model in SMALL.items() if model.batch_norm_scale == "uniform"}
    assert of_2018 == {"mlperf_2018", "original_paper", "aggressive_lr"}


@given(st.integers(11, 300), st.integers(0, 5), st.integers(1, 3))
def test_a_convolutions_output_size_is_torchs(size: int, padding: int, stride: int) -> None:
    shape = ConvShape((1, 11), (1, stride), (0, padding))
    conv = torch.nn.Conv1d(1, 1, 11, stride, padding)
    assert shape.output(size, axis=1) == conv(torch.zeros(1, 1, size)).shape[2]


@EVERY
def test_lengths_follow_from_the_host_alone(model: ModelParams, features: FeatureParams) -> None:
    """What a GPU's model returns, without asking the GPU, are the lengths that its convolutions count."""
    network, frames = build_model(model, features.bins, seed=1), torch.arange(60)
    _, lengths = network.convolve(torch.zeros(60, features.bins, 59), frames)
    on_meta = network.to("meta")
    on_meta.bf16 = False  # torch has no autocast for this device
    _, found = on_meta(torch.zeros(60, features.bins, 59, device="meta"), frames)
    assert found.device.type == "cpu" and found.tolist() == lengths.tolist()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers_of_a_gpu_are_never_left_to_autocast(
    monkeypatch: pytest.MonkeyPatch, bidirectional: bool
) -> None:
    """Under autocast, torch would compute them in float16."""
    asked = []

    def record(layer: torch.nn.RNNBase, x: torch.Tensor) -> torch.Tensor:
        asked.append(layer)
        return x.new_empty(*x.shape[:2], layer.hidden_size)

    monkeypatch.setattr("speech_recognition.model.bf16_rnn", record)
    chosen = dataclasses.replace(SMALL_MINI, precision="bf16", bidirectional=bidirectional)
    layer = build_model(chosen, MINI.features.bins, seed=1).rnn[0].to("meta")
    lengths = torch.ones(2, dtype=torch.int64, device="meta")
    layer(torch.empty(9, 2, layer.forwards.input_size, device="meta"), lengths, lengths)
    assert asked == [layer.forwards, layer.backwards][: 1 + bidirectional]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_channels_come_last_where_there_are_several(precision: str) -> None:
    model = build_model(dataclasses.replace(SMALL_MINI, precision=precision), MINI.features.bins, seed=1)
    first, second = (block.conv.weight.stride() for block in model.conv)
    assert first == (11 * 41, 11 * 41, 11, 1)
    assert (second[1] == 1) == (precision == "bf16")
