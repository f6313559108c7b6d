"""Out of memory in the words of every maker, as their sources have them."""

from __future__ import annotations

import json

import pytest

from ygg.backends import failures
from ygg.model import OutcomeKind

EXHAUSTED = [
    "model requires more system memory than is currently available",
    "ggml_tallocr_alloc: not enough space in the buffer to allocate 12 (needed 3, available 1)",
    "graph allocation: failed to reserve memory",
    "model requires more system memory (7.5 GiB) than is available (5.2 GiB)",
    "llama runner process has terminated: error loading model: unable to allocate CUDA0 buffer",
    "CUDA error: out of memory",
    "cudaMalloc failed: out of memory",
    "allocating 1024.00 MiB on device 0: cudaMalloc failed: out of memory",
    "hipMalloc failed",
    "ROCm error: out of memory",
    "failed to allocate compute pp buffers",
    "failed to allocate buffer for kv cache",
    "ggml_vulkan: Device memory allocation of size 1056622080 failed.",
    "vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
    "VK_ERROR_OUT_OF_DEVICE_MEMORY",
    "VK_ERROR_OUT_OF_HOST_MEMORY",
    "can't allocate 3503030272 Bytes of memory on device",
    "Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
    "Native API returns: 40 (UR_RESULT_ERROR_OUT_OF_RESOURCES)",
    "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
    "[metal::malloc] Unable to allocate 18874368000 bytes.",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "cudaErrorMemoryAllocation",
    "hipErrorOutOfMemory",
    "CUDA out of memory. Tried to allocate 2.00 GiB",
    "HIP out of memory. Tried to allocate 20 MiB",
    "MPS backend out of memory",
    "torch.OutOfMemoryError",
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
    "DefaultCPUAllocator: not enough memory: you tried to allocate",
    "No available memory for the cache blocks. Try increasing",
    "7.5 GiB KV cache is needed, which is larger than the available KV cache memory (1.64 GiB)",
    "Free memory on device cuda:0 (12.38/287.69 GiB) on startup is less than desired GPU memory utilization (0.92, 264.67 GiB)",
    "std::bad_alloc",
    "Cannot allocate memory",
    "insufficient memory - required allocations: {}",
    "not enough GPU memory",
    "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 12",
    "llama_kv_cache_init: failed to allocate buffer",
    "alloc_tensor_range: failed to allocate Vulkan0 buffer of size 1",
    "ggml_gallocr_reserve_n: failed to allocate CUDA0 buffer",
    "failed to allocate context",
    "GGML_ASSERT: buffer allocation failed",
    "out of vram",
    "mmap failed: Cannot allocate memory",
]
OTHER = [
    "model runner has unexpectedly stopped, this may be due to resource limitations",
    "failed to allocate a port",
    "bad template near x",
    "invalid memory address or nil pointer dereference",
    "an illegal memory access was encountered",
    "no slot available",
    "cannot allocate slots for the request",
    "exceed_context_size_error",
    "the memory of this chat is not available",
]


@pytest.mark.parametrize("text", EXHAUSTED)
def test_every_makers_words_mean_out_of_memory(text: str) -> None:
    for body in (
        {"error": f"llama: {text}!"},
        {"error": {"message": text.upper()}},
        {"detail": text},
    ):
        failed = failures.from_status(500, {}, json.dumps(body).encode())
        assert failed.kind is OutcomeKind.OUT_OF_MEMORY
    assert failures.from_error({"error": text}).kind is OutcomeKind.OUT_OF_MEMORY


def test_the_words_count_wherever_they_stand_in_a_long_text() -> None:
    log = "llama_model_load: " * 100 + "unable to allocate CUDA0 buffer"
    failed = failures.from_status(500, {}, json.dumps({"error": log}).encode())
    assert failed.kind is OutcomeKind.OUT_OF_MEMORY
    assert len(failed.message) <= failures.MESSAGE_MAX


@pytest.mark.parametrize("text", OTHER)
def test_other_words_about_memory_do_not(text: str) -> None:
    body = json.dumps({"error": text}).encode()
    assert failures.from_status(500, {}, body).kind is not OutcomeKind.OUT_OF_MEMORY


def test_a_prompt_that_talks_of_memory_is_no_memory_error() -> None:
    body = json.dumps({"error": "bad template near 'out of memory'"}).encode()
    assert failures.from_status(400, {}, body).kind is OutcomeKind.BAD_REQUEST
