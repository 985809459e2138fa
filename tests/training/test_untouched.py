import random

import pytest

from workbench.training.untouched import unmoved, untouched

pytestmark = pytest.mark.training


@pytest.fixture
def model():
    """Modules in different modes, with dropout, a checkpointing flag and a frozen part."""
    import torch

    model = torch.nn.Sequential(
        torch.nn.Linear(2, 2), torch.nn.Dropout(0.5), torch.nn.Sequential(torch.nn.Linear(2, 2))
    )
    model.train()
    model[2].eval()
    model[0].gradient_checkpointing = True
    model[2].gradient_checkpointing = False
    model[0].bias.requires_grad_(False)
    return model


def state_of(model):
    import numpy
    import torch

    return (
        [module.training for module in model.modules()],
        [model[0].gradient_checkpointing, model[2].gradient_checkpointing],
        [parameter.requires_grad for parameter in model.parameters()],
        torch.is_grad_enabled(),
        random.getstate(),
        str(numpy.random.get_state()),
        torch.get_rng_state().tolist(),
    )


def disturb(model):
    """What generating does, and more."""
    import numpy
    import torch

    assert not torch.is_grad_enabled()
    assert not any(module.training for module in model.modules())
    assert not model[0].gradient_checkpointing
    random.random()
    numpy.random.rand()
    torch.rand(3)
    torch.manual_seed(9)
    model[2].train()
    model[0].gradient_checkpointing = True
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def test_everything_is_put_back(model):
    before = state_of(model)
    with untouched(model):
        disturb(model)
    assert state_of(model) == before


def test_everything_is_put_back_after_an_error(model):
    before = state_of(model)
    with pytest.raises(RuntimeError, match="out of memory"), untouched(model):
        disturb(model)
        raise RuntimeError("out of memory")
    assert state_of(model) == before


def test_a_look_in_training_mode_puts_everything_back_too(model):
    """Dropout draws within, and draws the same again afterwards."""
    import torch

    before = state_of(model)
    with unmoved(model):
        assert model.training and not model[0].gradient_checkpointing and torch.is_grad_enabled()
        drawn = model[1](torch.ones(64)).tolist()
        random.random()
        model.eval()
        model[2][0].weight.requires_grad_(False)
    assert state_of(model) == before
    assert model[1](torch.ones(64)).tolist() == drawn
