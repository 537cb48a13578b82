// Every CUDA kernel of relens: NV12 to and from planar RGB, resizing, the composite over the source, plane shuffles.
//
// Compiled beforehand into kernels.fatbin (build_kernels.py), and by g++ under a shim for the tests, where each kernel
// is held to its NumPy twin (twins.py). So: no shared memory, no barriers, no warp intrinsics; one thread, one result.
//
// Pictures. NV12: luma [H, W] and chroma [ceil(H/2), ceil(W/2)] of (U, V), rows `pitch` bytes apart. Canvas: the
// model's picture, planar [3, h, w], 0..1, fp16 or bf16. Everything is filtered in coded values (gamma), as video is.
//
// Chroma siting: left (ITU-T H.264 E.2.1 and H.265 E.3.1: chroma_sample_loc_type is inferred to be 0 when absent, as it
// is in what WebRTC and NVENC send). Counted in luma samples, chroma sample (i, j) lies at column 2i, row 2j + 1/2.
//
// Resizing. A triangle as wide as the shrinking (radius = source samples per result sample, at least 1): antialiased
// below 1:1, bilinear above. Outside the picture its edge samples go on. Positions are ratios of integers, so that no
// float decides which sample a result belongs to.
//
// Matrix and range (bits of `flags`): BT.601 or BT.709 (Kr, Kb of ITU-T H.273 table 4), limited or full (its 8.3).
// Results in bytes are rounded once, to nearest.
//
// "Moves" gives the bytes that must cross memory once, for the roofline in bench; reads repeated by neighbouring
// threads hit the caches. Threads of a warp lie along a row: its loads and stores are whole 32-byte sectors.

#ifndef RELENS_SHIM
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>
#endif

#define KERNEL extern "C" __global__ void __launch_bounds__(256)
#define INLINE static __device__ __forceinline__

enum { BT709 = 1, FULL_RANGE = 2 };

// What changes from frame to frame without a new graph: the kernels of a captured graph read addresses, colours and
// strength here. Written by bind_frames, on the same stream, before the graph is launched.
struct Binding {
    const uint8_t *source_luma, *source_chroma;
    uint8_t *target_luma, *target_chroma;
    int source_luma_pitch, source_chroma_pitch, target_luma_pitch, target_chroma_pitch;  // bytes
    int flags;
    float strength;
};

// Where a canvas lies on a source: the rectangle of the source (sx, sy, sw, sh) is what the canvas' rectangle
// (cx, cy, cw, ch) shows. What is left of the canvas (padding) repeats that rectangle's edge; what is left of the
// source (cropped) stays as it is.
struct Place {
    int width, height, canvas_width, canvas_height;
    int sx, sy, sw, sh, cx, cy, cw, ch;
};
#define PLACE                                                                                                        \
    int width, int height, int canvas_width, int canvas_height, int sx, int sy, int sw, int sh, int cx, int cy,      \
        int cw, int ch
#define THE_PLACE {width, height, canvas_width, canvas_height, sx, sy, sw, sh, cx, cy, cw, ch}

INLINE int column() { return (int)(blockIdx.x * blockDim.x + threadIdx.x); }
INLINE int row() { return (int)(blockIdx.y * blockDim.y + threadIdx.y); }

INLINE int clamped(int value, int size) { return min(max(value, 0), size - 1); }
INLINE float unit(float value) { return fminf(fmaxf(value, 0.0f), 1.0f); }  // not a number: 0
INLINE uint8_t to_byte(float value) { return (uint8_t)__float2int_rn(fminf(fmaxf(value, 0.0f), 255.0f)); }

INLINE float number(uint8_t value) { return (float)value; }
INLINE float number(__half value) { return __half2float(value); }
INLINE float number(__nv_bfloat16 value) { return __bfloat162float(value); }
INLINE void put(uint8_t *where, float value) { *where = to_byte(value); }
INLINE void put(__half *where, float value) { *where = __float2half_rn(value); }
INLINE void put(__nv_bfloat16 *where, float value) { *where = __float2bfloat16_rn(value); }

// ---- colour ------------------------------------------------------------------------------------------------------

struct Colour {
    float kr, kb, luma_scale, luma_offset, chroma_scale;  // scale: code values per unit
};

INLINE Colour colour_of(int flags) {
    const bool bt709 = flags & BT709, full = flags & FULL_RANGE;
    return {bt709 ? 0.2126f : 0.299f, bt709 ? 0.0722f : 0.114f, full ? 255.0f : 219.0f, full ? 0.0f : 16.0f,
            full ? 255.0f : 224.0f};
}

