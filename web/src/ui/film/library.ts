/** The films on the server: listed, opened, deleted, watched until they are ready. */
import type { Film } from "../../client";
import { Refusal } from "../../client/refusal";
import { useFilm } from "../session";
import { store } from "../store";
import { filmStrings as words } from "../strings.film";
import { explain, files, films, shown } from "./state";

const LOOK_MS = 1_000;

let looking: ReturnType<typeof setTimeout> | undefined;
let url: string | null = null;
/** Why the server has no films for now, as it is shown; "": it has. */
let away = "";
let onBack = (): void => {};

/**
 * Asks for the list, and again each second while one of them is being looked into; while the server has none for now,
 * when it says. Raises Refusal for anything else.
 */
export async function refresh(): Promise<Film[]> {
  clearTimeout(looking);
  try {
    shown.films.value = await films.list();
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 503)) throw error;
    away = words.away(error.message);
    shown.problem.value = away;
    looking = setTimeout(() => void refreshQuietly(), (error.retryAfterS ?? 5) * 1_000);
    return shown.films.value;
  }
  if (away) {
    if (shown.problem.value === away) shown.problem.value = "";
    away = "";
    onBack();
  }
  if (shown.films.value.some(({ state }) => state === "checking")) {
    looking = setTimeout(() => void refreshQuietly(), LOOK_MS);
  }
  return shown.films.value;
}

/** As far as the server can be reached; what is shown stays otherwise. */
export async function refreshQuietly(): Promise<void> {
  if (store.source.value !== "video") return;
  await refresh().catch(() => {
    looking = setTimeout(() => void refreshQuietly(), LOOK_MS * 5);
  });
}

/** Whether the server has no films for now; `back` is called once it has. */
export function isAway(back: () => void): boolean {
  onBack = away ? back : () => {};
  return away !== "";
}

/** Plays a film that is ready, from `at` seconds on; with its file at hand, beside its source. */
export function open(film: Film, at = 0): void {
  shown.problem.value = "";
  shown.watched.value = null;
  shown.shelf.value = false;
  setSource(files.get(film.id) ?? null);
  if (film.width && film.height) store.picture.value = { width: film.width, height: film.height };
  useFilm(film, at);
  shown.thumbnails.value = null;
  void films.thumbnails(film.id).then(
    (sheet) => {
      if (store.film.value?.id === film.id) shown.thumbnails.value = sheet;
    },
    () => {}, // a scrubber without pictures
  );
}

/** Waits until a film is looked into. Resolves with it ready or refused; null where it is gone or that took too long. */
export async function whenReady(id: string, giveUp: () => boolean): Promise<Film | null> {
  for (let round = 0; round < 900 && !giveUp(); round += 1) {
    const film = await films.get(id).catch(() => null);
    if (film && (film.state === "ready" || film.state === "refused")) return film;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return null;
}

export async function remove(film: Film): Promise<void> {
  try {
    await films.delete(film.id);
    files.delete(film.id);
    if (store.film.value?.id === film.id) {
      setSource(null);
      useFilm(null);
      shown.shelf.value = true;
    }
    await refresh();
  } catch (error) {
    shown.problem.value = explain(error);
  }
}

function setSource(file: File | null): void {
  if (url) URL.revokeObjectURL(url);
  url = file && URL.createObjectURL(file);
  store.sourceUrl.value = url;
}
