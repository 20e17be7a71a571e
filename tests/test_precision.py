"""bf16 where the hardware multiplies in it, and nowhere by itself otherwise."""

import pytest
import torch

from lib.system import runtime
from lib.system.machine import processor_vendor
from lib.system.runtime import autocast, choose_precision

CPU = torch.device("cpu")


@pytest.fixture
def processor(monkeypatch):
    """Return a function that gives the processor its features."""

    def has(*features, limit=None, vendor="GenuineIntel"):
        found = dict.fromkeys(features, True)
        monkeypatch.setattr(runtime, "processor_vendor", lambda: vendor)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
        if limit is None:
            monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
        else:
            monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)

    return has


def test_auto_takes_bf16_where_it_was_measured_to_be_faster(processor):
    processor("avx512_f", "amx_tile", "amx_bf16")
    assert choose_precision("auto", CPU) == "bf16"
    processor("avx512_f", "avx512_bf16", vendor="AuthenticAMD")
    assert choose_precision("auto", CPU) == "bf16"
    processor("avx512_f", "avx512_bf16")
    assert choose_precision("auto", CPU) == "fp32"
    processor("avx512_f", vendor="AuthenticAMD")
    assert choose_precision("auto", CPU) == "fp32"
    processor()
    assert choose_precision("auto", CPU) == "fp32"


def test_the_maker_of_the_processor_is_read_once_or_unknown(tmp_path):
    assert processor_vendor(tmp_path) == ""
    (tmp_path / "proc").mkdir()
    text = "processor : 0\nvendor_id\t: AuthenticAMD\nmodel name\t: EPYC\n"
    (tmp_path / "proc" / "cpuinfo").write_text(2 * text)
    assert processor_vendor(tmp_path) == "AuthenticAMD"


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


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("AVX512_CORE", "fp32"),
        ("AVX512_CORE_BF16", "bf16"),
        ("avx512_core_amx_fp16", "bf16"),
    ],
)
def test_what_onednn_may_not_use_is_not_there_on_amd_either(processor, limit, expected):
    processor("avx512_bf16", limit=limit, vendor="AuthenticAMD")
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
