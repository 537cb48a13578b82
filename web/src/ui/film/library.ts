/** The films on the server: listed, opened, deleted, watched until they are ready. */
import type { Film } from "../../client";
import { useFilm } from "../session";
import { store } from "../store";
import { explain, files, films, shown } from "./state";

const LOOK_MS = 1_000;

let looking: ReturnType<typeof setTimeout> | undefined;
let url: string | null = null;

/** Asks for the list, and again each second while one of them is being looked into. Raises Refusal. */
export async function refresh(): Promise<Film[]> {
  clearTimeout(looking);
  shown.films.value = await films.list();
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
