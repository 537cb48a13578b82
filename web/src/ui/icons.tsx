/** The page's icons, drawn on a 20 by 20 grid. */
const paths = {
  pause: "M7 4.5v11M13 4.5v11",
  play: "M6.5 4.2v11.6L15.5 10z",
  snapshot: "M3.5 6.5h3l1.2-2h4.6l1.2 2h3v9h-13zM10 13.2a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2z",
  record: "M10 15a5 5 0 1 0 0-10 5 5 0 0 0 0 10z",
  stop: "M5.8 5.8h8.4v8.4H5.8z",
  fullscreen: "M3.5 7.5v-4h4M12.5 3.5h4v4M16.5 12.5v4h-4M7.5 16.5h-4v-4",
  shrink: "M7.5 3.5v4h-4M16.5 7.5h-4v-4M12.5 16.5v-4h4M3.5 12.5h4v4",
  keys: "M2.5 5.5h15v9h-15zM5.5 8.5h.01M8.5 8.5h.01M11.5 8.5h.01M14.5 8.5h.01M6.5 11.5h7",
  download: "M10 3.5v9M6.5 9.2l3.5 3.5 3.5-3.5M4 16.5h12",
  close: "M5 5l10 10M15 5L5 15",
  eye: "M2 10s3-5.5 8-5.5 8 5.5 8 5.5-3 5.5-8 5.5S2 10 2 10zM10 12.4a2.4 2.4 0 1 0 0-4.8 2.4 2.4 0 0 0 0 4.8z",
  split: "M3 4.5h14v11H3zM10 4.5v11",
  side: "M2.5 5.5h6.5v9H2.5zM11 5.5h6.5v9H11z",
  only: "M3 4.5h14v11H3z",
  everywhere: "M3 4.5h14v11H3zM3 12l4.5-4.5M3 15.5l11-11M9 15.5l8-8",
  background:
    "M7 15.5H3v-11h14v11h-4M3 12l3-3M3 8.5l4-4M14 7.5l3-3M14 13.5l3-3M7 15.5c0-2.6 1.2-4 3-4s3 1.4 3 4M10 11.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  person: "M4 16.5c0-4 2.4-6 6-6s6 2 6 6zM10 10a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4z",
  again: "M15.5 6.5A6.3 6.3 0 1 0 16.3 11M15.8 3v3.8h-3.8",
  bin: "M4 6h12M8 6V4h4v2M5.5 6l.8 10.5h7.4L14.5 6M8.5 9v4.5M11.5 9v4.5",
  earlier: "M12 5l-5 5 5 5",
  later: "M8 5l5 5-5 5",
  enter: "M15.5 5v5.5h-10M8.5 7l-3.5 3.5L8.5 14",
};

export function Drawing({ path, filled = false }: { path: string; filled?: boolean }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={path} fill={filled ? "currentColor" : "none"} />
    </svg>
  );
}

export function Icon({ name, filled = false }: { name: keyof typeof paths; filled?: boolean }) {
  return <Drawing path={paths[name]} filled={filled} />;
}
