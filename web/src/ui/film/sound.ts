/** A film's sound on the stage: heard unless it was turned off, or the browser wants to be pressed first. */
import { effect } from "@preact/signals";
import { commands } from "../keys";
import { client, videos } from "../live";
import { recall, remember } from "../memory";
import { store } from "../store";
import { filmStrings as words } from "../strings.film";
import { shown } from "./state";

let wanted = recall("sound", true);

/** Follows the films until the page ends. */
export function followSound(): void {
  commands.m = toggleSound;
  client.on("track", (stream) => {
    // Not before: a camera may still be on the stage. And browsers ask for a press only of what has sound.
    if (store.film.value && stream.getAudioTracks().length > 0) apply();
  });
  client.on("error", ({ code, message }) => {
    if (code === "no-sound") silence(message);
  });
  effect(() => {
    const film = store.film.value;
    if (!film?.audio) silence(film ? words.sound.none : "");
    else shown.silent.value = "";
  });
}

export function toggleSound(): void {
  if (!store.film.value || shown.silent.value) return;
  wanted = !shown.sound.value;
  remember("sound", wanted);
  apply();
}

function silence(why: string): void {
  shown.silent.value = why;
  mute(true);
}

function mute(muted: boolean): void {
  if (videos.edited) videos.edited.muted = muted;
  shown.sound.value = !muted;
}

function apply(): void {
  const video = videos.edited;
  if (!video) return;
  mute(!wanted || shown.silent.value !== "");
  video.play().catch((error: unknown) => {
    if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return; // replaced by a newer one
    mute(true); // the picture comes anyway, the sound with a press
    void video.play().catch(() => {});
  });
}
