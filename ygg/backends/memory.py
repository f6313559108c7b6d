"""Out of memory in the words of every maker: no server has a status of its own for it.

Where the words are from:

- Ollama: `outOfMemorySubstrings` in llm/status.go, "insufficient memory - required allocations" in
  ml/device.go; older ones "model requires more system memory (7.5 GiB) than is available" (llm/server.go);
- llama.cpp: "unable to allocate CUDA0 buffer" (src/llama-model.cpp), "failed to allocate compute pp buffers"
  (src/llama-context.cpp), "failed to allocate buffer for kv cache" (src/llama-kv-cache.cpp); of its ggml "not
  enough space in the buffer to allocate", "failed to reserve memory" (ggml-alloc.c), "allocating 1.00 MiB on
  device 0: cudaMalloc failed" (ggml-cuda.cu, for HIP and MUSA too), "Device memory allocation of size 1
  failed." (ggml-vulkan.cpp), "failed to allocate buffer, size" (ggml-metal-device.m), "can't allocate 1 Bytes
  of memory on device" (SYCL);
- drivers below it: ErrorOutOfDeviceMemory (Vulkan), "Insufficient Memory
  (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)" (Metal);
- CUDA, cuBLAS, HIP, SYCL: CUDA_ERROR_OUT_OF_MEMORY, cudaErrorMemoryAllocation, CUBLAS_STATUS_ALLOC_FAILED,
  hipErrorOutOfMemory, UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY, UR_RESULT_ERROR_OUT_OF_RESOURCES;
- PyTorch: "CUDA out of memory. Tried to allocate", "HIP out of memory", "MPS backend out of memory",
  "DefaultCPUAllocator: can't allocate memory";
- vLLM: "No available memory for the cache blocks" (vllm/v1/core/kv_cache_utils.py), "KV cache is needed,
  which is larger than the available KV cache memory" (the same), "Free memory on device (…) is less than
  desired GPU memory utilization" (vllm/v1/worker/utils.py);
- MLX: "[metal::malloc] Unable to allocate 1 bytes"; C++ and the kernel: std::bad_alloc, "Cannot allocate
  memory".
"""

from __future__ import annotations

import re

_LACKING = r"not enough|insufficient|no available|exceeds? available|requires? more"
_UNABLE = r"fail(ed|ure)|unable|not able|could ?n[o']t|can ?not|can't"
_OTHER = r"port|slot|socket|thread|sequence"  #: what is allocated too, but is no memory
WORDS = (
    r"out[ _]?of[ _]?(\w+[ _]){0,2}(memory|vram\b)",  # out of device memory, OUT_OF_HOST_MEMORY
    r"outof(host|device)?memory",
    r"result_error_out_of_resources",
    r"(cuda|hip|musa)_?malloc\w* failed",
    r"error_?memory_?allocation",
    r"alloc_failed",
    r"bad_alloc",
    rf"({_UNABLE}) to reserve memory",
    r"not enough space in the buffer",
    rf"({_UNABLE}) (to )?(re)?alloc(ate)?\b(?! (a |an )?({_OTHER}))",
    r"\balloc\w*( of size \d+)? (has )?failed",
    rf"({_LACKING}) (\w+ ){{0,2}}(v?ram|memory)\b",
    r"larger than the available kv cache memory",
    r"less than desired gpu memory utilization",
)
_EXHAUSTED = re.compile("|".join(WORDS))


def exhausted(text: str) -> bool:
    """Whether the lower-case text of an error says that memory ran out."""
    return _EXHAUSTED.search(text) is not None