INLINE float luma_of(const Colour &k, float r, float g, float b) {  // 0..1
    return k.kr * r + (1.0f - k.kr - k.kb) * g + k.kb * b;
}

// Code values about 128 from RGB (differences of RGB give differences).
INLINE float blue_of(const Colour &k, float luma, float b) {
    return (b - luma) * __fdividef(k.chroma_scale, 2.0f - 2.0f * k.kb);
}
INLINE float red_of(const Colour &k, float luma, float r) {
    return (r - luma) * __fdividef(k.chroma_scale, 2.0f - 2.0f * k.kr);
}

// ---- the filter --------------------------------------------------------------------------------------------------

// The samples that one result takes along one axis: `first`..`last`, weighing 1 - |sample - centre| / radius.
struct Taps {
    int first, last, nearest;
    float start, step;  // of `first`: (first - centre) / radius; from one sample to the next
};

// Around the position above/below (in samples; below > 0), with a radius of at least 1.
INLINE Taps taps_at(int above, int below, float radius) {
    int whole = above / below, rest = above - whole * below;
    if (rest < 0) {
        rest += below;
        whole--;
    }
    const float part = __fdividef((float)rest, (float)below), step = __fdividef(1.0f, radius);
    const int first = (int)floorf(part - radius) + 1, last = (int)ceilf(part + radius) - 1;
    return {whole + first, whole + last, whole + (2 * rest >= below), ((float)first - part) * step, step};
}

// A plane as mean_of reads it: values of a pixel are `apart` elements from each other, pixels of a row `step`.
template <typename T> struct Plane {
    const T *data;
    int pitch, width, height, step, apart;  // pitch in bytes
};

// The weighted means of a plane's `Values` values a pixel.
template <int Values, typename T> INLINE void mean_of(const Plane<T> &of, const Taps &x, const Taps &y, float *mean) {
    float total = 0.0f, below = y.start;
    for (int c = 0; c < Values; c++) mean[c] = 0.0f;
#pragma unroll 1
    for (int j = y.first; j <= y.last; j++, below += y.step) {
        const T *line = (const T *)((const char *)of.data + (size_t)clamped(j, of.height) * of.pitch);
        float weights = 0.0f, sum[Values] = {}, beside = x.start;
#pragma unroll 1
        for (int i = x.first; i <= x.last; i++, beside += x.step) {
            const float weight = 1.0f - fabsf(beside);
            const T *pixel = line + clamped(i, of.width) * of.step;
            weights += weight;
            for (int c = 0; c < Values; c++) sum[c] += weight * number(pixel[c * of.apart]);
        }
        const float weight = 1.0f - fabsf(below);
        total += weight * weights;
        for (int c = 0; c < Values; c++) mean[c] += weight * sum[c];
    }
    for (int c = 0; c < Values; c++) mean[c] = __fdividef(mean[c], total);
}

// ---- what a captured graph reads ---------------------------------------------------------------------------------

KERNEL bind_frames(Binding *binding, const uint8_t *source_luma, const uint8_t *source_chroma, uint8_t *target_luma,
                   uint8_t *target_chroma, int source_luma_pitch, int source_chroma_pitch, int target_luma_pitch,
                   int target_chroma_pitch, int flags, float strength) {
    if (column() != 0) return;
    *binding = {source_luma,       source_chroma,      target_luma, target_chroma, source_luma_pitch, source_chroma_pitch,
                target_luma_pitch, target_chroma_pitch, flags,       strength};
}

// ---- NV12 -> planar RGB 0..1 on the canvas -----------------------------------------------------------------------
// One thread a canvas pixel. Moves: source 1.5 B a source pixel in, 6 B a canvas pixel out.

