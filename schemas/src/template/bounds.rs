//! Bounds that a template's source keeps before the engine compiles it.
//!
//! The engine's parser, compiler and destructors go as deep into their stack as the syntax tree is deep, and the engine bounds only some
//! of that depth: brackets, but no chains. A stack overflow aborts the process, so the depth is measured here first, on the engine's own
//! tokens. Each level of the tree costs at least one token of those counted, so what is counted is never less than the tree's depth.

use minijinja::{
    machinery::{Span, Token, tokenize},
    syntax::SyntaxConfig,
};

/// Most tokens of a part.
pub const TOKENS_MAX: usize = 20_000;
/// Most levels of one expression: each operator, attribute, subscript, call, filter, test and bracket within another is one.
pub const EXPRESSION_DEPTH_MAX: usize = 128;
/// Most blocks open at once, each `elif` of an open `if` counted as one.
pub const BLOCK_DEPTH_MAX: usize = 100;

/// A bound a source does not keep, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exceeded {
    /// From 1.
    pub(super) line: usize,
    /// In characters from 1.
    pub(super) column: usize,
    /// For people: what there is too much of, and the bound.
    pub(super) message: String,
}

/// Statements whose body goes on until an `end…`. `set` has one only where it assigns nothing itself.
const OPENING: &[&str] = &["autoescape", "block", "call", "filter", "for", "if", "macro", "with"];

/// Words that are operators.
const OPERATORS: &[&str] = &["and", "else", "if", "in", "is", "not", "or"];

/// Holds `source` against the bounds.
///
/// # Errors
/// The first bound that it does not keep.
pub(super) fn check(source: &str) -> Result<(), Exceeded> {
    let mut scan = Scan::default();
    // What is no token ends the parser's reading too: nothing after it becomes a part of any tree.
    for (count, (token, span)) in tokenize(source, false, SyntaxConfig::default()).map_while(Result::ok).enumerate() {
        let exceeded = if count >= TOKENS_MAX {
            Some(format!("the part consists of more than {TOKENS_MAX} names, signs and texts"))
        } else {
            scan.take(&token)
        };
        if let Some(message) = exceeded {
            return Err(at(source, span, message));
        }
    }
    Ok(())
}

fn at(source: &str, span: Span, message: String) -> Exceeded {
    let before = source.get(..span.start_offset as usize).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Exceeded { line: before.matches('\n').count() + 1, column, message }
}

/// What stands within one pair of brackets, or one tag: the part since the last comma.
#[derive(Default, Clone, Copy)]
struct Slot {
    /// Levels that its own tokens may make.
    own: usize,
    /// The most levels that a closed pair of brackets in it may have.
    inner: usize,
    /// The most levels of the parts before.
    before: usize,
}

impl Slot {
    fn depth(self) -> usize {
        self.before.max(self.own + self.inner)
    }
}

/// The depth of the tree so far.
#[derive(Default)]
struct Scan {
    /// For each open block the levels it makes.
    blocks: Vec<usize>,
    /// The open tag and the brackets open in it.
    slots: Vec<Slot>,
    /// The statement the open tag is, and whether that assigns.
    statement: Option<(Statement, bool)>,
    /// Whether the next token is a statement's name.
    named_next: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Statement {
    Opens,
    /// Opens if it does not assign.
    Set,
    Other,
}

impl Scan {
    /// Takes the next token, and says which bound is exceeded with it.
    fn take(&mut self, token: &Token<'_>) -> Option<String> {
        let named = std::mem::take(&mut self.named_next);
        match token {
            Token::TemplateData(_) => return None,
            Token::VariableStart | Token::BlockStart => {
                self.slots = vec![Slot::default()];
                self.named_next = matches!(token, Token::BlockStart);
                return None;
            }
            Token::VariableEnd => return None,
            Token::BlockEnd => {
                if let Some((Statement::Opens, _) | (Statement::Set, false)) = self.statement.take() {
                    self.blocks.push(1);
                }
            }
            Token::Ident(name) if named => self.statement(name),
            Token::Comma => {
                if let Some(slot) = self.slots.last_mut() {
                    *slot = Slot { before: slot.depth(), ..Slot::default() };
                }
            }
            Token::BracketOpen | Token::ParenOpen | Token::BraceOpen => {
                self.deeper();
                self.slots.push(Slot::default());
            }
            // A bracket too many ends the parser; the tag's own slot stays.
            Token::BracketClose | Token::ParenClose | Token::BraceClose if self.slots.len() > 1 => {
                let closed = self.slots.pop().unwrap_or_default().depth();
                if let Some(slot) = self.slots.last_mut() {
                    slot.inner = slot.inner.max(closed);
                }
            }
            Token::Assign => {
                if let (1, Some((_, assigns))) = (self.slots.len(), &mut self.statement) {
                    *assigns = true;
                }
                self.deeper();
            }
            Token::Ident(name) if !OPERATORS.contains(name) => {}
            Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) | Token::Colon => {}
            _ => self.deeper(),
        }
        self.exceeded()
    }

    fn statement(&mut self, name: &str) {
        let kind = match name {
            "elif" => {
                if let Some(levels) = self.blocks.last_mut() {
                    *levels += 1;
                }
                Statement::Other
            }
            "set" => Statement::Set,
            _ if name.starts_with("end") => {
                self.blocks.pop();
                Statement::Other
            }
            _ if OPENING.contains(&name) => Statement::Opens,
            _ => Statement::Other,
        };
        self.statement = Some((kind, false));
    }

    fn deeper(&mut self) {
        if let Some(slot) = self.slots.last_mut() {
            slot.own += 1;
        }
    }

    fn exceeded(&self) -> Option<String> {
        if self.blocks.iter().sum::<usize>() > BLOCK_DEPTH_MAX {
            return Some(format!("more than {BLOCK_DEPTH_MAX} blocks stand inside each other here, each elif counted as one"));
        }
        let open: usize = self.slots.iter().map(|slot| slot.own).sum();
        let depth = open + self.slots.iter().map(|slot| slot.inner).max().unwrap_or_default();
        let too_deep = format!("more than {EXPRESSION_DEPTH_MAX} operators, attributes, filters and brackets build upon each other here");
        (depth > EXPRESSION_DEPTH_MAX).then_some(too_deep)
    }
}

#[cfg(test)]
mod tests;
