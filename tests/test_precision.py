"""bf16 where the hardware multiplies in it, and nowhere by itself otherwise."""

import pytest
import torch

from lib.system.runtime import autocast, choose_precision

CPU = torch.device("cpu")


@pytest.fixture
def processor(monkeypatch):
    """Return a function that gives the processor its features."""

    def has(*features, limit=None):
        found = dict.fromkeys(features, True)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
        if limit is None:
            monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
        else:
            monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)

    return has


def test_auto_takes_bf16_with_amx_alone(processor):
    processor("avx512_f", "amx_tile", "amx_bf16")
    assert choose_precision("auto", CPU) == "bf16"
    processor("avx512_f", "avx512_bf16")
    assert choose_precision("auto", CPU) == "fp32"
    processor()
    assert choose_precision("auto", CPU) == "fp32"


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("AVX2", "fp32"),
        ("AVX512_CORE_BF16", "fp32"),
        ("avx512_core_amx", "bf16"),
        ("ALL", "bf16"),
        ("", "bf16"),
    ],
)
def test_what_onednn_may_not_use_is_not_there(processor, limit, expected):
    processor("amx_bf16", limit=limit)
    assert choose_precision("auto", CPU) == expected


def test_torch_that_does_not_tell_its_processor_gets_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose_precision("auto", CPU) == "fp32"


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_what_was_typed_stands(processor, wanted):
    processor("amx_bf16")
    assert choose_precision(wanted, CPU) == wanted
    processor()
    assert choose_precision(wanted, CPU) == wanted


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_products_are_in_the_precision_asked_for(precision, dtype):
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
