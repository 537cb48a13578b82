/** One HTTP request with a time limit, whose failures are Refusals. */
import { refusalFrom, unreachable } from "./refusal";

const TIMEOUT_MS = 10_000;

/** Raises Refusal; an abort by `init.signal` is thrown as it came. */
export async function ask(
  url: URL | string,
  init: RequestInit = {},
  timeoutMs = TIMEOUT_MS,
): Promise<Response> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  let response: Response;
  try {
    response = await fetch(url, { ...init, signal });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw unreachable(error);
  }
  if (!response.ok) throw await refusalFrom(response);
  return response;
}
