/* H.264 of I_PCM macroblocks only: lossless, any even size, and every decoder can read it.
 *
 * Writer and reader of what the fake encoder sends and the fake decoder understands (ITU-T H.264, section numbers
 * below). One slice a picture, CAVLC, progressive 4:2:0 of 8 bits, output order = decoding order. Pictures are NV12.
 * The reader answers anything else, and damage, with a negative number; it never reads outside the bytes given.
 *
 * Define IPCM_API as nothing to export the functions. */
#ifndef RELENS_IPCM_H
#define RELENS_IPCM_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef IPCM_API
#define IPCM_API static __attribute__((unused))
#endif

#define IPCM_MAX_SIDE 8192
enum { IPCM_SLICE = 1, IPCM_IDR = 5, IPCM_SPS = 7, IPCM_PPS = 8 }; /* nal_unit_type, table 7-1 */
enum { IPCM_DAMAGED = -1, IPCM_UNSUPPORTED = -2, IPCM_NO_ROOM = -3 };
#define IPCM_UNSPECIFIED 2 /* colour description, tables E-3 to E-5 */

typedef struct {
    int32_t width, height;    /* what is shown, even */
    int32_t profile_idc;      /* 66 baseline, 77 main, 100 high */
    int32_t full_range;
    int32_t has_colour;       /* whether the three below are in the stream */
    int32_t primaries, transfer, matrix;
} ipcm_format;

typedef struct {
    int32_t is_idr;
    uint32_t frame_num, idr_pic_id;
} ipcm_slice;

/* ---- bits out, with emulation prevention (7.4.1) ---- */

typedef struct {
    uint8_t *out;
    size_t room, used;
    uint32_t zeros, bits, held;
    int overflow;
} ipcm_writer;

static inline void ipcm_raw_byte(ipcm_writer *w, uint8_t byte) {
    if (w->used < w->room) w->out[w->used++] = byte;
    else w->overflow = 1;
}

static inline void ipcm_byte(ipcm_writer *w, uint8_t byte) {
    if (w->zeros >= 2 && byte <= 3) {
        ipcm_raw_byte(w, 3);
        w->zeros = 0;
    }
    ipcm_raw_byte(w, byte);
    w->zeros = byte ? 0 : w->zeros + 1;
}

static inline void ipcm_bits(ipcm_writer *w, uint32_t value, uint32_t count) {
    while (count--) {
        w->held = (w->held << 1) | ((value >> count) & 1);
        if (++w->bits == 8) {
            ipcm_byte(w, (uint8_t)w->held);
            w->bits = w->held = 0;
        }
    }
}

static inline void ipcm_ue(ipcm_writer *w, uint32_t value) { /* 9.1 */
    uint32_t length = 0;
    while ((value + 1) >> (length + 1)) length++;
    ipcm_bits(w, 0, length);
    ipcm_bits(w, value + 1, length + 1);
}

static inline void ipcm_align(ipcm_writer *w) {
    if (w->bits) ipcm_bits(w, 0, 8 - w->bits);
}

static inline void ipcm_begin(ipcm_writer *w, int ref_idc, int type) {
    ipcm_raw_byte(w, 0), ipcm_raw_byte(w, 0), ipcm_raw_byte(w, 0), ipcm_raw_byte(w, 1);
    w->zeros = w->bits = w->held = 0;
    ipcm_byte(w, (uint8_t)(ref_idc << 5 | type));
}

static inline void ipcm_end(ipcm_writer *w) { /* rbsp_trailing_bits, 7.3.2.11 */
    ipcm_bits(w, 1, 1);
    ipcm_align(w);
}

/* ---- writer ---- */

#define IPCM_FRAME_NUM_BITS 8

