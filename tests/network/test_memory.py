import subprocess
import sys

import pytest
import torch

from layerscope.network.memory import Budget, is_out_of_memory, kept_memory


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_which_errors_are_of_memory(error, is_it):
    assert is_out_of_memory(error) == is_it


def test_what_the_allocator_really_says_is_known():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 55)
    assert is_out_of_memory(raised.value)


def test_a_budget_goes_below_what_was_tried():
    budget = Budget(4096)
    budget.halve(tried=300)
    assert budget.tokens == 150
    budget.halve(tried=1000)
    assert budget.tokens == 75
    for _ in range(20):
        budget.halve(tried=1)
    assert budget.tokens == 1


def test_memory_is_kept_inside_and_given_back_afterwards():
    code = (
        "import resource, torch\n"
        "from layerscope.network.memory import kept_memory\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(20):\n"
        "        torch.ones(1 << 21)\n"  # eight megabytes each
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "torch.set_num_threads(1)\n"
        "with kept_memory():\n"
        "    faults()\n"
        "    with kept_memory():\n"
        "        inside = faults()\n"
        "print(inside, faults())\n"
    )
    inside, outside = map(
        int, subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    )
    assert inside < outside / 10


def test_where_there_is_no_glibc_nothing_is_done(monkeypatch):
    monkeypatch.setattr("layerscope.network.memory._glibc", lambda: None)
    with kept_memory():
        assert torch.ones(2).sum() == 2


def test_afterwards_large_arrays_are_no_slower_than_before():
    """Each megabyte that is mapped anew costs 256 page faults."""
    code = (
        "import resource, numpy as np\n"
        "from layerscope.network.memory import kept_memory\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(50):\n"
        "        np.ones(1 << 20, np.uint8)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "np.ones(16 << 20, np.uint8)\n"  # a large block was freed, as in any process that has done something
        "faults()\n"
        "before = faults()\n"
        "with kept_memory():\n"
        "    faults()\n"
        "faults()\n"
        "print(before, faults())\n"
    )
    before, after = map(
        int, subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    )
    assert after <= before + 50 * 256 / 10