template <typename T> INLINE void nv12_to_rgb(const Binding *binding, T *rgb, const Place &p) {
    if (column() >= p.canvas_width || row() >= p.canvas_height) return;
    const int across = 2 * (min(max(column(), p.cx), p.cx + p.cw - 1) - p.cx) + 1;  // twice the pixel's middle
    const int down = 2 * (min(max(row(), p.cy), p.cy + p.ch - 1) - p.cy) + 1;
    const float scale_x = __fdividef((float)p.sw, (float)p.cw), scale_y = __fdividef((float)p.sh, (float)p.ch);

    // In luma samples: sx + across * sw / (2 cw) - 1/2.
    const int x = across * p.sw + (2 * p.sx - 1) * p.cw, y = down * p.sh + (2 * p.sy - 1) * p.ch;
    float luma, chroma[2];
    mean_of<1>(Plane<uint8_t>{binding->source_luma, binding->source_luma_pitch, p.width, p.height, 1, 1},
               taps_at(x, 2 * p.cw, fmaxf(scale_x, 1.0f)), taps_at(y, 2 * p.ch, fmaxf(scale_y, 1.0f)), &luma);
    // In chroma samples: half of that across; half of what is left of it after 1/2 down.
    mean_of<2>(Plane<uint8_t>{binding->source_chroma, binding->source_chroma_pitch, (p.width + 1) / 2,
                              (p.height + 1) / 2, 2, 1},
               taps_at(x, 4 * p.cw, fmaxf(0.5f * scale_x, 1.0f)),
               taps_at(y - p.ch, 4 * p.ch, fmaxf(0.5f * scale_y, 1.0f)), chroma);

    const Colour k = colour_of(binding->flags);
    const float light = __fdividef(luma - k.luma_offset, k.luma_scale);
    const float blue = __fdividef(chroma[0] - 128.0f, k.chroma_scale);
    const float red = __fdividef(chroma[1] - 128.0f, k.chroma_scale);
    const float kg = 1.0f - k.kr - k.kb, to_r = 2.0f - 2.0f * k.kr, to_b = 2.0f - 2.0f * k.kb;
    const size_t plane = (size_t)p.canvas_width * p.canvas_height;
    rgb += (size_t)row() * p.canvas_width + column();
    put(rgb, unit(light + to_r * red));
    put(rgb + plane, unit(light - __fdividef(k.kr * to_r * red + k.kb * to_b * blue, kg)));
    put(rgb + 2 * plane, unit(light + to_b * blue));
}

KERNEL nv12_to_rgb_f16(const Binding *binding, __half *rgb, PLACE) { nv12_to_rgb(binding, rgb, THE_PLACE); }
KERNEL nv12_to_rgb_bf16(const Binding *binding, __nv_bfloat16 *rgb, PLACE) { nv12_to_rgb(binding, rgb, THE_PLACE); }

// ---- planar RGB 0..1 -> NV12 of the same size --------------------------------------------------------------------
// One thread a chroma sample and its four pixels. Chroma: [1 2 1] / 4 across, about its own column; the mean of both
// rows. Moves: 6 B a pixel in, 1.5 B out.

template <typename T>
INLINE void rgb_to_nv12(const T *rgb, uint8_t *luma, uint8_t *chroma, int luma_pitch, int chroma_pitch, int width,
                        int height, int flags) {
    const int i = column(), j = row();
    if (2 * i >= width || 2 * j >= height) return;
    const Colour k = colour_of(flags);
    const size_t plane = (size_t)width * height;
    float blue = 0.0f, red = 0.0f;
    for (int dy = 0; dy < 2; dy++) {
        const int y = min(2 * j + dy, height - 1);
        for (int dx = -1; dx < 2; dx++) {
            const int x = clamped(2 * i + dx, width);
            const T *at = rgb + (size_t)y * width + x;
            const float r = unit(number(at[0])), g = unit(number(at[plane])), b = unit(number(at[2 * plane]));
            const float light = luma_of(k, r, g, b), share = dx == 0 ? 0.25f : 0.125f;
            blue += share * blue_of(k, light, b);
            red += share * red_of(k, light, r);
            // Written twice with the same byte where the picture's edge repeats.
            if (dx >= 0) luma[(size_t)y * luma_pitch + x] = to_byte(k.luma_offset + k.luma_scale * light);
        }
    }
    uint8_t *pair = chroma + (size_t)j * chroma_pitch + 2 * i;
    pair[0] = to_byte(128.0f + blue);
    pair[1] = to_byte(128.0f + red);
}

KERNEL rgb_to_nv12_f16(const __half *rgb, uint8_t *luma, uint8_t *chroma, int luma_pitch, int chroma_pitch, int width,
                       int height, int flags) {
    rgb_to_nv12(rgb, luma, chroma, luma_pitch, chroma_pitch, width, height, flags);
}
KERNEL rgb_to_nv12_bf16(const __nv_bfloat16 *rgb, uint8_t *luma, uint8_t *chroma, int luma_pitch, int chroma_pitch,
                        int width, int height, int flags) {
    rgb_to_nv12(rgb, luma, chroma, luma_pitch, chroma_pitch, width, height, flags);
}

