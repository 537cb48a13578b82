/** What /watch says to a person while it has no picture. */
export const watchWords = {
  title: (name: string) => `${name} · relens`,
  absent: (name: string) => `There is no stream “${name}” here yet.`,
  idle: (name: string) => `“${name}” has not begun yet.`,
  ended: (name: string) => `“${name}” has ended.`,
  broken: (name: string) => `“${name}” is interrupted: its next picture is waited for.`,
  unreachable: "The server does not answer.",
  refused: (detail: string) => `The server says: ${detail}.`,
  starts: "It starts here by itself.",
  goesOn: "Should it go on, it is shown here by itself.",
  again: "It is asked again by itself.",
};
