//! Bounds that a template's source must respect before the engine compiles it.
//!
//! The engine's parser, compiler and destructors recurse as deep as the syntax tree, and the engine limits only brackets, not chains. A
//! stack overflow aborts the process, so this module measures the depth first, on the engine's own tokens. Each level of the tree costs
//! at least one counted token, so the count is never below the tree's depth.

use minijinja::{
    machinery::{Span, Token, tokenize},
    syntax::SyntaxConfig,
};

/// Maximum number of tokens per part.
pub const TOKENS_MAX: usize = 20_000;
/// Maximum nesting depth of an expression: each operator, attribute, subscript, call, filter, test and bracket is one level.
pub const EXPRESSION_DEPTH_MAX: usize = 128;
/// Maximum number of open blocks; each `elif` of an open `if` counts as one.
pub const BLOCK_DEPTH_MAX: usize = 100;

/// A violated bound and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exceeded {
    /// Line, from 1.
    pub(super) line: usize,
    /// Column in characters, from 1.
    pub(super) column: usize,
    /// Human-readable text: what is exceeded, and the bound.
    pub(super) message: String,
}

/// Statements with a body up to an `end…`. `set` has a body only if it assigns nothing itself.
const OPENING: &[&str] = &["autoescape", "block", "call", "filter", "for", "if", "macro", "with"];

/// Keywords that are operators.
const OPERATORS: &[&str] = &["and", "else", "if", "in", "is", "not", "or"];

/// Checks `source` against the bounds.
///
/// # Errors
/// The first violated bound.
pub(super) fn check(source: &str) -> Result<(), Exceeded> {
    let mut scan = Scan::default();
    // An invalid token also stops the parser, so nothing after it becomes part of a tree.
    for (count, (token, span)) in tokenize(source, false, SyntaxConfig::default()).map_while(Result::ok).enumerate() {
        let exceeded = if count >= TOKENS_MAX { Some(format!("the part has more than {TOKENS_MAX} tokens")) } else { scan.take(&token) };
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

/// The state within one pair of brackets or one tag, since the last comma.
#[derive(Default, Clone, Copy)]
struct Slot {
    /// Levels from the slot's own tokens.
    own: usize,
    /// Maximum levels of a closed pair of brackets in the slot.
    inner: usize,
    /// Maximum levels before the last comma.
    before: usize,
}

impl Slot {
    fn depth(self) -> usize {
        self.before.max(self.own + self.inner)
    }
}

/// Tracks the depth of the tree.
#[derive(Default)]
struct Scan {
    /// The levels of each open block.
    blocks: Vec<usize>,
    /// The open tag and its open brackets.
    slots: Vec<Slot>,
    /// The statement of the open tag, and whether it assigns.
    statement: Option<(Statement, bool)>,
    /// Whether the next token is the name of a statement.
    named_next: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Statement {
    Opens,
    /// Opens a block unless it assigns.
    Set,
    Other,
}

impl Scan {
    /// Processes the next token; returns a message if it exceeds a bound.
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
            // A surplus closing bracket stops the parser; the tag's own slot stays.
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
            return Some(format!("more than {BLOCK_DEPTH_MAX} blocks are nested here, counting each elif as one"));
        }
        let open: usize = self.slots.iter().map(|slot| slot.own).sum();
        let depth = open + self.slots.iter().map(|slot| slot.inner).max().unwrap_or_default();
        let too_deep = format!("more than {EXPRESSION_DEPTH_MAX} operators, attributes, filters and brackets are nested here");
        (depth > EXPRESSION_DEPTH_MAX).then_some(too_deep)
    }
}

#[cfg(test)]
mod tests;