static void ipcm_write_sps(ipcm_writer *w, const ipcm_format *f) { /* 7.3.2.1.1 */
    uint32_t across = (uint32_t)(f->width + 15) / 16, down = (uint32_t)(f->height + 15) / 16;
    uint32_t right = (across * 16 - (uint32_t)f->width) / 2, below = (down * 16 - (uint32_t)f->height) / 2;
    ipcm_begin(w, 3, IPCM_SPS);
    ipcm_bits(w, (uint32_t)f->profile_idc, 8);
    ipcm_bits(w, f->profile_idc == 66 ? 0xC0 : f->profile_idc == 77 ? 0x40 : 0, 8); /* constraint_set flags */
    ipcm_bits(w, 52, 8);                                                         /* level_idc */
    ipcm_ue(w, 0);
    if (f->profile_idc == 100) {
        ipcm_ue(w, 1);        /* chroma_format_idc: 4:2:0 */
        ipcm_ue(w, 0);        /* bit depth of luma - 8 */
        ipcm_ue(w, 0);        /* and of chroma */
        ipcm_bits(w, 0, 2);   /* no bypass, no scaling matrix */
    }
    ipcm_ue(w, IPCM_FRAME_NUM_BITS - 4);
    ipcm_ue(w, 2);            /* pic_order_cnt_type: output order is decoding order */
    ipcm_ue(w, 1);            /* max_num_ref_frames */
    ipcm_bits(w, 0, 1);
    ipcm_ue(w, across - 1);
    ipcm_ue(w, down - 1);
    ipcm_bits(w, 1, 1);       /* frame_mbs_only_flag */
    ipcm_bits(w, 1, 1);       /* direct_8x8_inference_flag */
    ipcm_bits(w, right || below, 1);
    if (right || below) {
        ipcm_ue(w, 0), ipcm_ue(w, right), ipcm_ue(w, 0), ipcm_ue(w, below);
    }
    ipcm_bits(w, 1, 1);       /* VUI, E.1.1 */
    ipcm_bits(w, 0, 2);       /* no aspect ratio, no overscan */
    ipcm_bits(w, 1, 1);
    ipcm_bits(w, 5, 3);       /* video_format: unspecified */
    ipcm_bits(w, f->full_range != 0, 1);
    ipcm_bits(w, f->has_colour != 0, 1);
    if (f->has_colour) {
        ipcm_bits(w, (uint32_t)f->primaries, 8);
        ipcm_bits(w, (uint32_t)f->transfer, 8);
        ipcm_bits(w, (uint32_t)f->matrix, 8);
    }
    ipcm_bits(w, 0, 5);       /* chroma location, timing, two HRDs, pic_struct */
    ipcm_bits(w, 1, 1);       /* bitstream_restriction_flag */
    ipcm_bits(w, 1, 1);
    ipcm_ue(w, 0), ipcm_ue(w, 0), ipcm_ue(w, 10), ipcm_ue(w, 10);
    ipcm_ue(w, 0);            /* max_num_reorder_frames */
    ipcm_ue(w, 1);            /* max_dec_frame_buffering */
    ipcm_end(w);
}

static void ipcm_write_pps(ipcm_writer *w) { /* 7.3.2.2 */
    ipcm_begin(w, 3, IPCM_PPS);
    ipcm_ue(w, 0), ipcm_ue(w, 0);
    ipcm_bits(w, 0, 2);       /* CAVLC, no bottom field order */
    ipcm_ue(w, 0);            /* one slice group */
    ipcm_ue(w, 0), ipcm_ue(w, 0);
    ipcm_bits(w, 0, 3);       /* no weighted prediction */
    ipcm_ue(w, 0), ipcm_ue(w, 0), ipcm_ue(w, 0);
    ipcm_bits(w, 1, 1);       /* deblocking_filter_control_present_flag */
    ipcm_bits(w, 0, 2);
    ipcm_end(w);
}

/* Room that always suffices for one picture with its parameter sets. */
IPCM_API size_t ipcm_most_bytes(int32_t width, int32_t height) {
    size_t blocks = (size_t)((width + 15) / 16) * (size_t)((height + 15) / 16);
    return blocks * 400 * 3 / 2 + 512;
}

/* One access unit (Annex B) of an NV12 picture into `out`; an IDR picture or, decodable by itself too, an I picture.
 * `with_headers`: SPS and PPS before it. Returns its bytes, or a negative number. */
