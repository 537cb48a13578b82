/** Arithmetic of 32-bit RTP timestamps, 90 ticks a millisecond for video (RFC 6184 §8.2.1, RFC 7741 §6.1). */
export const TICKS_PER_MS = 90;

/** How far `a` is after `b`, in ticks, across a wrap; between -2^31 and 2^31 - 1. */
export const ticksBetween = (a: number, b: number): number => (a - b) | 0;

/** Whether `a` is `b` or later. */
export const atOrAfter = (a: number, b: number): boolean => ticksBetween(a, b) >= 0;
