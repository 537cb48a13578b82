/** Which group of the gallery is in view, and how to get to another. Knows no presets. */
import type { RefObject } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

/** How far down the view the line lies that decides which group is in view: at its top, and at its foot once
 * nothing is left to scroll, so that the last groups have their turn as well. */
function probe(top: number, bottom: number, progress: number): number {
  return top + 1 + (bottom - top) * progress ** 6;
}

function scrolled(panel: HTMLElement): number {
  const box = panel.scrollHeight > panel.clientHeight + 1 ? panel : document.scrollingElement;
  const rest = box ? box.scrollHeight - box.clientHeight : 0;
  return box && rest > 0 ? Math.min(1, Math.max(0, box.scrollTop / rest)) : 0;
}

function inView(nav: HTMLElement): string | undefined {
  const panel = nav.parentElement;
  if (!panel) return undefined;
  const bottom = Math.min(innerHeight, panel.getBoundingClientRect().bottom);
  const line = probe(nav.getBoundingClientRect().bottom, bottom, scrolled(panel));
  const sections = [...panel.querySelectorAll<HTMLElement>("[data-group]")];
  const passed = sections.filter((section) => section.getBoundingClientRect().top <= line);
  return (passed.at(-1) ?? sections[0])?.dataset.group;
}

type Jump = (name: string, focus: boolean) => void;

/** `nav` holds the groups' buttons and lies beside the sections, each with its name in `data-group`. */
export function useCurrentGroup(
  nav: RefObject<HTMLElement | null>,
  names: string[],
): [string | undefined, Jump] {
  const [current, setCurrent] = useState(names[0]);
  // Where somebody jumped to stays the current one until they scroll by themselves: it may not reach the top.
  const jumped = useRef(false);
  const look = useCallback((): void => {
    if (nav.current && !jumped.current) setCurrent(inView(nav.current));
  }, [nav]);
  useEffect(() => {
    const release = (): void => {
      jumped.current = false;
    };
    const byHand = ["wheel", "touchmove", "pointerdown", "keydown"];
    addEventListener("scroll", look, { capture: true, passive: true });
    for (const name of byHand) addEventListener(name, release, { passive: true });
    return () => {
      removeEventListener("scroll", look, { capture: true });
      for (const name of byHand) removeEventListener(name, release);
    };
  }, [look]);
  // Presets come after what is remembered, and lie before it: another group is then in view.
  const all = names.join();
  useEffect(() => {
    if (all) look();
  }, [look, all]);
  // On a narrow screen the row of groups scrolls too.
  useEffect(() => {
    const button = nav.current?.querySelector<HTMLElement>("[aria-current=true]");
    if (button && nav.current) nav.current.scrollLeft = button.offsetLeft - nav.current.clientWidth / 3;
  }, [nav, current]);
  const jump: Jump = (name, focus) => {
    const section = nav.current?.parentElement?.querySelector<HTMLElement>(
      `[data-group="${CSS.escape(name)}"]`,
    );
    jumped.current = true;
    setCurrent(name);
    section?.scrollIntoView({ block: "start" });
    if (focus) section?.querySelector("button")?.focus({ preventScroll: true });
  };
  return [names.includes(current ?? "") ? current : names[0], jump];
}
