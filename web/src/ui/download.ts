/** Hands a blob to the person as a file. */
export function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 30_000);
}

/** "relens-2026-11-29-09-15-04.png" */
export function fileName(extension: string, now = new Date()): string {
  return `relens-${now.toISOString().slice(0, 19).replace(/[T:]/g, "-")}.${extension}`;
}
