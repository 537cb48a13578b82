/** What is said where a stream is watched with a view key: on the page and on /watch. */
export const viewKeyWords = {
  title: (name: string) => `“${name}” is watched with a view key`,
  how: "Whoever runs the stream has it. It is kept in this tab until that is closed.",
  key: "View key",
  use: "Watch",
  wrong: "This is not the stream's view key: ask for it again, and mind small and capital letters.",
  changed: "The view key was changed: ask for the new one.",
  several: "Several wrong keys came from here: the next one can be tried within a minute.",
  wait: (seconds: number) => `Several wrong keys came from here: the next one can be tried in ${seconds} s.`,
  gone: "There is no such stream any more.",
  away: "The server does not answer: try again in a moment.",
};
