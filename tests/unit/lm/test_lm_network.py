"""The model is a proper code in every layout: its probabilities of all that there could be sum to 1, and no code sees itself."""

import itertools
import math

import pytest
import torch

from bench.lm import network
from bench.lm.layouts import NAMES, layout
from bench.lm.network import BODIES, Body, LanguageModel

SIZES = (3, 2, 3)
EXACT = ("depth", "flattened", "one_late", "stages")


def model(name: str) -> LanguageModel:
    """With weights that are far from where they begin."""
    torch.manual_seed(0)
    priors = [torch.full((size,), -math.log(size)) for size in SIZES]
    made = LanguageModel(layout(name, len(SIZES)), Body(32, 1, 32, 1), range(len(SIZES)), priors)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
        made.embedding.weight[0] = 0
    return made.eval()


def everything(frames: int) -> torch.Tensor:
    """All clips of so many frames that there could be, as numbers [n, frames + 1, C]."""
    frame = list(itertools.product(range(1, 4), range(4, 6), range(6, 9)))
    clips = list(itertools.product(frame, repeat=frames))
    return torch.cat([torch.zeros(len(clips), 1, 3, dtype=torch.int64), torch.tensor(clips)], 1)


def total(name: str) -> float:
    with torch.no_grad():
        return float(model(name)(everything(2)).double().sum((1, 2)).exp().sum())


@pytest.mark.parametrize("name", NAMES)
def test_the_probabilities_of_all_clips_sum_to_one(name: str) -> None:
    assert total(name) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_without_the_causal_mask_they_do_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seeing = network.F.scaled_dot_product_attention
    monkeypatch.setattr(network.F, "scaled_dot_product_attention", lambda q, k, v, is_causal: seeing(q, k, v))
    assert abs(total(name) - 1) > 1e-3


def seen(name: str, frames: int = 4) -> torch.Tensor:
    """[F, C, F, C]: whether the prediction of the first (frame, column) depends on the second."""
    made, columns = model(name), len(SIZES)
    codes = torch.randn(1, frames + 1, columns, network.RANK, requires_grad=True)
    hidden = made.hidden(codes)
    found = torch.zeros(frames, columns, frames, columns, dtype=torch.bool)
    for t in range(frames):
        for c in range(columns):
            (slope,) = torch.autograd.grad(hidden[0, t, c].sum(), codes, retain_graph=True)
            found[t, c] = slope[0, 1:].abs().sum(-1) > 0
    return found


@pytest.mark.parametrize("name", EXACT)
def test_in_an_exact_layout_of_two_codes_one_sees_the_other(name: str) -> None:
    found = seen(name).flatten(2).flatten(0, 1)
    assert not (found & found.T).any() and not found.diagonal().any()
    assert (found | found.T | torch.eye(len(found), dtype=torch.bool)).all()


def test_parallel_codes_of_a_frame_do_not_see_each_other_but_all_of_the_past() -> None:
    found = seen("parallel")
    assert all((found[t, :, :t].all(), not found[t, :, t:].any()) == (True, True) for t in range(4))


def test_a_delayed_code_sees_lower_codebooks_of_its_time_and_the_first_not_the_last_fine_ones() -> None:
    found = seen("delayed")
    assert found[2, 1, 2, 0] and found[2, 2, 2, 1]
    assert found[2, 1, 1].tolist() == [True, True, False]
    assert not found[2, 0, 1, 1] and found[2, 0, 0, 1]


def test_one_late_the_first_code_of_the_next_frame_is_known_when_the_others_are_predicted() -> None:
    found = seen("one_late")
    assert found[1, 1, 2, 0] and found[1, 2, 1, 1] and not found[2, 0, 1, 1]


def test_the_acoustic_stage_sees_all_of_the_semantic_one() -> None:
    found = seen("stages")
    assert found[0, 1:, :, 0].all() and not found[:, 0, :, 1:].any()


@pytest.mark.parametrize("name", NAMES)
def test_frames_that_are_asked_alone_are_answered_as_all_are(name: str) -> None:
    made, clips, where = model(name), everything(2)[:30], torch.tensor([0, 3, 17, 59])
    with torch.no_grad():
        assert torch.allclose(made(clips, where), made(clips).flatten(0, 1)[where], atol=1e-5)


def test_a_pointer_is_a_mixture_where_there_is_something_to_point_at() -> None:
    yes, no = torch.tensor(True), torch.tensor(False)
    log_p, odds = torch.tensor(0.2).log(), torch.tensor(3.0).log()  # three times in four
    assert network.pointed(log_p, odds, yes, yes).exp().item() == pytest.approx(0.75 + 0.05)
    assert network.pointed(log_p, odds, yes, no).exp().item() == pytest.approx(0.05)
    assert network.pointed(log_p, odds, no, no).exp().item() == pytest.approx(0.2)


def test_the_fastest_rotation_tells_even_distances_from_odd_ones() -> None:
    cos, _ = network.rotations(torch.arange(4), network.HEAD)
    assert cos[:, 0].tolist() == pytest.approx([1, -1, 1, -1])


def test_an_embedded_code_says_whether_it_is_the_one_of_the_frame_before() -> None:
    made, numbers = model("depth"), torch.tensor([[0, 4, 6], [1, 4, 7], [1, 5, 7]])
    with torch.no_grad():
        marks = (made.embedded(numbers[None])[0] - made.embedding(numbers)).abs().sum(-1) > 0.1
    assert marks.tolist() == [[False, False, False], [False, True, False], [True, False, True]]


def test_before_the_first_step_it_is_the_zero_order_model() -> None:
    priors = [torch.tensor([0.7, 0.2, 0.1]).log(), torch.tensor([0.9, 0.1]).log()]
    made = LanguageModel(layout("depth", 2), BODIES["small"], (0, 1), priors)
    assert made(torch.tensor([[[0, 0], [2, 4]]]))[0, 0].exp().tolist() == pytest.approx([0.2, 0.9])


def test_what_follows_changes_nothing_before_it() -> None:
    made, clips = model("depth"), everything(2)[:40]
    with torch.no_grad():
        assert torch.allclose(made(clips[:, :2])[:, 0], made(clips)[:, 0], atol=1e-6)