// ---- the edit over the source ------------------------------------------------------------------------------------
// First, on the canvas, what the edit changes: (edited - what the model was shown) * mask * strength, in code values,
// and where nothing may change. Premultiplied by the mask, so that enlarging it brings in nothing from outside the
// mask. A pixel of the edit that is not a number changes nothing. One thread a canvas pixel.
// Moves: 12 B in (and the mask's 1 or 2), 7 B out.

template <typename T>
INLINE void edit_change(const Binding *binding, const T *edited, const T *shown, const T *mask,
                        const uint8_t *byte_mask, __half *change, uint8_t *kept, int width, int height) {
    if (column() >= width || row() >= height) return;
    const size_t plane = (size_t)width * height, at = (size_t)row() * width + column();
    float amount = 1.0f;
    if (mask) amount = unit(number(mask[at]));
    if (byte_mask) amount = number(byte_mask[at]) * (1.0f / 255.0f);
    const float r = number(edited[at]), g = number(edited[at + plane]), b = number(edited[at + 2 * plane]);
    const bool usable = r == r && g == g && b == b;
    kept[at] = !usable || amount == 0.0f;

    const Colour k = colour_of(binding->flags);
    const float by = usable ? amount * binding->strength : 0.0f;
    const float dr = unit(r) - number(shown[at]), dg = unit(g) - number(shown[at + plane]);
    const float db = unit(b) - number(shown[at + 2 * plane]), light = luma_of(k, dr, dg, db);
    put(change + at, by * k.luma_scale * light);
    put(change + at + plane, by * blue_of(k, light, db));
    put(change + at + 2 * plane, by * red_of(k, light, dr));
}

KERNEL edit_change_f16(const Binding *binding, const __half *edited, const __half *shown, const __half *mask,
                       const uint8_t *byte_mask, __half *change, uint8_t *kept, int width, int height) {
    edit_change(binding, edited, shown, mask, byte_mask, change, kept, width, height);
}
KERNEL edit_change_bf16(const Binding *binding, const __nv_bfloat16 *edited, const __nv_bfloat16 *shown,
                        const __nv_bfloat16 *mask, const uint8_t *byte_mask, __half *change, uint8_t *kept, int width,
                        int height) {
    edit_change(binding, edited, shown, mask, byte_mask, change, kept, width, height);
}

// Then, on the source: its bytes plus the change, resized. A pixel whose own canvas pixel is kept, or that the canvas
// does not show, keeps its byte; a chroma sample keeps its bytes when any of its four pixels does. One thread a chroma
// sample and its four pixels. Moves: 1.5 B a source pixel in and 1.5 out, 7 B a canvas pixel in.

KERNEL composite(const Binding *binding, const __half *change, const uint8_t *kept, PLACE) {
    const int i = column(), j = row();
    if (2 * i >= width || 2 * j >= height) return;
    const int row_bytes = canvas_width * (int)sizeof(__half), plane = canvas_width * canvas_height;
    const float scale_x = __fdividef((float)cw, (float)sw);  // canvas samples per source sample
    const float scale_y = __fdividef((float)ch, (float)sh);
    const float wide = fmaxf(scale_x, 1.0f), high = fmaxf(scale_y, 1.0f);
    // Of source column c, in canvas samples: cx + (2 (c - sx) + 1) cw / (2 sw) - 1/2; rows alike.
    const int left = (2 * (2 * i - sx) + 1) * cw + (2 * cx - 1) * sw;
    const int top = (2 * (2 * j - sy) + 1) * ch + (2 * cy - 1) * sh;

    bool all = true;
#pragma unroll 1
    for (int dy = 0; dy < 2 && 2 * j + dy < height; dy++) {
        const int y = 2 * j + dy;
        const Taps down = taps_at(top + 2 * dy * ch, 2 * sh, high);
#pragma unroll 1
        for (int dx = 0; dx < 2 && 2 * i + dx < width; dx++) {
            const int x = 2 * i + dx;
            const Taps across = taps_at(left + 2 * dx * cw, 2 * sw, wide);
            bool edits = x >= sx && x < sx + sw && y >= sy && y < sy + sh;
            if (edits) edits = !kept[down.nearest * canvas_width + across.nearest];
            float by = 0.0f;
            if (edits)
                mean_of<1>(Plane<__half>{change, row_bytes, canvas_width, canvas_height, 1, 1}, across, down, &by);
            all = all && edits;
            const uint8_t before = binding->source_luma[(size_t)y * binding->source_luma_pitch + x];
            binding->target_luma[(size_t)y * binding->target_luma_pitch + x] = to_byte(number(before) + by);
        }
    }

    const uint8_t *before = binding->source_chroma + (size_t)j * binding->source_chroma_pitch + 2 * i;
    float by[2] = {0.0f, 0.0f};
    if (all)  // at the middle of column 2i, between rows 2j and 2j + 1
        mean_of<2>(Plane<__half>{change + plane, row_bytes, canvas_width, canvas_height, 1, plane},
                   taps_at(left, 2 * sw, fmaxf(2.0f * scale_x, 1.0f)),
                   taps_at(top + ch, 2 * sh, fmaxf(2.0f * scale_y, 1.0f)), by);
    uint8_t *after = binding->target_chroma + (size_t)j * binding->target_chroma_pitch + 2 * i;
    after[0] = to_byte(number(before[0]) + by[0]);
    after[1] = to_byte(number(before[1]) + by[1]);
}

