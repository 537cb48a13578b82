/** Why the server would not, in its own words. Knows problem+json and the status codes, not the page's sentences. */

export type RefusalKind = "full" | "unreachable" | "codec" | "model" | "gone" | "paused" | "refused";

/**
 * The server, or the way to it, said no; `paused`: it gave the place of one who had paused to another. `message` is the detail, `remedy` what the server advises.
 */
export class Refusal extends Error {
  override readonly name = "Refusal";

  constructor(
    readonly kind: RefusalKind,
    message: string,
    readonly remedy = "",
    readonly status = 0,
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
  }
}

interface Problem {
  type?: string;
  title?: string;
  detail?: string;
  remedy?: string;
}

/** Reads a response that is not ok; never throws on a body that is not problem+json. */
export async function refusalFrom(response: Response): Promise<Refusal> {
  const problem = await readProblem(response);
  const retryAfter = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const message = problem.detail || problem.title || `the server answered ${response.status}`;
  return new Refusal(
    kindOf(response.status, `${problem.type ?? ""} ${problem.title ?? ""} ${message}`),
    message,
    problem.remedy ?? "",
    response.status,
    Number.isFinite(retryAfter) ? retryAfter : null,
  );
}

export function unreachable(error: unknown): Refusal {
  return new Refusal("unreachable", error instanceof Error ? error.message : String(error));
}

function kindOf(status: number, text: string): RefusalKind {
  if (/going-away/.test(text)) return "unreachable"; // shutting down or restarting
  if (status === 503 || status === 429) return "full";
  if (status === 502 || status === 504) return "unreachable";
  if (/codec/i.test(text)) return "codec";
  if (/model/i.test(text)) return "model";
  if (status === 404 || status === 410) return "gone";
  return "refused";
}

async function readProblem(response: Response): Promise<Problem> {
  try {
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null ? (body as Problem) : {};
  } catch {
    return {};
  }
}
