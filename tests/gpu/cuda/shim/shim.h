// As much of CUDA C++ as kernels.cu uses, on the CPU: one thread after another, no barriers. half and bfloat16 are
// stored in their 16 bits and rounded to nearest, ties to even, as the device's conversions do.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <tuple>
#include <utility>

#define RELENS_SHIM 1
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)

using std::max;
using std::min;

struct ShimIndex {
    unsigned x, y, z;
};
static thread_local ShimIndex threadIdx, blockIdx, blockDim, gridDim;

static inline float __fdividef(float above, float below) { return above / below; }
static inline int __float2int_rn(float value) { return (int)lrintf(value); }

static inline uint32_t shim_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
static inline float shim_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

struct __half {
    uint16_t bits;
};
struct __nv_bfloat16 {
    uint16_t bits;
};

static inline float __bfloat162float(__nv_bfloat16 value) { return shim_float((uint32_t)value.bits << 16); }
static inline __nv_bfloat16 __float2bfloat16_rn(float value) {
    const uint32_t bits = shim_bits(value);
    if (value != value) return {0x7fff};
    return {(uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

static inline float __half2float(__half value) {
    const uint32_t sign = (uint32_t)(value.bits & 0x8000) << 16, exponent = (value.bits >> 10) & 31;
    const uint32_t fraction = value.bits & 1023;
    if (exponent == 0) return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    return shim_float(sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13);
}
static inline __half __float2half_rn(float value) {
    if (value != value) return {0x7fff};
    const uint32_t bits = shim_bits(value), sign = bits >> 16 & 0x8000u;
    const float size = fabsf(value);
    if (size >= 65520.0f) return {(uint16_t)(sign | 0x7c00u)};  // halfway between the largest and the next
    // In units of the last place: 2^-10 of the leading bit, at least 2^-24. A carry runs into the exponent by itself.
    const int unit = max((int)(bits >> 23 & 255) - 127 - 10, -24);
    const uint32_t count = (uint32_t)lrintf(size * shim_float((uint32_t)(127 - unit) << 23));
    return {(uint16_t)(sign | (((uint32_t)(unit + 24) << 10) + count))};
}

// Runs a kernel for every thread of a grid, with arguments as cuLaunchKernel takes them: pointers to values.
template <typename... Values, size_t... At>
static void shim_run(void (*kernel)(Values...), ShimIndex grid, ShimIndex block, void **args, std::index_sequence<At...>) {
    const std::tuple<Values...> values(*(std::decay_t<Values> *)args[At]...);
    gridDim = grid;
    blockDim = block;
    for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++)
                for (threadIdx.z = 0; threadIdx.z < block.z; threadIdx.z++)
                    for (threadIdx.y = 0; threadIdx.y < block.y; threadIdx.y++)
                        for (threadIdx.x = 0; threadIdx.x < block.x; threadIdx.x++) std::apply(kernel, values);
}
template <typename... Values>
static void shim_launch(void (*kernel)(Values...), ShimIndex grid, ShimIndex block, void **args) {
    shim_run(kernel, grid, block, args, std::index_sequence_for<Values...>{});
}
