/** Places of a film as shares of a line, keys as moves, thumbnails as cut-outs of one image. Pure. */
import type { Thumbnails } from "../../client";

export const STEP_S = 5;
export const BIG_STEP_S = 30;

/** Where a key leads to from `at`; null for a key that leads nowhere. */
export function moved(key: string, shift: boolean, at: number, duration: number): number | null {
  const step = shift ? BIG_STEP_S : STEP_S;
  const moves: Record<string, number> = {
    ArrowLeft: at - step,
    ArrowDown: at - step,
    ArrowRight: at + step,
    ArrowUp: at + step,
    PageDown: at - BIG_STEP_S,
    PageUp: at + BIG_STEP_S,
    Home: 0,
    End: duration,
  };
  const next = moves[key];
  return next === undefined ? null : Math.min(duration, Math.max(0, next));
}

export const shareAt = (x: number, left: number, width: number): number =>
  width > 0 ? Math.min(1, Math.max(0, (x - left) / width)) : 0;

/** The last picture that is not after `at`; null where there is none. */
export function thumbnailAt(sheet: Thumbnails, at: number): { x: number; y: number } | null {
  let index = -1;
  for (const [number, time] of sheet.at.entries()) {
    if (index >= 0 && time > at) break;
    index = number;
  }
  if (index < 0) return null;
  return { x: (index % sheet.columns) * sheet.width, y: Math.floor(index / sheet.columns) * sheet.height };
}

/** Ranges in seconds as left and width in percent of the whole. */
export function filled(ranges: readonly [number, number][], duration: number): [number, number][] {
  if (duration <= 0) return [];
  return ranges.map(([from, to]) => [
    (from / duration) * 100,
    (Math.max(0, Math.min(to, duration) - from) / duration) * 100,
  ]);
}
