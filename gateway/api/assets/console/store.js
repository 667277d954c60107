// A value that several parts of the page show: they are drawn anew when it changes.
import { useEffect, useState } from "./html.js";

/** A store with `get`, `set` and `use` (in a component). */
export function store(initial) {
  let value = initial;
  const heard = new Set();
  const get = () => value;
  const set = (next) => {
    value = typeof next === "function" ? next(value) : next;
    for (const one of heard) one(value);
  };
  const use = () => {
    const [, draw] = useState(0);
    useEffect(() => {
      const changed = () => draw((n) => n + 1);
      heard.add(changed);
      return () => heard.delete(changed);
    }, []);
    return value;
  };
  return { get, set, use };
}

/** What the browser remembers between visits: the theme and the time zone, never a key. */
export function remembered(name, initial) {
  const kept = store(read(localStorage, name) ?? initial);
  const set = (value) => {
    write(localStorage, name, value);
    kept.set(value);
  };
  return { ...kept, set };
}

// Storage can be switched off: the console works without.
export function read(storage, name) {
  try {
    return storage.getItem(`billwire.${name}`);
  } catch {
    return null;
  }
}

export function write(storage, name, value) {
  try {
    if (value == null) storage.removeItem(`billwire.${name}`);
    else storage.setItem(`billwire.${name}`, value);
  } catch {
    // It is then remembered until the page is left.
  }
}
