//! What is checked in a template before it is parsed: how deep it nests, and its marks of what a model
//! generates.

use std::collections::HashSet;

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use longcode_base::limits::{CHAT_TEMPLATE_BYTES, CHAT_TEMPLATE_DEPTH};

/// A template that can be parsed: `{% generation %}`, which marks the model's words for transformers, becomes
/// a block that does nothing else.
///
/// # Errors
/// In words, if the template is too long or nests too deep.
pub(super) fn checked(source: &str, syntax: &SyntaxConfig) -> Result<String, String> {
    if source.len() > CHAT_TEMPLATE_BYTES {
        return Err(format!("it has {} bytes; at most {CHAT_TEMPLATE_BYTES} are read", source.len()));
    }
    // The parser reports what is not a token, and it gets no further than this does.
    let tokens: Vec<_> = tokenize(source, false, syntax.clone()).map_while(Result::ok).collect();
    check_namespaces(&tokens.iter().map(|(token, _)| token).collect::<Vec<_>>())?;
    let mut depth = Depth::default();
    let (mut alternatives, mut begins) = (0, false);
    let mut marks = Vec::new();
    for (token, span) in tokens {
        if let Token::Ident(word) = token
            && begins
        {
            alternatives += usize::from(word == "elif");
            if let "generation" | "endgeneration" = word {
                marks.push((span.start_offset as usize, word));
            }
        }
        begins = matches!(token, Token::BlockStart);
        depth.take(&token);
        if depth.deepest() > CHAT_TEMPLATE_DEPTH || alternatives > CHAT_TEMPLATE_DEPTH {
            return Err(format!("it nests more than {CHAT_TEMPLATE_DEPTH} deep"));
        }
    }
    let mut plain = source.to_string();
    for (at, word) in marks.into_iter().rev() {
        // A scope of its own, like the call that transformers makes of it.
        plain.replace_range(at..at + word.len(), &word.replace("generation", "with"));
    }
    Ok(plain)
}

/// Refuses namespaces that are used for more than their attributes: one that is passed on could come to hold
/// itself, and walking through it would never end. Published templates have `{% set ns = namespace(...) %}`,
/// then `ns.name`.
fn check_namespaces(tokens: &[&Token<'_>]) -> Result<(), String> {
    use Token::*;
    let refused = || Err("it uses a namespace otherwise than by its attributes".to_string());
    let mut names = HashSet::new();
    for at in 0..tokens.len() {
        if !matches!(tokens[at], Ident("namespace")) || is_attribute(tokens, at) {
            continue;
        }
        match (tokens.get(at.wrapping_sub(4)..at), closing(tokens, at + 1)) {
            (Some([BlockStart, Ident("set"), Ident(name), Assign]), Some(end))
                if matches!(tokens.get(end + 1), Some(BlockEnd)) =>
            {
                names.insert(*name);
            }
            _ => return refused(),
        }
    }
    for at in 0..tokens.len() {
        let Ident(name) = tokens[at] else { continue };
        if !names.contains(name) || is_attribute(tokens, at) {
            continue;
        }
        let is_target = matches!(tokens.get(at.wrapping_sub(1)), Some(Ident("set")));
        match tokens.get(at + 1) {
            Some(Dot | BracketOpen | Ident("is")) => (),
            // A target, or an argument of that name.
            Some(Assign) if is_target || matches!(tokens[at - 1], ParenOpen | Comma) => (),
            _ => return refused(),
        }
    }
    Ok(())
}

/// Whether a name follows a dot, or is a filter's.
fn is_attribute(tokens: &[&Token<'_>], at: usize) -> bool {
    matches!(tokens.get(at.wrapping_sub(1)), Some(Token::Dot | Token::Pipe))
}

/// Where the parenthesis at `open` is closed.
fn closing(tokens: &[&Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::ParenOpen => depth += 1,
            Token::ParenClose => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return None,
            _ => (),
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// How deep the expressions of a tag can nest: every token between two commas may nest in the one before.
#[derive(Debug, Default)]
struct Depth {
    /// Levels of the open brackets, outermost first.
    levels: Vec<Level>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Level {
    /// Tokens since the last comma.
    tokens: usize,
    /// Depth of the deepest bracket since then.
    inner: usize,
    /// The deepest before that comma.
    before: usize,
}

impl Level {
    fn deepest(self) -> usize {
        self.before.max(self.tokens + self.inner)
    }
}

impl Depth {
    fn take(&mut self, token: &Token<'_>) {
        use Token::*;
        match token {
            TemplateData(_) | VariableStart | VariableEnd | BlockStart | BlockEnd => {
                self.levels = vec![Level::default()];
            }
            ParenOpen | BracketOpen | BraceOpen => {
                self.count();
                self.levels.push(Level::default());
            }
            ParenClose | BracketClose | BraceClose => {
                if let [.., outer, closed] = &mut self.levels[..] {
                    outer.inner = outer.inner.max(closed.deepest());
                    self.levels.pop();
                }
            }
            Comma => {
                if let Some(level) = self.levels.last_mut() {
                    *level = Level { before: level.deepest(), ..Level::default() };
                }
            }
            _ => self.count(),
        }
    }

    fn count(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.tokens += 1;
        }
    }

    fn deepest(&self) -> usize {
        let Some((last, open)) = self.levels.split_last() else { return 0 };
        open.iter().map(|level| level.tokens).sum::<usize>() + last.deepest()
    }
}
