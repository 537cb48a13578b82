/** Arrow keys from tile to tile, across groups: seventy tiles are too many for the Tab key alone. */

const STEPS: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1 };

/** The nearest tile in the next row above or below; undefined at the ends. */
function inNextRow(tiles: HTMLElement[], from: HTMLElement, down: boolean): HTMLElement | undefined {
  const here = from.getBoundingClientRect();
  const far = (tile: HTMLElement): number => {
    const there = tile.getBoundingClientRect();
    const rows = down ? there.top - here.top : here.top - there.top;
    return rows < 1 ? Number.POSITIVE_INFINITY : rows * 1_000 + Math.abs(there.left - here.left);
  };
  const [nearest] = [...tiles].sort((a, b) => far(a) - far(b));
  return nearest && Number.isFinite(far(nearest)) ? nearest : undefined;
}

/** For the panel that holds the tiles. */
export function onTileKey(event: KeyboardEvent): void {
  const panel = event.currentTarget as HTMLElement;
  const from = (event.target as Element).closest<HTMLElement>(".tile");
  const step = STEPS[event.key];
  const vertical = event.key === "ArrowDown" || event.key === "ArrowUp";
  if (!from || (!vertical && step === undefined)) return;
  event.preventDefault();
  const tiles = [...panel.querySelectorAll<HTMLElement>(".tile")];
  const next =
    step === undefined
      ? inNextRow(tiles, from, event.key === "ArrowDown")
      : tiles[tiles.indexOf(from) + step];
  next?.focus();
}
