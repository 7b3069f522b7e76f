//! Form parameters with nested brackets, as Stripe reads and checks them.

use crate::stripe::error::Refusal;
use crate::stripe::world::Metadata;

/// A tree of parameters. A list is a branch whose names are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    entries: Vec<(String, Node)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Text(String),
    Branch(Params),
}

impl Params {
    /// Reads `a[b][0]=c&...`.
    pub fn parse(encoded: &[u8]) -> Result<Self, Refusal> {
        let mut params = Self::default();
        for (key, value) in url::form_urlencoded::parse(encoded) {
            params.insert(&segments(&key)?, &value, &key)?;
        }
        Ok(params)
    }

    fn insert(&mut self, path: &[&str], value: &str, key: &str) -> Result<(), Refusal> {
        let Some((first, rest)) = path.split_first() else {
            return Ok(());
        };
        let name = if first.is_empty() {
            self.next_place(rest)
        } else {
            (*first).to_owned()
        };
        let old = self.entries.iter_mut().find(|(entry, _)| *entry == name);
        match (old, rest.is_empty()) {
            (None, true) => self.entries.push((name, Node::Text(value.to_owned()))),
            (None, false) => {
                let mut branch = Self::default();
                branch.insert(rest, value, key)?;
                self.entries.push((name, Node::Branch(branch)));
            }
            (Some((_, Node::Text(old))), true) => value.clone_into(old),
            (Some((_, Node::Branch(branch))), false) => branch.insert(rest, value, key)?,
            (Some(_), _) => {
                return Err(invalid(format!("Invalid object: {key} was given twice")).param(key));
            }
        }
        Ok(())
    }

    /// `a[][b]` goes on with the last element until it has a `b` already.
    fn next_place(&self, rest: &[&str]) -> String {
        let taken = |last: &Node| match (last, rest.first()) {
            (Node::Branch(branch), Some(name)) => branch.entries.iter().any(|(entry, _)| entry == name),
            _ => true,
        };
        let last = self
            .entries
            .last()
            .filter(|(_, node)| !rest.is_empty() && !taken(node));
        last.map_or_else(|| self.entries.len().to_string(), |(name, _)| name.clone())
    }

    /// Refuses every parameter that no pattern names. In a pattern `#` is a list's place, `*` any name.
    pub fn allow(&self, patterns: &[&[&str]]) -> Result<(), Refusal> {
        let mut unknown = Vec::new();
        self.collect_unknown(&mut Vec::new(), patterns, &mut unknown);
        match unknown.as_slice() {
            [] => Ok(()),
            [one] => {
                let message = format!("Received unknown parameter: {one}");
                Err(invalid(message).code("parameter_unknown").param(one.clone()))
            }
            [first, ..] => {
                let message = format!("Received unknown parameters: {}", unknown.join(", "));
                Err(invalid(message).code("parameter_unknown").param(first.clone()))
            }
        }
    }

