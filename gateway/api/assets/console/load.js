// Hooks that ask the API: once, or every few seconds while the page is in sight.
import { useCallback, useEffect, useRef, useState } from "./html.js";

/** Runs `task` when `names` change: `{data, problem, loading, again}`. `everyMs`: again and again while the tab is visible. */
export function useLoad(task, names, everyMs = 0) {
  const [state, setState] = useState({ loading: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef(task);
  const shown = useRef(null);
  latest.current = task;
  useEffect(() => {
    const control = new AbortController();
    let timer;
    let busy = false;
    // Other names, other data: what was shown is not theirs.
    const wanted = JSON.stringify(names);
    if (shown.current !== null && shown.current !== wanted) setState({ loading: true });
    shown.current = wanted;
    // One look at a time: a later answer is never of an earlier look.
    const run = async (first) => {
      if (busy || (document.hidden && !first)) return;
      busy = true;
      const next = await (async () => latest.current(control.signal, !first))().then(
        (data) => ({ data, loading: false }),
        (problem) => ({ problem, loading: false }),
      );
      if (control.signal.aborted) return;
      busy = false;
      // A failed look again keeps what was seen before, under the problem.
      setState((before) => (next.problem && !first ? { ...before, problem: next.problem } : next));
      if (everyMs && next.problem?.status !== 401) timer = setTimeout(run, everyMs);
    };
    const seen = () => {
      if (document.hidden || !everyMs || busy) return;
      clearTimeout(timer);
      run();
    };
    run(true);
    document.addEventListener("visibilitychange", seen);
    return () => {
      control.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [...names, turn, everyMs]);
  const again = useCallback(() => setTurn((n) => n + 1), []);
  return { ...state, again };
}

/** The outcome of a task that may be refused for want of a scope: the rest of the page goes on without it. */
export async function optional(task) {
  try {
    return { data: await task };
  } catch (problem) {
    if (problem.name === "AbortError" || problem.status === 401) throw problem;
    return { problem };
  }
}