// ---- planes ------------------------------------------------------------------------------------------------------
// Resizing of one plane (grid z: of `planes` of them, one after another in memory). `middle`, in quarters of a sample,
// says where in its cell a sample lies: 2, its middle, everywhere but across NV12's chroma, where siting makes it 1.
// Moves: the plane in, the result out.

template <int Channels, typename T>
INLINE void resize(const T *from, T *to, int from_pitch, int to_pitch, int from_width, int from_height, int width,
                   int height, int middle) {
    if (column() >= width || row() >= height) return;
    from = (const T *)((const char *)from + (size_t)blockIdx.z * from_height * from_pitch);
    to = (T *)((char *)to + ((size_t)blockIdx.z * height + row()) * to_pitch) + column() * Channels;
    const float scale_x = __fdividef((float)from_width, (float)width);
    const float scale_y = __fdividef((float)from_height, (float)height);
    float mean[Channels];
    mean_of<Channels>(
        Plane<T>{from, from_pitch, from_width, from_height, Channels, 1},
        taps_at((4 * column() + middle) * from_width - middle * width, 4 * width, fmaxf(scale_x, 1.0f)),
        taps_at((2 * row() + 1) * from_height - height, 2 * height, fmaxf(scale_y, 1.0f)), mean);
    for (int c = 0; c < Channels; c++) put(to + c, mean[c]);
}

#define RESIZE(name, type, channels)                                                                                 \
    KERNEL name(const type *from, type *to, int from_pitch, int to_pitch, int from_width, int from_height, int width, \
                int height, int middle) {                                                                            \
        resize<channels>(from, to, from_pitch, to_pitch, from_width, from_height, width, height, middle);            \
    }
RESIZE(resize_u8, uint8_t, 1)
RESIZE(resize_u8x2, uint8_t, 2)
RESIZE(resize_f16, __half, 1)
RESIZE(resize_bf16, __nv_bfloat16, 1)

// A plane of P016 (samples of 9 to 16 bits in the upper bits of 16) as bytes: (sample - from_zero) * scale + to_zero.
// Moves: 2 B a sample in, 1 out.
KERNEL narrow_u16(const uint16_t *from, uint8_t *to, int from_pitch, int to_pitch, int width, int height,
                  float from_zero, float scale, float to_zero) {
    if (column() >= width || row() >= height) return;
    const uint16_t *line = (const uint16_t *)((const char *)from + (size_t)row() * from_pitch);
    to[(size_t)row() * to_pitch + column()] = to_byte(((float)line[column()] - from_zero) * scale + to_zero);
}

// The two chroma planes of I420 to NV12's one, and back. Moves: 2 B a sample pair in, 2 out.
KERNEL interleave_uv(const uint8_t *u, const uint8_t *v, uint8_t *chroma, int u_pitch, int v_pitch, int chroma_pitch,
                     int width, int height) {
    if (column() >= width || row() >= height) return;
    uint8_t *pair = chroma + (size_t)row() * chroma_pitch + 2 * column();
    pair[0] = u[(size_t)row() * u_pitch + column()];
    pair[1] = v[(size_t)row() * v_pitch + column()];
}

KERNEL deinterleave_uv(const uint8_t *chroma, uint8_t *u, uint8_t *v, int chroma_pitch, int u_pitch, int v_pitch,
                       int width, int height) {
    if (column() >= width || row() >= height) return;
    const uint8_t *pair = chroma + (size_t)row() * chroma_pitch + 2 * column();
    u[(size_t)row() * u_pitch + column()] = pair[0];
    v[(size_t)row() * v_pitch + column()] = pair[1];
}
