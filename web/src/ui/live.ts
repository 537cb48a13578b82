/** The one client of the page, and the two pictures on its stage. */
import { RelensClient } from "../client/client"; // not its index: what is listed there too would be loaded at once

declare const CLOCK_WORKER: string;

export const client = new RelensClient({ clockWorkerUrl: CLOCK_WORKER });

/** The two pictures on the stage; set by it when it is mounted. */
export const videos: { edited: HTMLVideoElement | null; source: HTMLVideoElement | null } = {
  edited: null,
  source: null,
};