    fn collect_unknown<'a>(
        &'a self,
        path: &mut Vec<&'a str>,
        patterns: &[&[&str]],
        unknown: &mut Vec<String>,
    ) {
        for (name, node) in &self.entries {
            path.push(name);
            let fits = |whole: bool| {
                patterns
                    .iter()
                    .flat_map(|group| group.iter())
                    .any(|pattern| matches(pattern, path, whole))
            };
            match node {
                Node::Branch(branch) if fits(false) => branch.collect_unknown(path, patterns, unknown),
                Node::Text(_) if fits(true) => {}
                // An empty text unsets a whole branch.
                Node::Text(text) if text.is_empty() && fits(false) => {}
                _ => unknown.push(bracketed(path)),
            }
            path.pop();
        }
    }

    fn node(&self, path: &str) -> Option<&Node> {
        let (first, rest) = path
            .split_once('.')
            .map_or((path, None), |(first, rest)| (first, Some(rest)));
        let (_, node) = self.entries.iter().find(|(name, _)| name == first)?;
        match (rest, node) {
            (None, node) => Some(node),
            (Some(rest), Node::Branch(branch)) => branch.node(rest),
            (Some(_), Node::Text(_)) => None,
        }
    }

    /// Whether anything was given under this path.
    pub fn has(&self, path: &str) -> bool {
        self.node(path).is_some()
    }

    /// Whether this was given as empty, which unsets it.
    pub fn unsets(&self, path: &str) -> bool {
        matches!(self.node(path), Some(Node::Text(text)) if text.is_empty())
    }

    /// A text that is not empty.
    pub fn text(&self, path: &str) -> Option<&str> {
        match self.node(path) {
            Some(Node::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A text, to keep.
    pub fn owned(&self, path: &str) -> Option<String> {
        self.text(path).map(str::to_owned)
    }

    /// A text that must be there.
    pub fn required(&self, path: &str) -> Result<&str, Refusal> {
        if self.unsets(path) {
            let name = bracketed_path(path);
            let message = format!(
                "You passed an empty string for '{name}'. We assume empty values are an attempt to unset a \
                 parameter; however '{name}' cannot be unset. You should remove '{name}' from your request \
                 or supply a non-empty value."
            );
            return Err(invalid(message).code("parameter_invalid_empty").param(name));
        }
        self.text(path)
            .ok_or_else(|| Refusal::required(&bracketed_path(path)))
    }

    /// A whole number.
    pub fn integer(&self, path: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(path) else {
            return Ok(None);
        };
        let name = bracketed_path(path);
        let refusal = || {
            let message = format!("Invalid integer: {text}");
            invalid(message).code("parameter_invalid_integer").param(name)
        };
        text.parse().map(Some).map_err(|_| refusal())
    }

    /// A whole number within bounds.
    pub fn integer_within(&self, path: &str, least: i64, most: i64) -> Result<Option<i64>, Refusal> {
        let Some(number) = self.integer(path)? else {
            return Ok(None);
        };
        let bound = if number < least {
            format!("greater than or equal to {least}")
        } else if number > most {
            format!("less than or equal to {most}")
        } else {
            return Ok(Some(number));
        };
        let message = format!("This value must be {bound}.");
        Err(invalid(message)
            .code("parameter_invalid_integer")
            .param(bracketed_path(path)))
    }

    /// `true` or `false`.
    pub fn boolean(&self, path: &str) -> Result<Option<bool>, Refusal> {
        match self.text(path) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(invalid(format!("Invalid boolean: {other}")).param(bracketed_path(path))),
        }
    }

    /// One of a closed set.
    pub fn choice<T: Copy>(&self, path: &str, names: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(path) else {
            return Ok(None);
        };
        if let Some((_, found)) = names.iter().find(|(name, _)| *name == text) {
            return Ok(Some(*found));
        }
        let all: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let name = bracketed_path(path);
        let message = format!("Invalid {name}: must be one of {}", all.join(", "));
        Err(invalid(message).param(name))
    }

    /// The elements of a list that are texts.
    pub fn texts(&self, path: &str) -> Vec<String> {
        let Some(Node::Branch(branch)) = self.node(path) else {
            return Vec::new();
        };
        let texts = branch.entries.iter().filter_map(|(_, node)| match node {
            Node::Text(text) => Some(text.clone()),
            Node::Branch(_) => None,
        });
        texts.collect()
    }

    /// The elements of a list that are branches, in the order of their places.
    pub fn branches(&self, path: &str) -> Vec<Self> {
        let Some(Node::Branch(branch)) = self.node(path) else {
            return Vec::new();
        };
        let mut numbered: Vec<(usize, Self)> = branch
            .entries
            .iter()
            .filter_map(|(name, node)| match node {
                Node::Branch(element) => Some((name.parse().unwrap_or(usize::MAX), element.clone())),
                Node::Text(_) => None,
            })
            .collect();
        numbered.sort_by_key(|(place, _)| *place);
        numbered.into_iter().map(|(_, element)| element).collect()
    }

    /// Applies `metadata[...]` to what is there: empty values unset a key, an empty whole unsets all.
    pub fn merge_metadata(&self, path: &str, metadata: &mut Metadata) -> Result<(), Refusal> {
        if self.unsets(path) {
            metadata.clear();
        }
        let Some(Node::Branch(branch)) = self.node(path) else {
            return Ok(());
        };
        for (key, node) in &branch.entries {
            let Node::Text(value) = node else { continue };
            check_metadata(key, value, path)?;
            if value.is_empty() {
                metadata.remove(key);
            } else {
                metadata.insert(key.clone(), value.clone());
            }
        }
        if metadata.len() > 50 {
            let message = "Metadata can have at most 50 keys.";
            return Err(invalid(message).param(bracketed_path(path)));
        }
        Ok(())
    }

    /// New metadata.
    pub fn metadata(&self, path: &str) -> Result<Metadata, Refusal> {
        let mut metadata = Metadata::new();
        self.merge_metadata(path, &mut metadata)?;
        Ok(metadata)
    }

    /// The same with the cursors of a list put into another kind of id, where they can be.
    #[must_use]
    pub fn with_cursors(&self, other: impl Fn(&str) -> Option<String>) -> Self {
        let mut params = self.clone();
        for (name, node) in &mut params.entries {
            if let ("starting_after" | "ending_before", Node::Text(id)) = (name.as_str(), node) {
                *id = other(id).unwrap_or_else(|| id.clone());
            }
        }
        params
    }

    /// All parameters as flat pairs.
    pub fn flat(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        self.flatten(&mut Vec::new(), &mut pairs);
        pairs
    }

    fn flatten<'a>(&'a self, path: &mut Vec<&'a str>, pairs: &mut Vec<(String, String)>) {
        for (name, node) in &self.entries {
            path.push(name);
            match node {
                Node::Text(text) => pairs.push((bracketed(path), text.clone())),
                Node::Branch(branch) => branch.flatten(path, pairs),
            }
            path.pop();
        }
    }
}