IPCM_API int64_t ipcm_write(uint8_t *out, size_t room, const ipcm_format *f, const ipcm_slice *s, int with_headers,
                            const uint8_t *luma, size_t luma_pitch, const uint8_t *chroma, size_t chroma_pitch) {
    ipcm_writer w = {.out = out, .room = room};
    if (f->width < 2 || f->height < 2 || f->width > IPCM_MAX_SIDE || f->height > IPCM_MAX_SIDE ||
        f->width % 2 || f->height % 2)
        return IPCM_UNSUPPORTED;
    if (f->profile_idc != 66 && f->profile_idc != 77 && f->profile_idc != 100) return IPCM_UNSUPPORTED;
    if (with_headers) {
        ipcm_write_sps(&w, f);
        ipcm_write_pps(&w);
    }
    ipcm_begin(&w, 3, s->is_idr ? IPCM_IDR : IPCM_SLICE);
    ipcm_ue(&w, 0);                                   /* slice_header, 7.3.3 */
    ipcm_ue(&w, 7);                                   /* every slice of the picture is I */
    ipcm_ue(&w, 0);
    ipcm_bits(&w, s->is_idr ? 0 : s->frame_num, IPCM_FRAME_NUM_BITS);
    if (s->is_idr) {
        ipcm_ue(&w, s->idr_pic_id & 0xFFFF);
        ipcm_bits(&w, 0, 2);
    } else {
        ipcm_bits(&w, 0, 1);
    }
    ipcm_ue(&w, 0);                                   /* slice_qp_delta */
    ipcm_ue(&w, 1);                                   /* no deblocking */
    for (int32_t top = 0; top < f->height; top += 16)
        for (int32_t left = 0; left < f->width; left += 16) {
            ipcm_ue(&w, 25);                          /* I_PCM, table 7-11 */
            ipcm_align(&w);
            for (int y = 0; y < 16; y++) {            /* beyond the edge: the edge again */
                int32_t row = top + y < f->height ? top + y : f->height - 1;
                for (int x = 0; x < 16; x++) {
                    int32_t column = left + x < f->width ? left + x : f->width - 1;
                    ipcm_byte(&w, luma[(size_t)row * luma_pitch + (size_t)column]);
                }
            }
            for (int plane = 0; plane < 2; plane++)
                for (int y = 0; y < 8; y++) {
                    int32_t row = top / 2 + y < f->height / 2 ? top / 2 + y : f->height / 2 - 1;
                    for (int x = 0; x < 8; x++) {
                        int32_t column = left / 2 + x < f->width / 2 ? left / 2 + x : f->width / 2 - 1;
                        ipcm_byte(&w, chroma[(size_t)row * chroma_pitch + (size_t)column * 2 + (size_t)plane]);
                    }
                }
        }
    ipcm_end(&w);
    return w.overflow ? IPCM_NO_ROOM : (int64_t)w.used;
}

/* ---- reader ---- */

typedef struct {
    const uint8_t *data; /* from nal_unit_header on, still escaped */
    size_t bytes;
    int32_t type;
} ipcm_nal;

/* The next NAL unit of Annex-B bytes from `*offset` on, which moves behind it. 1: there is one, 0: no more. */
IPCM_API int ipcm_next_nal(const uint8_t *data, size_t bytes, size_t *offset, ipcm_nal *nal) {
    size_t at = *offset, end;
    while (at + 3 <= bytes && !(data[at] == 0 && data[at + 1] == 0 && data[at + 2] == 1)) at++;
    if (at + 3 >= bytes) {
        *offset = bytes;
        return 0;
    }
    at += 3;
    for (end = at; end < bytes; end++)
        if (end + 3 <= bytes && data[end] == 0 && data[end + 1] == 0 && data[end + 2] <= 1) break;
    *offset = end;
    while (end > at + 1 && data[end - 1] == 0) end--; /* trailing_zero_8bits */
    nal->data = data + at;
    nal->bytes = end - at;
    nal->type = data[at] & 31;
    return 1;
}

