"""Random streams: distinct, unchanged between versions, and in torch's range of seeds."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from factorlab.seeding import Stream, generator, integer

seeds = st.integers(0, 2**63 - 1)


def test_stream_numbers_never_change():
    assert {stream.name: int(stream) for stream in Stream} == {
        "SUBSAMPLE": 0, "WEIGHTS": 1, "BATCHES": 2, "EVALUATION_LABELS": 3, "SAMPLES": 4,
        "LOSS_ESTIMATES": 5, "REPRESENTATIONS": 6, "ARRANGEMENT": 7,
    }  # fmt: skip


@given(seeds, st.sampled_from(Stream), st.lists(st.integers(0, 10**6), max_size=2))
def test_integer_is_63_bits_of_seed_sequence(seed, stream, index):
    expected = np.random.SeedSequence([seed, stream.value, *index]).generate_state(1, np.uint64)
    assert integer(seed, stream, *index) == int(expected[0]) // 2
    assert 0 <= integer(seed, stream, *index) < 2**63
    torch.Generator().manual_seed(integer(seed, stream, *index))


def test_integer_differs_between_streams_indices_and_seeds():
    drawn = [integer(seed, s, i) for seed in range(20) for s in Stream for i in range(50)]
    assert len(set(drawn)) == len(drawn)


@given(seeds, st.sampled_from(Stream))
def test_generator_starts_stream_afresh(seed, stream):
    first, second = (torch.rand(4, generator=generator(seed, stream)) for _ in range(2))
    assert torch.equal(first, second)
