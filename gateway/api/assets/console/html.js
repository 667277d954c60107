// One place where the vendored parts come in: every other module imports them from here.
import { Component, Fragment, h, render } from "./vendor/preact.mjs";
import { useCallback, useEffect, useErrorBoundary, useMemo, useRef, useState } from "./vendor/hooks.mjs";
import htm from "./vendor/htm.mjs";

export const html = htm.bind(h);
export { Fragment, render, useCallback, useEffect, useErrorBoundary, useMemo, useRef, useState };

/** A new id for a label and its field. */
let count = 0;
export const useId = (prefix = "f") => useMemo(() => `${prefix}${(count += 1)}`, [prefix]);

/** Draws its children anew only when one of `deps` changes. A vnode that `useMemo` kept would keep the whole tree that it once stood in. */
export class Still extends Component {
  shouldComponentUpdate({ deps }) {
    return deps.some((one, i) => one !== this.props.deps[i]);
  }

  render({ draw }) {
    return draw();
  }
}
