// What changed between two JSON values, and between two texts.

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** The members of two values side by side: `[{path, before, after, changed}]`, nested objects by dotted paths. */
export function members(before, after, path = "") {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  return names.flatMap((name) => {
    const [one, other] = [before?.[name], after?.[name]];
    const here = path ? `${path}.${name}` : name;
    const nested = (isObject(one) || one === undefined) && (isObject(other) || other === undefined) && (isObject(one) || isObject(other));
    if (nested && Object.keys({ ...one, ...other }).length > 0) return members(one, other, here);
    return [{ path: here, before: one, after: other, changed: JSON.stringify(one) !== JSON.stringify(other) }];
  });
}

/** The lines of two texts: `[{kind: "same" | "removed" | "added", text}]`. Texts of more than 1 500 lines are not compared line by line. */
export function lines(before, after) {
  const [a, b] = [before.split("\n"), after.split("\n")];
  if (a.length * b.length > 2_250_000) return [...a.map((text) => ({ kind: "removed", text })), ...b.map((text) => ({ kind: "added", text }))];
  const longest = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) found.push({ kind: "same", text: a[(j += 1, i++)] });
    else if (longest[i + 1][j] >= longest[i][j + 1]) found.push({ kind: "removed", text: a[i++] });
    else found.push({ kind: "added", text: b[j++] });
  }
  while (i < a.length) found.push({ kind: "removed", text: a[i++] });
  while (j < b.length) found.push({ kind: "added", text: b[j++] });
  return found;
}
