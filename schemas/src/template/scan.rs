//! Finds the tags in a template's source, to answer what the engine's compiler does not: which filters and statements are used, and on
//! which line a name is.
//!
//! The scanner follows the engine's lexer, but safety does not depend on it: rendering refuses whatever it misses.

/// A tag `{{ … }}` or `{% … %}`.
#[derive(Debug)]
pub(super) struct Tag {
    /// First line, from 1.
    pub(super) line: usize,
    /// Whether it is a statement.
    pub(super) statement: bool,
    /// The tag's code, with the contents of strings blanked.
    pub(super) code: String,
}

/// A word and its line.
pub(super) type Word<'t> = (&'t str, usize);

impl Tag {
    /// The statement's name.
    pub(super) fn keyword(&self) -> Option<&str> {
        self.statement.then(|| word(self.code.trim_start()))
    }

    /// The names of the filters used.
    pub(super) fn filters(&self) -> Vec<Word<'_>> {
        let mut found: Vec<Word<'_>> =
            self.code.match_indices('|').map(|(at, _)| (word(self.code[at + 1..].trim_start()), self.line_at(at))).collect();
        if self.keyword() == Some("filter") {
            let rest = self.code.trim_start().trim_start_matches("filter").trim_start();
            found.insert(0, (word(rest), self.line));
        }
        found.retain(|(name, _)| !name.is_empty());
        found
    }

    /// The line on which `path` (a dotted name) occurs as a whole, if it does.
    pub(super) fn line_of(&self, path: &str) -> Option<usize> {
        let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        self.code.match_indices(path).find_map(|(at, _)| {
            let before = self.code[..at].chars().next_back();
            let after = self.code[at + path.len()..].chars().next();
            let whole = !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name);
            whole.then(|| self.line_at(at))
        })
    }

    fn line_at(&self, at: usize) -> usize {
        self.line + self.code[..at].matches('\n').count()
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The tags of `source`, in order.
pub(super) fn tags(source: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut at = 0;
    let (mut line, mut counted) = (1, 0);
    while let Some(open) = source[at..].find('{').map(|o| at + o) {
        let inside = open + 2;
        at = match source.as_bytes().get(open + 1) {
            Some(b'#') => match source[inside..].find("#}") {
                Some(end) => inside + end + 2,
                None => break,
            },
            Some(second @ (b'{' | b'%')) => {
                let statement = *second == b'%';
                let (code, end) = code(source, inside, if statement { "%}" } else { "}}" });
                line += source[counted..open].matches('\n').count();
                counted = open;
                let tag = Tag { line, statement, code };
                if tag.code.trim() == "raw" && statement {
                    end_of_raw(source, end)
                } else {
                    found.push(tag);
                    end
                }
            }
            _ => open + 1,
        };
    }
    found
}

/// The code from `start` up to `close` outside strings and brackets, and the end position.
fn code(source: &str, start: usize, close: &str) -> (String, usize) {
    let mut code = String::new();
    let mut depth = 0_i32;
    let mut quote = None;
    let mut escaped = false;
    let mut end = source.len();
    for (offset, c) in source[start..].char_indices() {
        if let Some(open) = quote {
            if c == '\n' {
                code.push(c);
            }
            (quote, escaped) = match (escaped, c) {
                (true, _) => (quote, false),
                (false, '\\') => (quote, true),
                (false, c) if c == open => (None, false),
                _ => (quote, false),
            };
            continue;
        }
        if depth == 0 && source[start + offset..].starts_with(close) {
            end = start + offset + close.len();
            break;
        }
        match c {
            '\'' | '"' => quote = Some(c),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        code.push(if quote.is_some() { ' ' } else { c });
    }
    // `{%-` and `-%}` only control white space.
    let body = code.strip_prefix(['-', '+']).unwrap_or(&code);
    let body = body.strip_suffix(['-', '+']).unwrap_or(body);
    (body.to_owned(), end)
}

fn end_of_raw(source: &str, from: usize) -> usize {
    source[from..]
        .match_indices("{%")
        .find(|(at, _)| {
            let inside = source[from + at + 2..].trim_start_matches(['-', '+']).trim_start();
            word(inside) == "endraw"
        })
        .map_or(source.len(), |(at, _)| code(source, from + at + 2, "%}").1)
}
