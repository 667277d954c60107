// What can be configured: a small description of each kind makes its list, its page and its form.
//
// `path`: its part of the address. `one`, `title`: its names. `list`, `get`, `create`, `update`, `remove`: operations. `param`: the name of the id in their paths.
// `columns`: of the list. `fields`: of the form (see parts/fields.js). `facts`, `more`, `actions`: what the page of one has besides.
import { ACCESS } from "./kinds/access.js";
import { EMAIL } from "./kinds/email.js";
import { ROUTING } from "./kinds/routing.js";

export const KINDS = Object.fromEntries([...ROUTING, ...EMAIL, ...ACCESS].map((kind) => [kind.path, kind]));