typedef struct {
    const uint8_t *data;
    size_t bytes, bit;
    int over;
} ipcm_reader;

static inline uint32_t ipcm_read_bits(ipcm_reader *r, uint32_t count) {
    uint32_t value = 0;
    while (count--) {
        if (r->bit >= r->bytes * 8) {
            r->over = 1;
            return 0;
        }
        value = value << 1 | ((r->data[r->bit / 8] >> (7 - r->bit % 8)) & 1);
        r->bit++;
    }
    return value;
}

static inline uint32_t ipcm_read_ue(ipcm_reader *r) {
    uint32_t zeros = 0;
    while (!r->over && ipcm_read_bits(r, 1) == 0)
        if (++zeros > 31) r->over = 1;
    return r->over ? 0 : (1u << zeros) - 1 + ipcm_read_bits(r, zeros);
}

/* The NAL unit's bytes without its header and emulation prevention, in new memory; NULL: none. */
static uint8_t *ipcm_unescape(const ipcm_nal *nal, ipcm_reader *r) {
    uint8_t *plain = malloc(nal->bytes ? nal->bytes : 1);
    size_t used = 0, zeros = 0;
    if (!plain) return NULL;
    for (size_t i = 1; i < nal->bytes; i++) {
        if (zeros >= 2 && nal->data[i] == 3) {
            zeros = 0;
            continue;
        }
        zeros = nal->data[i] ? 0 : zeros + 1;
        plain[used++] = nal->data[i];
    }
    *r = (ipcm_reader){.data = plain, .bytes = used};
    return plain;
}

static int ipcm_sps_fields(ipcm_reader *r, ipcm_format *f) {
    uint32_t across, down, crop[4] = {0, 0, 0, 0};
    memset(f, 0, sizeof *f);
    f->primaries = f->transfer = f->matrix = IPCM_UNSPECIFIED;
    f->profile_idc = (int32_t)ipcm_read_bits(r, 8);
    ipcm_read_bits(r, 16);
    ipcm_read_ue(r);
    if (f->profile_idc == 100) {
        if (ipcm_read_ue(r) != 1 || ipcm_read_ue(r) || ipcm_read_ue(r) || ipcm_read_bits(r, 2)) return IPCM_UNSUPPORTED;
    } else if (f->profile_idc != 66 && f->profile_idc != 77) {
        return IPCM_UNSUPPORTED;
    }
    if (ipcm_read_ue(r) != IPCM_FRAME_NUM_BITS - 4 || ipcm_read_ue(r) != 2) return IPCM_UNSUPPORTED;
    ipcm_read_ue(r);
    ipcm_read_bits(r, 1);
    across = ipcm_read_ue(r) + 1, down = ipcm_read_ue(r) + 1;
    if (!ipcm_read_bits(r, 1)) return IPCM_UNSUPPORTED;
    ipcm_read_bits(r, 1);
    if (ipcm_read_bits(r, 1))
        for (int i = 0; i < 4; i++) crop[i] = ipcm_read_ue(r); /* left, right, top, bottom, in units of 2 */
    if (across > IPCM_MAX_SIDE / 16 || down > IPCM_MAX_SIDE / 16 || crop[0] || crop[2] || crop[1] > 7 || crop[3] > 7)
        return IPCM_UNSUPPORTED;
    f->width = (int32_t)(across * 16 - 2 * crop[1]);
    f->height = (int32_t)(down * 16 - 2 * crop[3]);
    if (!ipcm_read_bits(r, 1)) return r->over ? IPCM_DAMAGED : 0;
    if (ipcm_read_bits(r, 2)) return IPCM_UNSUPPORTED;
    if (ipcm_read_bits(r, 1)) {
        ipcm_read_bits(r, 3);
        f->full_range = (int32_t)ipcm_read_bits(r, 1);
        f->has_colour = (int32_t)ipcm_read_bits(r, 1);
        if (f->has_colour) {
            f->primaries = (int32_t)ipcm_read_bits(r, 8);
            f->transfer = (int32_t)ipcm_read_bits(r, 8);
            f->matrix = (int32_t)ipcm_read_bits(r, 8);
        }
    }
    return r->over ? IPCM_DAMAGED : 0;
}