/// A refusal of what was sent, whatever the account holds.
fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::invalid(message).early()
}

fn check_metadata(key: &str, value: &str, path: &str) -> Result<(), Refusal> {
    let param = bracketed(&[path, key]);
    if key.chars().count() > 40 {
        let message = format!("Metadata keys can have up to 40 characters: '{key}' is too long.");
        return Err(invalid(message).param(param));
    }
    if value.chars().count() > 500 {
        let message =
            format!("Metadata values can have up to 500 characters: the value of '{key}' is too long.");
        return Err(invalid(message).param(param));
    }
    Ok(())
}

fn segments(key: &str) -> Result<Vec<&str>, Refusal> {
    let refusal = || invalid(format!("Invalid parameter name: {key}")).param(key);
    let (first, rest) = key.find('[').map_or((key, ""), |at| key.split_at(at));
    if first.is_empty() {
        return Err(refusal());
    }
    let mut segments = vec![first];
    let mut rest = rest;
    while let Some(after) = rest.strip_prefix('[') {
        let (name, tail) = after.split_once(']').ok_or_else(refusal)?;
        segments.push(name);
        rest = tail;
    }
    if rest.is_empty() {
        Ok(segments)
    } else {
        Err(refusal())
    }
}

/// Whether a pattern such as `items.#.price` names `path`, or (not `whole`) something below it.
fn matches(pattern: &str, path: &[&str], whole: bool) -> bool {
    let mut parts = pattern.split('.');
    let names = path.iter().all(|name| match parts.next() {
        Some("*") => true,
        Some("#") => name.bytes().all(|byte| byte.is_ascii_digit()),
        Some(part) => part == *name,
        None => false,
    });
    let rest = parts.next();
    names && if whole { rest.is_none() } else { rest.is_some() }
}

fn bracketed(path: &[&str]) -> String {
    let mut parts = path.iter();
    let first = parts.next().copied().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| format!("{name}[{part}]"))
}

/// `a.b.c` as it is written in a form: `a[b][c]`.
pub(crate) fn bracketed_path(path: &str) -> String {
    bracketed(&path.split('.').collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Params {
        Params::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn nested_brackets_become_a_tree() {
        let params = parse(
            "line_items[0][price]=price_1&line_items[0][quantity]=2&metadata[a]=b&expand[]=x&expand[]=y",
        );
        let lines = params.branches("line_items");
        assert_eq!(lines[0].text("price"), Some("price_1"));
        assert_eq!(lines[0].integer("quantity"), Ok(Some(2)));
        assert_eq!(params.metadata("metadata").unwrap()["a"], "b");
        assert_eq!(params.texts("expand"), ["x", "y"]);
    }

    #[test]
    fn lists_of_objects_without_numbers_are_gathered_as_rack_does() {
        let params = parse("items[][price]=a&items[][quantity]=1&items[][price]=b");
        let items = params.branches("items");
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].integer("quantity"), Ok(Some(1)));
        assert_eq!(items[1].text("price"), Some("b"));
    }

    #[test]
    fn a_parameter_that_no_pattern_names_is_refused_by_its_full_name() {
        let allowed: &[&[&str]] = &[&["mode", "line_items.#.price", "metadata.*"]];
        assert_eq!(
            parse("mode=x&line_items[0][price]=p&metadata[k]=v").allow(allowed),
            Ok(())
        );
        assert_eq!(parse("metadata=").allow(allowed), Ok(()));
        let check = |text: &str, name: &str| {
            let refusal = parse(text).allow(allowed).unwrap_err();
            assert_eq!(refusal.to_string(), format!("Received unknown parameter: {name}"));
            assert_eq!(refusal.error_code(), Some("parameter_unknown"));
        };
        check("modes=x", "modes");
        check("line_items[0][prices]=p", "line_items[0][prices]");
        check("line_items[x][price]=p", "line_items[x]");
        check("mode[a]=x", "mode");
    }

    #[test]
    fn malformed_names_and_contradictions_are_refused() {
        for text in ["[a]=1", "a[b=1", "a[b]c=1", "a=1&a[b]=2"] {
            assert!(Params::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_outside_their_bounds_are_refused() {
        assert!(parse("limit=0").integer_within("limit", 1, 100).is_err());
        assert!(parse("limit=101").integer_within("limit", 1, 100).is_err());
        assert!(parse("limit=ten").integer_within("limit", 1, 100).is_err());
        assert_eq!(parse("limit=100").integer_within("limit", 1, 100), Ok(Some(100)));
    }

    #[test]
    fn empty_metadata_values_unset_their_keys() {
        let mut metadata =
            Metadata::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        parse("metadata[a]=&metadata[c]=3")
            .merge_metadata("metadata", &mut metadata)
            .unwrap();
        assert_eq!(metadata.keys().collect::<Vec<_>>(), ["b", "c"]);
        parse("metadata=")
            .merge_metadata("metadata", &mut metadata)
            .unwrap();
        assert!(metadata.is_empty());
    }
}
