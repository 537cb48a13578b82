/** What the operator does with streams: sees their settings, sets them, makes and deletes them. Knows no elements. */
import { effect } from "@preact/signals";
import { Refusal } from "../../client/refusal";
import type { StreamPreset } from "../../client/streamfacts";
import type { SettingsChange } from "../../client/streams";
import { Streams } from "../../client/streams";
import { clearNotice, store } from "../store";
import { streamStrings as words } from "../strings.streams";
import { asViewer, explain, goTo, shown, streams } from "./state";
import { follow, unwatch, watch, watchPicture } from "./watching";

const LOOK_MS = 2_000;
const KEPT = "relens.operatorKey"; // for as long as the tab is open

let looking: ReturnType<typeof setTimeout> | undefined;

// -- the list -----------------------------------------------------------------------------------------------------

/** Raises Refusal. */
export async function refresh(): Promise<void> {
  shown.list.value = await streams.list();
  shown.reachable.value = true;
}

/** Looks at the list every other second while Streams mode is on. */
export function keepLooking(): void {
  clearTimeout(looking);
  looking = setTimeout(async () => {
    if (store.source.value !== "streams") return;
    await refresh().catch(() => {
      shown.reachable.value = false;
    });
    if (!shown.list.value.some(({ name }) => name === shown.name.value)) {
      choose(shown.list.value[0]?.name ?? "");
    }
    keepLooking();
  }, LOOK_MS);
}

export function choose(name: string): void {
  if (name === shown.name.value && name) return;
  shown.settings.value = null;
  shown.setup.value = null;
  shown.presets.value = [];
  shown.problem.value = "";
  if (name) watch(name);
  else unwatch();
  void lookInto();
}

effect(() => {
  store.hotkeys.value =
    store.source.value === "streams" ? shown.presets.value.map(({ prompt }) => prompt) : null;
});

// -- whose streams they are ---------------------------------------------------------------------------------------

/** What there is to know of the chosen stream, as far as this page may. */
export async function lookInto(): Promise<void> {
  const name = shown.name.value;
  if (!name) return;
  const mine = (): boolean => name === shown.name.value;
  try {
    const [presets, settings, setup] = await Promise.all([
      asViewer().presets(name).catch(notShown),
      streams.settings(name).catch(notTheOperator),
      shown.operator.value === "no" ? null : streams.setup(name).catch(notTheOperator),
    ]);
    if (!mine()) return;
    shown.presets.value = presets;
    shown.settings.value = settings;
    shown.setup.value = setup;
    if (settings) shown.operator.value = "yes";
    if (settings?.viewKey) watchPicture(name, settings.viewKey);
  } catch (error) {
    if (mine()) shown.problem.value = explain(error);
  }
}

/** Of a stream that is watched with a key which this page does not have. */
function notShown(error: unknown): StreamPreset[] {
  if (!(error instanceof Refusal) || error.status !== 401) throw error;
  return [];
}

/** 401: a key would open it; 403: the server has none. Anything else is trouble. */
function notTheOperator(error: unknown): null {
  if (!(error instanceof Refusal) || (error.status !== 401 && error.status !== 403)) throw error;
  shown.operator.value = error.status === 401 ? "no" : "unset";
  streams.key = ""; // a wrong one would be counted at every edit
  return null;
}

export function recallKey(): void {
  try {
    streams.key = sessionStorage.getItem(KEPT) ?? "";
  } catch {
    // No storage: it is asked for again.
  }
}

/** Tries the operator's key once: the server counts wrong ones. Resolves with one sentence where it is not that. */
export async function useKey(key: string): Promise<string> {
  const tried = new Streams(streams.base);
  tried.key = key.trim();
  try {
    await tried.settings(shown.name.value);
  } catch (error) {
    const wrong = error instanceof Refusal && (error.status === 401 || error.status === 403);
    return wrong ? words.operator.wrong : explain(error);
  }
  streams.key = tried.key;
  try {
    sessionStorage.setItem(KEPT, streams.key);
  } catch {
    // It then serves until the page is left.
  }
  shown.operator.value = "unknown";
  clearNotice("edit"); // which may have asked for it
  if (shown.name.value) follow(shown.name.value);
  await lookInto();
  return "";
}

// -- setting ------------------------------------------------------------------------------------------------------

/** Changes some of the settings and shows all of them as the server has them then. False where it would not. */
export async function change(changed: SettingsChange): Promise<boolean> {
  const before = shown.settings.value;
  if (!before) return false;
  const name = shown.name.value;
  const asked = { ...before, ...changed };
  shown.settings.value = asked; // a switch is moved at once
  const changes = await attempt(async () => {
    const settings = await streams.putSettings(name, asked);
    const [setup, presets] = await Promise.all([streams.setup(name), streams.presets(name)]);
    if (name !== shown.name.value) return;
    shown.settings.value = settings;
    shown.setup.value = setup;
    shown.presets.value = presets;
    if (changed.viewKey !== undefined) watchPicture(name, changed.viewKey);
  });
  if (!changes && shown.settings.value === asked) shown.settings.value = before;
  return changes;
}

export function renewKey(): Promise<boolean> {
  return attempt(async (name) => {
    const settings = await streams.newKey(name);
    const setup = await streams.setup(name);
    if (name !== shown.name.value) return;
    shown.settings.value = settings;
    shown.setup.value = setup;
  });
}

/** The addresses again, with what is wrong with them by now. */
export async function refreshSetup(): Promise<void> {
  const name = shown.name.value;
  const setup = await streams.setup(name).catch(() => null); // what is wrong with the server is said elsewhere
  if (setup && name === shown.name.value) shown.setup.value = setup;
}

export const kick = (): Promise<boolean> => attempt((name) => streams.kick(name));

export async function remove(): Promise<void> {
  const gone = await attempt((name) => streams.delete(name));
  if (!gone) return;
  shown.list.value = shown.list.value.filter(({ name }) => name !== shown.name.value);
  choose(shown.list.value[0]?.name ?? "");
}

export async function create(name: string): Promise<boolean> {
  shown.problem.value = "";
  try {
    await streams.putSettings(name, {});
    await refresh();
    choose(name);
    goTo("connect");
    return true;
  } catch (error) {
    shown.problem.value = explain(error);
    return false;
  }
}

async function attempt(run: (name: string) => Promise<void>): Promise<boolean> {
  shown.problem.value = "";
  const name = shown.name.value;
  try {
    await run(name);
    return true;
  } catch (error) {
    if (name === shown.name.value) shown.problem.value = explain(error);
    return false;
  }
}