/* An SPS as ipcm_write makes it. 0, or a negative number with `f` unusable. */
IPCM_API int ipcm_read_sps(const ipcm_nal *nal, ipcm_format *f) {
    ipcm_reader r;
    uint8_t *plain = nal->type == IPCM_SPS ? ipcm_unescape(nal, &r) : NULL;
    int code = plain ? ipcm_sps_fields(&r, f) : IPCM_DAMAGED;
    free(plain);
    return code;
}

static int ipcm_slice_fields(ipcm_reader *r, int is_idr, ipcm_slice *s) {
    memset(s, 0, sizeof *s);
    s->is_idr = is_idr;
    if (ipcm_read_ue(r) != 0 || ipcm_read_ue(r) != 7 || ipcm_read_ue(r) != 0) return IPCM_UNSUPPORTED;
    s->frame_num = ipcm_read_bits(r, IPCM_FRAME_NUM_BITS);
    if (is_idr) {
        s->idr_pic_id = ipcm_read_ue(r);
        ipcm_read_bits(r, 2);
    } else if (ipcm_read_bits(r, 1)) {
        return IPCM_UNSUPPORTED;
    }
    if (ipcm_read_ue(r) != 0 || ipcm_read_ue(r) != 1) return IPCM_UNSUPPORTED;
    return r->over ? IPCM_DAMAGED : 0;
}

static int ipcm_slice_samples(ipcm_reader *r, const ipcm_format *f, uint8_t *luma, size_t luma_pitch, uint8_t *chroma,
                              size_t chroma_pitch) {
    for (int32_t top = 0; top < f->height; top += 16)
        for (int32_t left = 0; left < f->width; left += 16) {
            const uint8_t *from;
            if (ipcm_read_ue(r) != 25) return r->over ? IPCM_DAMAGED : IPCM_UNSUPPORTED;
            while (r->bit % 8)
                if (ipcm_read_bits(r, 1)) return IPCM_DAMAGED;
            if (r->bit / 8 + 384 > r->bytes) return IPCM_DAMAGED;
            from = r->data + r->bit / 8;
            r->bit += 384 * 8;
            for (int32_t y = 0; y < 16 && top + y < f->height; y++)
                for (int32_t x = 0; x < 16 && left + x < f->width; x++)
                    luma[(size_t)(top + y) * luma_pitch + (size_t)(left + x)] = from[y * 16 + x];
            for (int32_t y = 0; y < 8 && top / 2 + y < f->height / 2; y++)
                for (int32_t x = 0; x < 8 && left / 2 + x < f->width / 2; x++) {
                    uint8_t *to = chroma + (size_t)(top / 2 + y) * chroma_pitch + (size_t)(left / 2 + x) * 2;
                    to[0] = from[256 + y * 8 + x];
                    to[1] = from[320 + y * 8 + x];
                }
        }
    return ipcm_read_bits(r, 1) == 1 && !r->over ? 0 : IPCM_DAMAGED; /* the stop bit */
}

/* A slice of a stream whose SPS was read as `f`. The picture goes to NV12 planes of the shown size; `luma` NULL: only
 * the header is read. 0, or a negative number with the picture damaged. */
IPCM_API int ipcm_read_slice(const ipcm_nal *nal, const ipcm_format *f, ipcm_slice *s, uint8_t *luma, size_t luma_pitch,
                             uint8_t *chroma, size_t chroma_pitch) {
    ipcm_reader r;
    int is_idr = nal->type == IPCM_IDR, code;
    uint8_t *plain = is_idr || nal->type == IPCM_SLICE ? ipcm_unescape(nal, &r) : NULL;
    if (!plain) return IPCM_DAMAGED;
    code = ipcm_slice_fields(&r, is_idr, s);
    if (code == 0 && luma) code = ipcm_slice_samples(&r, f, luma, luma_pitch, chroma, chroma_pitch);
    free(plain);
    return code;
}

#endif
